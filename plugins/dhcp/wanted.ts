/** What a rack is told: the VLANs it serves, and their hosts, bindings and blocks; and which of that a change concerns. */
import type { Change, Database } from '../../core/plugin.ts'
import type { WantedEntry, WantedKey } from './manifest.ts'
import type { Attachment, NetworkService, Subnet, Vlan } from '../network/manifest.ts'
import { bindingsOf, blocksOf, listVlans } from './store.ts'
import type { ServedVlan } from './store.ts'

/** The racks that serve a VLAN, ranked: those named, or all attached to it; in either case only those that touch it. */
export function ranked ({ racks }: Pick<ServedVlan, 'racks'>, attachments: readonly Attachment[]): string[] {
  const touching = new Set(attachments.map(({ rack }) => rack))
  return racks.length > 0 ? racks.filter(rack => touching.has(rack)) : [...touching].sort()
}

interface Served { readonly vlan: Vlan, readonly rank: number, readonly attachment: Attachment, readonly subnets: readonly Subnet[] }

/** The VLANs a rack serves. Its address on each is the first by interface and address, none that floats, so that it stays the same. */
async function servedBy (db: Database, network: NetworkService, rack: string): Promise<Served[]> {
  const enabled = (await listVlans(db)).filter(({ enabled }) => enabled)
  if (enabled.length === 0) return []
  const [vlans, subnets, attachments] = await Promise.all([network.vlans(db), network.subnets(db), network.attachments(db)])
  const v4 = subnets.filter(({ family }) => family === 4)
  const served: Served[] = []
  for (const settings of enabled) {
    const here = attachments.filter(({ vlanId, subnetId }) => vlanId === settings.id && v4.some(({ id }) => id === subnetId))
    const rank = ranked(settings, here).indexOf(rack)
    const vlan = vlans.find(({ id }) => id === settings.id)
    const [attachment] = here.filter(attachment => attachment.rack === rack)
    if (rank !== -1 && vlan !== undefined && attachment !== undefined) served.push({ vlan, rank, attachment, subnets: v4.filter(({ vlanId }) => vlanId === settings.id) })
  }
  return served
}

const family4 = (addresses: readonly string[]): string[] => addresses.filter(address => !address.includes(':'))

/** The entries of a rack: all, or those `keys` names. */
export async function wantedBy (db: Database, network: NetworkService, rack: string, leaseSeconds: number, keys?: readonly WantedKey[]): Promise<WantedEntry[]> {
  const asked = (kind: WantedKey['kind']): string[] | undefined => keys?.filter(key => key.kind === kind).map(({ id }) => id)
  const wants = (kind: WantedKey['kind']): boolean => keys === undefined || keys.some(key => key.kind === kind)
  const served = await servedBy(db, network, rack)
  const subnetIds = served.flatMap(({ subnets }) => subnets.map(({ id }) => id))
  if (subnetIds.length === 0) return []
  const chosen = asked('segment')
  const segments = served.filter(({ vlan }) => chosen === undefined || chosen.includes(vlan.id)).map(({ vlan, rank, attachment, subnets }): WantedEntry => ({
    kind: 'segment',
    id: vlan.id,
    value: {
      interface: attachment.interface, address: attachment.address, rank, mtu: vlan.mtu,
      subnets: subnets.map(({ id, cidr, gateway, dnsServers, ranges }) => ({
        id, cidr, gateway, dnsServers: family4(dnsServers), leaseSeconds,
        dynamic: ranges.filter(({ kind }) => kind === 'dynamic').map(({ start, end }) => ({ start, end }))
      }))
    }
  }))
  const hostIds = asked('host')
  const hosts = wants('host') ? await network.addresses(db, { subnetIds, ...(hostIds === undefined ? {} : { addresses: hostIds }) }) : []
  const bindings = wants('binding') ? await bindingsOf(db, subnetIds, asked('binding')) : []
  const blockIds = asked('block')
  const blocks = wants('block') ? await blocksOf(db, rack, blockIds === undefined ? subnetIds : subnetIds.filter(id => blockIds.includes(id))) : []
  return [
    ...segments,
    ...hosts.flatMap(({ address, subnetId, mac, hostname }): WantedEntry[] => mac === null ? [] : [{ kind: 'host', id: address, value: { subnet: subnetId, client: mac, hostname } }]),
    ...bindings.map(({ address, subnet, client, clientId, expires, number }): WantedEntry => ({ kind: 'binding', id: address, value: { subnet, client, clientId, expires: expires.toISOString(), number } })),
    ...blocks.map(({ subnet, addresses }): WantedEntry => ({ kind: 'block', id: subnet, value: { addresses } }))
  ]
}

/**
 * Which entries the rows of the change log concern. A lease or an address is one entry. What may bring a segment in or out of a rack
 * concerns all that segment holds: rare, and proportional to it. What a rack keeps of a segment it no longer serves is never looked at.
 */
export async function touchedBy (db: Database, network: NetworkService, changes: readonly Change[]): Promise<WantedKey[]> {
  const keys = new Map<string, WantedKey>()
  const add = (kind: WantedKey['kind'], id: string) => { keys.set(`${kind} ${id}`, { kind, id }) }
  const [vlans, subnets, racks] = [new Set<string>(), new Set<string>(), new Set<string>()]
  for (const { topic, id } of changes) {
    if (topic === 'dhcp.binding') add('binding', id)
    else if (topic === 'dhcp.block') add('block', id)
    else if (topic === 'network.address' && !id.includes(':')) add('host', id)
    else if (topic === 'dhcp.vlan' || topic === 'network.vlan') vlans.add(id)
    else if (topic === 'network.subnet') subnets.add(id)
    else if (topic === 'network.attachment') racks.add(id)
  }
  for (const id of vlans) add('segment', id)
  if (subnets.size + racks.size > 0) for (const { id } of await listVlans(db)) add('segment', id)
  for (const rack of racks) for (const { vlanId } of await network.attachments(db, { rack })) vlans.add(vlanId)
  if (vlans.size > 0) for (const { id, vlanId } of await network.subnets(db)) if (vlans.has(vlanId)) subnets.add(id)
  if (subnets.size === 0) return [...keys.values()]
  const subnetIds = [...subnets]
  for (const id of subnetIds) add('block', id)
  for (const { address } of await network.addresses(db, { subnetIds })) if (!address.includes(':')) add('host', address)
  for (const { address } of await bindingsOf(db, subnetIds)) add('binding', address)
  return [...keys.values()]
}
