/** Carries out what was read from another server's configuration, one thing at a time; what is refused is named, and the rest goes on. */
import { isIPv4 } from 'node:net'
import { BedplateError } from '../../../core/errors.ts'
import type { Tx } from '../../../core/plugin.ts'
import type { NetworkService, Subnet } from '../../network/manifest.ts'
import { customOption, scopeText } from './custom.ts'
import type { Scope } from './custom.ts'
import type { IscPlan, Left, PlannedHost, PlannedOption } from './isc.ts'
import { checkSubnet } from './subnet.ts'
import { fix } from './fixed.ts'
import { parseIp } from '../v4/ipv4.ts'
import { saveOption } from '../store/options.ts'
import { attempt, saveSubnet, subnetSettings } from '../store/settings.ts'

/** What the network's plan lacks: subnets, and dynamic ranges of subnets (by prefix). */
export interface Missing {
  readonly subnets: { readonly cidr: string, readonly gateway: string | null, readonly dnsServers: string[] }[]
  readonly ranges: { readonly cidr: string, readonly start: string, readonly end: string }[]
}
export interface Taken { readonly line: number, readonly what: string }

const hostnameOption = 12
const hostname = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/

export async function takeOver (tx: Tx, network: NetworkService, plan: IscPlan): Promise<{ readonly taken: Taken[], readonly left: Left[], readonly missing: Missing }> {
  const taken: Taken[] = []
  const left: Left[] = [...plan.left]
  const missing: Missing = { subnets: [], ranges: [] }
  const here = new Map((await network.subnets(tx)).map(subnet => [subnet.cidr, subnet]))
  const named = new Map<number, PlannedOption>() // host → what its host-name option says
  for (const one of plan.options) if (one.place.kind === 'host' && one.code === hostnameOption) named.set(one.place.host, one)

  /** Does one thing; a refusal is named. */
  async function each (line: number, what: string, work: () => Promise<void>): Promise<void> {
    try {
      await attempt(tx, work)
      taken.push({ line, what })
    } catch (error) {
      if (!(error instanceof BedplateError) || error.status >= 500) throw error
      left.push({ line, what, why: error.message })
    }
  }

  for (const { line, cidr, leaseSeconds, ranges } of plan.subnets) {
    const subnet = here.get(cidr)
    if (subnet === undefined) {
      left.push({ line, what: `subnet ${cidr}`, why: `there is no such subnet; add it and import again: bedplate subnet create ${cidr}` })
      missing.subnets.push({ cidr, ...planOf(plan.options, cidr) })
      for (const { start, end } of ranges) missing.ranges.push({ cidr, start, end })
      continue
    }
    for (const { line, start, end } of ranges) {
      if (covered(subnet, start, end)) taken.push({ line, what: `range ${start} to ${end} of subnet ${cidr}, as it is` })
      else {
        left.push({ line, what: `range ${start} ${end}`, why: `subnet ${cidr} has no dynamic range there; add it: bedplate range create ${start} ${end} --subnet ${cidr}` })
        missing.ranges.push({ cidr, start, end })
      }
    }
    if (leaseSeconds !== null) {
      await each(line, `lease time ${leaseSeconds} s of subnet ${cidr}`, async () => {
        await saveSubnet(tx, checkSubnet({ ...await subnetSettings(tx, subnet.id), leaseSeconds }, subnet))
        await tx.changed('dhcp.subnet', subnet.id)
      })
    }
  }

  async function addressesOf (host: PlannedHost, name: PlannedOption | undefined): Promise<void> {
    const { line, mac, clientId, addresses } = host
    const what = `host ${host.name}`
    const wanted = name === undefined ? host.name : String(name.value)
    const called = hostname.test(wanted) ? wanted : undefined
    if (addresses.length === 0 && mac !== null) return // only options
    if (mac === null && clientId === null) { left.push({ line, what, why: 'it has neither a MAC address nor a client id' }); return }
    if (mac !== null && clientId !== null && addresses.length > 0) left.push({ line, what: `client id of ${what}`, why: 'the address goes by the MAC: firmware and system of one machine send different client ids' })
    for (const address of addresses) {
      await each(line, `address ${address} for ${mac ?? `client id ${clientId ?? ''}`}${called === undefined ? '' : ` (${called})`}`, async () => {
        if (mac === null) { await fix(tx, network, { address, clientId: clientId ?? '', hostname: called ?? null }); return }
        const subnet = await network.subnetOf(tx, address)
        if (subnet === undefined) throw new BedplateError('NETWORK_INVALID', { reason: `No subnet holds ${address}. Add one first.` })
        await network.allocate(tx, { subnetId: subnet.id, kind: 'reserved', mac, address, ...called === undefined ? {} : { hostname: called } })
      })
    }
  }

  for (const [index, host] of plan.hosts.entries()) await addressesOf(host, named.get(index))

  const scopeFor = ({ place }: PlannedOption): Scope | string => {
    if (place.kind === 'global') return { kind: 'global' }
    if (place.kind === 'subnet') {
      const subnet = here.get(place.cidr)
      return subnet === undefined ? `there is no subnet ${place.cidr}` : { kind: 'subnet', id: subnet.id }
    }
    const mac = plan.hosts[place.host]?.mac ?? null
    return mac === null ? 'options of a machine go by its MAC, and this host has none' : { kind: 'mac', id: mac }
  }
  for (const one of plan.options) {
    const { line, name, code, value, type, place } = one
    const what = `option ${name}`
    if (place.kind === 'host' && code === hostnameOption && (plan.hosts[place.host]?.addresses.length ?? 0) > 0) continue // the address has the name
    const scope = scopeFor(one)
    if (typeof scope === 'string') { left.push({ line, what, why: scope }); continue }
    if (place.kind === 'subnet' && agrees(here.get(place.cidr), code, value)) { taken.push({ line, what: `${what} of subnet ${place.cidr}, as it is` }); continue }
    await each(line, `${what} of ${place.kind === 'subnet' ? `subnet ${place.cidr}` : scopeText(scope)}: ${shown(value)}`, async () => {
      const option = customOption(scope, String(code), value, type ?? undefined)
      await saveOption(tx, option)
      await tx.changed('dhcp.option', option.scope)
    })
  }
  left.sort((a, b) => a.line - b.line)
  taken.sort((a, b) => a.line - b.line)
  return { taken, left, missing }
}

/** Router and name servers of a subnet that is not there yet: the network's plan holds them, where they are addresses. */
function planOf (options: readonly PlannedOption[], cidr: string): { readonly gateway: string | null, readonly dnsServers: string[] } {
  const listed = (code: number): string[] => options.flatMap(({ place, value, ...one }) => place.kind === 'subnet' && place.cidr === cidr && one.code === code ? [value].flat().map(String) : []).filter(address => isIPv4(address))
  const routers = listed(3)
  return { gateway: routers.length === 1 ? routers[0] ?? null : null, dnsServers: listed(6).slice(0, 16) }
}

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

const covered = ({ ranges }: Subnet, start: string, end: string): boolean => ranges.some(range => range.kind === 'dynamic' && parseIp(range.start) <= parseIp(start) && parseIp(end) <= parseIp(range.end))

/** Whether the network's plan says so already: router and name servers of the subnet. */
function agrees (subnet: Subnet | undefined, code: number, value: unknown): boolean {
  const given = (Array.isArray(value) ? value : [value]).join(' ')
  return subnet !== undefined && ((code === 3 && given === subnet.gateway) || (code === 6 && given === subnet.dnsServers.filter(server => !server.includes(':')).join(' ')))
}
