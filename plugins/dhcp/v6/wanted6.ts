/** What a rack is told of IPv6: the VLANs it serves with DHCPv6, and their hosts and bindings. */
import type { Query } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { fixedOwner } from '../config/fixed.ts'
import type { WantedEntry, WantedKey } from '../manifest.ts'
import type { Served } from '../region/serving.ts'
import { bootAddresses } from '../region/boot-address.ts'
import { bindingsOf } from '../store.ts'
import { server6 } from '../store/server6.ts'
import { listFixed, listSubnetSettings } from '../store/settings.ts'

const family6 = (addresses: readonly string[]): string[] => addresses.filter(address => address.includes(':'))

/** The VLANs as DHCPv6 serves them. A rack without an IPv6 address there gives addresses all the same, but can name no boot file. */
async function segments6 (q: Query, network: NetworkService, served: readonly Served[], leaseSeconds: number): Promise<WantedEntry[]> {
  if (served.length === 0) return []
  const [settings, server] = [new Map((await listSubnetSettings(q)).map(one => [one.id, one])), await server6(q)]
  const boot = await bootAddresses(q, network, served, 6)
  const racks = new Map<string, string[]>() // addresses of racks by subnet
  for (const { subnetId, address } of await network.attachments(q)) racks.set(subnetId, [...racks.get(subnetId) ?? [], address])
  return served.flatMap(({ vlan, settings: { v6 }, rank, attachments, subnets }): WantedEntry[] => {
    const own = subnets.filter(({ family }) => family === 6)
    const here = attachments.find(({ subnetId }) => own.some(({ id }) => id === subnetId))
    const device = (here ?? attachments[0])?.interface
    if (v6 === 'off' || device === undefined) return []
    const bootAddress = boot.get(vlan.id)
    return [{
      kind: 'segment6',
      id: vlan.id,
      value: {
        interface: device, address: here?.address ?? null, ...bootAddress === undefined ? {} : { bootAddress }, rank, mode: v6, server,
        subnets: own.map(({ id, vlanId, cidr, gateway, dnsServers, ranges }) => ({
          id, cidr, dnsServers: family6(dnsServers), search: [...settings.get(id)?.search ?? []], ntpServers: family6(settings.get(id)?.ntp ?? []),
          leaseSeconds: settings.get(id)?.leaseSeconds ?? leaseSeconds,
          dynamic: v6 === 'stateless' ? [] : ranges.filter(({ kind }) => kind === 'dynamic').map(({ start, end }) => ({ start, end })),
          taken: [...new Set([...gateway === null ? [] : [gateway], ...family6(dnsServers), ...racks.get(id) ?? []])],
          ...vlanId === vlan.id ? {} : { link: vlanId }
        }))
      }
    }]
  })
}

/** Whom an address is set aside for when no machine is named: nobody, and so nobody gets it. */
const nobody = 'nobody'

/** Addresses set aside, for a MAC or for a DUID. */
async function hosts6 (q: Query, network: NetworkService, subnetIds: readonly string[], addresses: readonly string[] | undefined): Promise<WantedEntry[]> {
  const duids = new Map((await listFixed(q, { subnetIds, addresses })).map(({ address, clientId }) => [address, clientId]))
  return (await network.addresses(q, { subnetIds, ...addresses === undefined ? {} : { addresses } })).map(({ address, subnetId, mac, owner, hostname }): WantedEntry => {
    const duid = owner === fixedOwner ? duids.get(address) : undefined
    return { kind: 'host', id: address, value: { subnet: subnetId, client: duid === undefined ? mac ?? nobody : `id:${duid}`, hostname } }
  })
}

/** The subnets whose bindings of IPv6 racks are told. */
export const told6 = (served: readonly Served[]): string[] => served.flatMap(({ settings: { v6 }, subnets }) => v6 === 'stateful' ? subnets.filter(({ family }) => family === 6).map(({ id }) => id) : [])

/** The entries of IPv6 of a rack: all, or those `keys` names. Who is told of bindings is noted before (wanted.ts). */
export async function wanted6By (q: Query, network: NetworkService, servedBy: readonly Served[], leaseSeconds: number, keys?: readonly WantedKey[]): Promise<WantedEntry[]> {
  const served = servedBy.filter(({ settings: { v6 } }) => v6 !== 'off')
  if (served.length === 0) return []
  const asked = (kind: WantedKey['kind']): string[] | undefined => keys?.filter(key => key.kind === kind && (kind === 'segment6' || key.id.includes(':'))).map(({ id }) => id)
  const some = (ids: readonly string[] | undefined): boolean => ids === undefined || ids.length > 0
  const subnetIds = told6(served)
  const [segments, hosts, bindings] = [asked('segment6'), asked('host'), asked('binding')]
  const bound = subnetIds.length > 0 && some(bindings) ? await bindingsOf(q, subnetIds, bindings) : []
  return [
    ...some(segments) ? await segments6(q, network, served.filter(({ vlan }) => segments?.includes(vlan.id) ?? true), leaseSeconds) : [],
    ...subnetIds.length > 0 && some(hosts) ? await hosts6(q, network, subnetIds, hosts) : [],
    ...bound.filter(({ retiring }) => retiring === null).map(({ address, subnet, client, clientId, expires, number }): WantedEntry => ({ kind: 'binding', id: address, value: { subnet, client, clientId, expires: expires.toISOString(), number } }))
  ]
}
