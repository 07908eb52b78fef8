/** DHCPv6 messages and views for tests, from the few fields that matter to each. */
import type { Segment6Entry, WantedEntry } from '../../../../plugins/dhcp/manifest.ts'
import type { View6 } from '../../../../plugins/dhcp/v6/address6.ts'
import { message6, option6 } from '../../../../plugins/dhcp/v6/codes6.ts'
import type { Message6Type } from '../../../../plugins/dhcp/v6/codes6.ts'
import { duidOfUuid } from '../../../../plugins/dhcp/v6/duid.ts'
import { parseIp6, unspecified } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { Memory6 } from '../../../../plugins/dhcp/v6/memory6.ts'
import { u16 } from '../../../../plugins/dhcp/v6/options6.ts'
import type { Option6 } from '../../../../plugins/dhcp/v6/options6.ts'
import { iaOption } from '../../../../plugins/dhcp/v6/packet6.ts'
import type { Packet6 } from '../../../../plugins/dhcp/v6/packet6.ts'
import type { Datagram6, Relay6 } from '../../../../plugins/dhcp/v6/relay6.ts'

export const now = Date.UTC(2030, 0, 1)
export const serverUuid = '6f0f5a52-1b7e-4d0e-9d51-0a1b2c3d4e5f'
export const mine = duidOfUuid(serverUuid)
export const theirs = duidOfUuid('00000000-1b7e-4d0e-9d51-0a1b2c3d4e5f')
export const me = '52:54:00:00:00:01'
export const other = '52:54:00:00:00:02'
/** A DUID-LL of a MAC. */
export const duidLl = (mac: string): Buffer => Buffer.from(`00030001${mac.replaceAll(':', '')}`, 'hex')
/** A link-local address that tells nothing of a MAC. */
export const opaque = parseIp6('fe80::1234:5678:9abc:def0')

export interface Wire6 {
  readonly type: Message6Type, readonly client?: Buffer | null, readonly server?: Buffer | null, readonly elapsed?: number
  readonly ias?: readonly (readonly [iaid: number, ...addresses: string[]])[], readonly asks?: readonly number[], readonly options?: readonly Option6[], readonly xid?: number
}
export function message (wire: Wire6): Packet6 {
  const { type, client = duidLl(me), elapsed = 0, ias = [], asks = [], options = [], xid = 0x123456 } = wire
  const toServer = type === 'REQUEST' || type === 'RENEW' || type === 'RELEASE' || type === 'DECLINE'
  const server = wire.server === undefined ? (toServer ? mine : null) : wire.server
  return {
    type: message6[type],
    xid,
    options: [
      ...client === null ? [] : [{ code: option6.clientId, value: client }],
      ...server === null ? [] : [{ code: option6.serverId, value: server }],
      ...ias.map(([iaid, ...addresses]) => iaOption({ iaid, t1: 0, t2: 0, addresses: addresses.map(address => ({ address: parseIp6(address), preferred: 0, valid: 0 })) })),
      { code: option6.elapsedTime, value: u16(elapsed) },
      ...asks.length === 0 ? [] : [{ code: option6.requestList, value: Buffer.concat(asks.map(u16)) }],
      ...options
    ]
  }
}
export const relayed = (hop: Partial<{ link: string, peer: string, hops: number, options: readonly Option6[] }> = {}): Relay6 => ({ hops: hop.hops ?? 0, link: hop.link === undefined ? unspecified : parseIp6(hop.link), peer: parseIp6(hop.peer ?? 'fe80::1234:5678:9abc:def0'), options: hop.options ?? [] })
export const datagram = (wire: Wire6, ...relays: Relay6[]): Datagram6 => ({ relays, message: message(wire) })

export interface Changes6 { readonly rank?: number, readonly mode?: 'stateless' | 'stateful', readonly ranges?: readonly (readonly [string, string])[], readonly taken?: readonly string[], readonly leaseSeconds?: number, readonly interface?: string, readonly address?: string | null }
/** A segment with 2001:db8:1::/64 (a range of 256 addresses) and 2001:db8:2::/64 (no range). */
export const segment6Entry = (changes: Changes6 = {}): Segment6Entry => ({
  interface: changes.interface ?? 'eth0', address: changes.address === undefined ? '2001:db8:1::2' : changes.address, rank: changes.rank ?? 0, mode: changes.mode ?? 'stateful', server: serverUuid,
  subnets: [
    {
      id: 's1', cidr: '2001:db8:1::/64', dnsServers: ['2001:db8:1::53', '2001:db8:1::54'], search: ['example.org', 'lab.example.org'], ntpServers: ['2001:db8:1::123'], leaseSeconds: changes.leaseSeconds ?? 600,
      dynamic: (changes.ranges ?? [['2001:db8:1::1:0', '2001:db8:1::1:ff']]).map(([start, end]) => ({ start, end })), taken: [...changes.taken ?? []]
    },
    { id: 's2', cidr: '2001:db8:2::/64', dnsServers: [], search: [], ntpServers: [], leaseSeconds: 1200, dynamic: [], taken: [] }
  ]
})

export interface Known6 extends Changes6 {
  readonly hosts?: readonly (readonly [mac: string, address: string])[]
  readonly bindings?: readonly (readonly [client: string, address: string, seconds: number, holder?: string])[] // seconds from now, negative when lapsed
  readonly asked?: readonly string[] // DUIDs in hex, once for every time
}
export function memoryOf (known: Known6 = {}): Memory6 {
  const memory = new Memory6()
  const put: WantedEntry[] = [
    { kind: 'segment6', id: '5', value: segment6Entry(known) },
    ...(known.hosts ?? []).map(([client, id]): WantedEntry => ({ kind: 'host', id, value: { subnet: 's1', client, hostname: 'sure-fox' } })),
    ...(known.bindings ?? []).map(([client, id, seconds, holder]): WantedEntry => ({ kind: 'binding', id, value: { subnet: 's1', client, clientId: holder ?? client, expires: new Date(now + seconds * 1000).toISOString(), number: '7' } }))
  ]
  memory.apply(put, [], true, now)
  for (const duid of known.asked ?? []) memory.ask(duid, now)
  return memory
}
export const viewOf = (known: Known6 = {}): View6 => {
  const memory = memoryOf(known)
  const segment = memory.segments.get('5')
  if (segment === undefined) throw new Error('there is a segment')
  return memory.view(segment, now)
}
