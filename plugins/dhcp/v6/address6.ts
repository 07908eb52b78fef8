/** Which IPv6 address a client gets, from what this rack knows. Pure: reads a view, changes nothing. */
import { createHash } from 'node:crypto'
import type { Ip6 } from './ipv6.ts'
import { holds6 } from './ipv6.ts'
import type { Segment6, Subnet6 } from './segment6.ts'
import { addressAt, isDynamic6, subnetHolding6 } from './segment6.ts'

/** An address set aside: `client` is a MAC, or `id:` and a DUID in hexadecimal. */
export interface Host6 { readonly subnet: string, readonly client: string, readonly address: Ip6, readonly hostname: string | null }
/** `client` is a key as the referee knows it; `holder` the DUID and IAID that use the address. `expires` in ms since the epoch: a hint, the region is the referee. */
export interface Binding6 { readonly subnet: string, readonly client: string, readonly holder: string | null, readonly address: Ip6, readonly expires: number }

/** One interface of one client: `holder` is its DUID and IAID in hexadecimal, `duid/iaid`; the MAC is that of the interface, where it is known. */
export interface Who6 { readonly duid: string, readonly holder: string, readonly mac: string | undefined }
export const holderOf = (duid: string, iaid: number): string => `${duid}/${iaid.toString(16).padStart(8, '0')}`

export interface View6 {
  readonly segment: Segment6
  /** Addresses set aside for a MAC or a DUID, in any subnet. */
  hosts(client: string): readonly Host6[]
  hostAt(address: Ip6): Host6 | undefined
  /** What is known to have been bound to a client's key, expired or not. */
  bindings(client: string): readonly Binding6[]
  bindingAt(address: Ip6): Binding6 | undefined
  quarantined(address: Ip6): boolean
  /** Whether the region lately refused this address to this client's key. */
  refused(address: Ip6, client: string): boolean
  /** How often this client asked since it was last given something, this time included. */
  asked(duid: string): number
}

/** `client`: the key the binding is stored under: whom the address is set aside for, else the holder. */
export interface Choice6 {
  readonly subnet: Subnet6, readonly address: Ip6, readonly hostname: string | null, readonly client: string
  /** Whether this rack knows of no claim of the client to it. */
  readonly fresh: boolean
}

const byDuid = ({ duid }: Who6): string => `id:${duid}`
const isMachine = (client: string, who: Who6): boolean => client === who.mac || client === byDuid(who)

/**
 * Whether a binding is this client's: its own, or one of the same machine by its MAC or DUID, so that firmware, boot loader and system, whose DUIDs
 * differ, keep the address set aside for the machine. The same DUID with another IAID is another interface, and not the same client.
 */
export function isOwn (binding: Binding6, who: Who6): boolean {
  if (binding.client === who.holder) return true
  return isMachine(binding.client, who) && !(binding.holder !== null && binding.holder !== who.holder && binding.holder.startsWith(`${who.duid}/`))
}

const rest = 60_000 // ms after its end before a binding of somebody else is counted as gone

/** True when nobody but `who` has a claim on the address that this rack knows of. `lapsed`: whether ended bindings of others are none. */
export function open6 (view: View6, address: Ip6, who: Who6, client: string, now: number, lapsed = true): boolean {
  if (view.quarantined(address) || view.refused(address, client)) return false
  const host = view.hostAt(address)
  if (host !== undefined && !isMachine(host.client, who)) return false
  const binding = view.bindingAt(address)
  return binding === undefined || isOwn(binding, who) || (lapsed && binding.expires + rest <= now)
}

/** The address set aside for the machine on these subnets, if it may have it now. */
export function fixed6 (view: View6, subnets: readonly Subnet6[], who: Who6, now: number): Choice6 | undefined {
  for (const name of [byDuid(who), who.mac]) {
    const hosts = name === undefined ? [] : view.hosts(name)
    for (const subnet of hosts.length === 0 ? [] : subnets) {
      for (const { address, hostname, client } of hosts) if (holds6(subnet.prefix, address) && open6(view, address, who, client, now)) return { subnet, address, hostname, client, fresh: false }
    }
  }
  return undefined
}

/** The address the client has or had, if nobody else got it since. A lapsed binding outside the ranges is a former fixed address: not given again. */
export function known6 (view: View6, subnets: readonly Subnet6[], who: Who6, now: number): Choice6 | undefined {
  let best: Binding6 | undefined
  let where: Subnet6 | undefined
  for (const binding of view.bindings(who.holder)) {
    const subnet = subnetHolding6(subnets, binding.address)
    if (subnet === undefined || (best !== undefined && binding.expires <= best.expires)) continue
    if (!open6(view, binding.address, who, who.holder, now) || (binding.expires <= now && !isDynamic6(subnet, binding.address))) continue
    best = binding
    where = subnet
  }
  return best && where && { subnet: where, address: best.address, hostname: null, client: who.holder, fresh: false }
}

const probes = 256n

/**
 * The same address for the same client on every rack, as long as it is free: a hash of who and where, then on from there in even steps. A
 * range of up to 256 addresses is searched whole, a larger one at 256 places: it is found full only when nearly all of it is.
 */
export function hashed6 (view: View6, subnet: Subnet6, who: Who6, now: number, avoid: ReadonlySet<Ip6>): Choice6 | undefined {
  const { size } = subnet
  if (size === 0n) return undefined
  const hash = createHash('sha256').update(`${who.holder} ${subnet.id}`).digest()
  const start = hash.readBigUInt64BE(0) << 64n | hash.readBigUInt64BE(8)
  const stride = coprime(hash.readBigUInt64BE(16) | 1n, size)
  const tries = size < probes ? size : probes
  for (const lapsed of [false, true]) {
    for (let probe = 0n; probe < tries; probe++) {
      const address = addressAt(subnet, (start + probe * stride) % size)
      if (!avoid.has(address) && isDynamic6(subnet, address) && view.hostAt(address) === undefined && open6(view, address, who, who.holder, now, lapsed)) return { subnet, address, hostname: null, client: who.holder, fresh: true }
    }
  }
  return undefined
}

function coprime (stride: bigint, size: bigint): bigint {
  let [a, b] = [stride % size, size]
  while (a > 0n) [a, b] = [b % a, a]
  return b === 1n ? stride : 1n
}

/** The address set aside, else the one it has or had, else one it asks for that is free, else one by the hash. `avoid`: given in this message already. */
export function choose6 (view: View6, subnets: readonly Subnet6[], who: Who6, hints: readonly Ip6[], now: number, avoid: ReadonlySet<Ip6>): Choice6 | undefined {
  const sure = [fixed6(view, subnets, who, now), known6(view, subnets, who, now)].find(choice => choice !== undefined && !avoid.has(choice.address))
  if (sure !== undefined) return sure
  for (const address of hints) {
    const subnet = subnetHolding6(subnets, address)
    if (subnet !== undefined && !avoid.has(address) && isDynamic6(subnet, address) && view.hostAt(address) === undefined && open6(view, address, who, who.holder, now, false)) return { subnet, address, hostname: null, client: who.holder, fresh: true }
  }
  for (const subnet of subnets) {
    const choice = hashed6(view, subnet, who, now, avoid)
    if (choice !== undefined) return choice
  }
  return undefined
}
