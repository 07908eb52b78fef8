/** What a rack is told: the VLANs it serves, their options, hosts, bindings and blocks; and which of that a change concerns. */
import type { Change, Database, Query } from '../../../core/plugin.ts'
import { bootAddresses } from './boot-address.ts'
import { effective } from '../config/custom.ts'
import { fixedOwner } from '../config/fixed.ts'
import type { WantedEntry, WantedKey } from '../manifest.ts'
import type { NetworkService } from '../../network/manifest.ts'
import type { Served, Serving } from './serving.ts'
import { bindingsOf, blocksOf, isTold, retirementsOf, standingOf, tells } from '../store.ts'
import { listOptions } from '../store/options.ts'
import { listFixed, listSubnetSettings } from '../store/settings.ts'
import { told6, wanted6By } from '../v6/wanted6.ts'

export { ranked } from './serving.ts'

const family4 = (addresses: readonly string[]): string[] => addresses.filter(address => !address.includes(':'))

/** The segments of IPv4, as their racks see them. */
async function segmentsOf (q: Query, network: NetworkService, served: readonly Served[], leaseSeconds: number): Promise<WantedEntry[]> {
  const boot = await bootAddresses(q, network, served, 4)
  const settings = new Map((await listSubnetSettings(q)).map(one => [one.id, one]))
  return served.flatMap(({ vlan, settings: { mode, v6 }, rank, attachments, peers, subnets }): WantedEntry[] => {
    const own = subnets.filter(({ family }) => family === 4)
    const attachment = attachments.find(({ subnetId }) => own.some(({ id }) => id === subnetId))
    if (attachment === undefined) return []
    const bootAddress = boot.get(vlan.id)
    return [{
      kind: 'segment',
      id: vlan.id,
      value: {
        interface: attachment.interface, address: attachment.address, rank, mtu: vlan.mtu, mode, v6, peers: family4(peers.map(({ address }) => address)).filter(address => address !== bootAddress), ...bootAddress === undefined ? {} : { bootAddress },
        subnets: own.map(({ id, vlanId, cidr, gateway, dnsServers, ranges }) => {
          const { leaseSeconds: own, firmwareSeconds } = settings.get(id) ?? { leaseSeconds: null, firmwareSeconds: null }
          return {
            id, cidr, gateway, dnsServers: family4(dnsServers), leaseSeconds: own ?? leaseSeconds, ...firmwareSeconds === null ? {} : { firmwareSeconds }, ...vlanId === vlan.id ? {} : { link: vlanId },
            dynamic: ranges.filter(({ kind }) => kind === 'dynamic').map(({ start, end }) => ({ start, end }))
          }
        })
      }
    }]
  })
}

/** The options of these scopes: what operators set by code, over what the settings of the subnet say. */
async function optionsOf (q: Query, subnetIds: readonly string[], scopes: readonly string[] | undefined): Promise<WantedEntry[]> {
  const mine = (scope: string) => !scope.startsWith('subnet:') || subnetIds.includes(scope.slice(7))
  const settings = (await listSubnetSettings(q, scopes?.flatMap(scope => scope.startsWith('subnet:') ? [scope.slice(7)] : []) ?? subnetIds)).filter(({ id }) => subnetIds.includes(id))
  return [...effective(settings, await listOptions(q, { scopes }))].filter(([scope]) => mine(scope)).map(([id, options]): WantedEntry => ({ kind: 'options', id, value: { options } }))
}

/** Addresses set aside, for a MAC or for a client id. */
async function hostsOf (q: Query, network: NetworkService, subnetIds: readonly string[], addresses: readonly string[] | undefined): Promise<WantedEntry[]> {
  const clientIds = new Map((await listFixed(q, { subnetIds, addresses })).map(({ address, clientId }) => [address, clientId]))
  return (await network.addresses(q, { subnetIds, ...(addresses === undefined ? {} : { addresses }) })).flatMap(({ address, subnetId, mac, owner, hostname }): WantedEntry[] => {
    const clientId = owner === fixedOwner ? clientIds.get(address) : undefined
    const client = clientId === undefined ? mac : `id:${clientId}`
    return client === null ? [] : [{ kind: 'host', id: address, value: { subnet: subnetId, client, hostname } }]
  })
}

/** The claims of whom addresses of these subnets are set aside for. */
export const claimsOf = async (q: Query, network: NetworkService, subnetIds: readonly string[]): Promise<{ address: string, subnet: string, client: string }[]> =>
  (await hostsOf(q, network, subnetIds, undefined)).flatMap(entry => entry.kind === 'host' && !entry.id.includes(':') ? [{ address: entry.id, subnet: entry.value.subnet, client: entry.value.client }] : [])

/** The entries of a rack: all, or those `keys` names. */
export async function wantedBy (db: Database, network: NetworkService, serving: Serving, rack: string, leaseSeconds: number, keys?: readonly WantedKey[]): Promise<WantedEntry[]> {
  const asked = (kind: WantedKey['kind']): string[] | undefined => keys?.filter(key => key.kind === kind).map(({ id }) => id)
  const wants = (kind: WantedKey['kind']): boolean => keys === undefined || keys.some(key => key.kind === kind)
  const served = await serving.of(rack, keys === undefined)
  const subnetIds = served.flatMap(({ subnets }) => subnets.filter(({ family }) => family === 4).map(({ id }) => id))
  // In this order, whatever it costs: noted first that the rack is told; then its standing, then what it is to forget, then what is bound. So nothing is in two of them,
  // and nothing that ends in between goes unwaited for (docs/dhcp-availability.md section 5).
  const told = [...subnetIds, ...told6(served)]
  if (!await isTold(db, rack, told)) await db.tx(tx => tells(tx, rack, told))
  const standing = wants('standing') ? await standingOf(db, rack) : undefined
  const retirements = wants('retiring') ? await retirementsOf(db, rack, asked('retiring')) : []
  const own: WantedEntry[] = [
    ...standing === undefined ? [] : [{ kind: 'standing' as const, id: 'self', value: { number: standing } }],
    ...retirements.map(({ address, subnet, round }): WantedEntry => ({ kind: 'retiring', id: address, value: { subnet, round } }))
  ]
  if (served.length === 0) return own
  const chosen = asked('segment')
  const bindings = wants('binding') ? (await bindingsOf(db, subnetIds, asked('binding'))).filter(({ retiring }) => retiring === null) : []
  const blockIds = asked('block')
  const blocks = wants('block') ? await blocksOf(db, rack, blockIds === undefined ? subnetIds : subnetIds.filter(id => blockIds.includes(id))) : []
  return [
    ...own,
    ...wants('segment') ? await segmentsOf(db, network, served.filter(({ vlan }) => chosen === undefined || chosen.includes(vlan.id)), leaseSeconds) : [],
    ...wants('options') ? await optionsOf(db, subnetIds, asked('options')) : [],
    ...wants('host') ? await hostsOf(db, network, subnetIds, asked('host')) : [],
    ...bindings.map(({ address, subnet, client, clientId, expires, number }): WantedEntry => ({ kind: 'binding', id: address, value: { subnet, client, clientId, expires: expires.toISOString(), number } })),
    ...blocks.map(({ subnet, addresses }): WantedEntry => ({ kind: 'block', id: subnet, value: { addresses } })),
    ...await wanted6By(db, network, served, leaseSeconds, keys)
  ]
}

/**
 * Which entries the rows of the change log concern. A lease, an address, an option or a setting is one entry. Only where a subnet is served by other racks than before
 * is all it holds looked at: rare, and proportional to it.
 */
export async function touchedBy (db: Database, network: NetworkService, serving: Serving, changes: readonly Change[]): Promise<WantedKey[]> {
  const keys = new Map<string, WantedKey>()
  const add = (kind: WantedKey['kind'], id: string) => {
    keys.set(`${kind} ${id}`, { kind, id })
    if (kind === 'segment') add('segment6', id)
  }
  const moved = new Set<string>()
  let [plan, everySegment] = [false, false]
  for (const { topic, id } of changes) {
    if (topic === 'dhcp.binding') { add('binding', id); add('retiring', id) } else if (topic === 'dhcp.rack') add('standing', 'self')
    else if (topic === 'dhcp.block') add('block', id)
    else if (topic === 'network.address') add('host', id)
    else if (topic === 'dhcp.option') add('options', id)
    else if (topic === 'dhcp.serving') moved.add(id)
    else if (topic === 'boot.vlan') add('segment', id)
    else if (topic === 'dhcp.vlan' || topic === 'network.vlan') { add('segment', id); plan = true } else if (topic === 'network.subnet' || topic === 'network.attachment') plan = everySegment = true
    else if (topic === 'dhcp.subnet') { everySegment = true; add('options', `subnet:${id}`) }
  }
  if (plan) for (const subnet of await serving.moved()) moved.add(subnet)
  if (everySegment || moved.size > 0) for (const { id } of await network.vlans(db)) add('segment', id)
  if (moved.size === 0) return [...keys.values()]
  const subnetIds = [...moved]
  for (const id of subnetIds) { add('block', id); add('options', `subnet:${id}`) }
  for (const { scope } of await listOptions(db)) add('options', scope)
  for (const { address } of await network.addresses(db, { subnetIds })) add('host', address)
  for (const { address } of await bindingsOf(db, subnetIds)) add('binding', address)
  return [...keys.values()]
}
