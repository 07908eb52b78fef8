/** A rack's whole receive path in one process and in virtual time, its region a referee in memory; everything it sends is judged. */
import { createLogger } from '../../../core/log.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { Blocks } from '../../../plugins/dhcp/blocks.ts'
import { Chain } from '../../../plugins/dhcp/chain.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/ipv4.ts'
import { Limits } from '../../../plugins/dhcp/limits.ts'
import type { Answer, SegmentEntry, WantedEntry, Wish } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/memory.ts'
import { messageType, option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, u8 } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/packet.ts'
import type { Packet } from '../../../plugins/dhcp/packet.ts'
import type { Segment } from '../../../plugins/dhcp/segment.ts'
import { Server } from '../../../plugins/dhcp/server.ts'
import { Wishes } from '../../../plugins/dhcp/wishes.ts'
import { judge } from './judge.ts'
import { StoringReferee } from './referee.ts'

const start = Date.UTC(2030, 0, 1)
const subnet = (id: string, net: string, ranges: readonly (readonly [number, number])[], gateway: string | null = null) => ({
  id, cidr: `${net}.0/24`, gateway, dnsServers: [`${net}.53`], leaseSeconds: 600, dynamic: ranges.map(([first, last]) => ({ start: `${net}.${first}`, end: `${net}.${last}` }))
})
/** Two VLANs: of one this rack is the first and it has two subnets, of the other the second. */
export const fuzzSegments: readonly { readonly id: string, readonly value: SegmentEntry }[] = [
  { id: '5', value: { interface: 'eth0', address: '10.0.0.2', rank: 0, mtu: 9000, subnets: [subnet('s1', '10.0.0', [[100, 159], [170, 219]], '10.0.0.1'), subnet('s2', '10.0.1', [[10, 29]])] } },
  { id: '6', value: { interface: 'eth1', address: '10.0.2.2', rank: 1, mtu: 1500, subnets: [subnet('s3', '10.0.2', [[10, 99]], '10.0.2.1')] } }
]

/** `hex`: the packet it came of. */
export interface Trouble { readonly what: string, readonly hex: string }
export interface FuzzRack {
  readonly segments: readonly Segment[]
  readonly referee: StoringReferee
  /** What was dropped, sent and heard, by reason and type. */
  readonly counts: Map<string, number>
  /** Takes in a packet, which must not change after; gives its replies so far. */
  receive(packet: Packet | Buffer, segment?: Segment): readonly Packet[]
  /** Lets `ms` go by, and the region answer. */
  pass(ms: number): Promise<void>
  /** A packet and every reply to it. */
  exchange(packet: Packet, segment?: Segment): Promise<readonly Packet[]>
  /** A machine boots: the address it is acknowledged, or why not. */
  boot(mac: string): Promise<string>
  /** A machine extends its lease. */
  extend(mac: string, address: string): Promise<string>
  /** Gives a machine a lease, known to all. */
  lease(mac: string, address: string, seconds?: number): Promise<void>
  /** For a MAC, or for `id:` and a client id in hex. */
  setAside(client: string, address: string): void
  /** `stored`: as it is; `silent`: no region answers; `other`: another rack is quicker with half of the addresses. */
  region: 'stored' | 'silent' | 'other'
  /** What should not have happened so far. */
  troubles(): readonly Trouble[]
  /** How many things the rack keeps in memory. */
  kept(): number
}

export function createFuzzRack (): FuzzRack {
  let time = 0
  const clock: Clock = { now: () => start + time, monotonic: () => time, sleep: async () => {} }
  const counts = new Map<string, number>()
  const count = (what: string) => { counts.set(what, (counts.get(what) ?? 0) + 1) }
  const troubles: Trouble[] = []
  let last: Buffer = Buffer.of()
  const trouble = (what: string, data: Buffer = last) => { if (troubles.length < 20) troubles.push({ what, hex: data.toString('hex') }) }
  const quiet: Logger = createLogger('silent')
  const log: Logger = Object.assign(Object.create(quiet) as Logger, { error: (...args: unknown[]) => { trouble(`an error in the log: ${JSON.stringify(args)}`) } })
  const memory = new Memory()
  memory.apply(fuzzSegments.map(({ id, value }): WantedEntry => ({ kind: 'segment', id, value })), [], true, clock.now())
  const segments = [...memory.segments.values()]
  const referee = new StoringReferee(segments)
  const untold: WantedEntry[] = [] // by other racks
  const stored: number[] = [] // by this one, the answers under way
  let others = 0
  let number = 0
  const call = async (wishes: readonly Wish[]): Promise<readonly Answer[]> => {
    if (rack.region === 'silent') return []
    return wishes.map(({ address, subnet, client, seconds }): Answer => {
      if (rack.region === 'other' && ++others % 2 === 0) ghost(address, subnet)
      stored.push(parseIp(address))
      return referee.bind(parseIp(address), subnet, client, seconds, clock.now())
        ? { stored: true, expires: new Date(clock.now() + seconds * 1000).toISOString(), number: String(++number), reason: null, quiet: false }
        : { stored: false, expires: null, number: null, reason: 'taken', quiet: false }
    })
  }
  /** Another rack stores a binding; this one is told a moment later. */
  const ghost = (address: string, subnet: string) => {
    const client = `02:ff:00:00:00:${others % 90 + 10}`
    if (referee.bind(parseIp(address), subnet, client, 300, clock.now())) untold.push({ kind: 'binding', id: address, value: { subnet, client, clientId: null, expires: new Date(clock.now() + 300_000).toISOString(), number: String(++number) } })
  }
  const tell = () => {
    for (const id of [...stored.splice(0), ...untold.map(({ id }) => parseIp(id))]) { const row = referee.rows.get(id); if (row !== undefined) row.untold = false }
    if (untold.length > 0) memory.apply(untold.splice(0), [], false, clock.now())
  }
  const wishes = new Wishes({ call, monotonic: clock.monotonic })
  const grant = async ({ subnet }: { readonly subnet: string }) => {
    if (rack.region === 'silent') return { addresses: [] }
    const { addresses, ended } = referee.grant(subnet, 16, clock.now())
    memory.apply([], ended.map(address => ({ kind: 'binding', id: ipText(address) })), false, clock.now())
    return { addresses: addresses.map(ipText) }
  }
  const blocks = new Blocks({ memory, grant, low: 8, log: quiet, clock })
  const limits = new Limits()
  const chain = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log })
  const server = new Server({
    chain, memory, wishes, blocks, limits, clock, log, quarantineSeconds: 600,
    traffic: { received: type => { count(`heard ${type}`) }, sent: type => { count(`sent ${type}`) }, dropped: reason => { count(reason); if (reason === 'internal') trouble('an error of the server') }, bound: () => {} },
    report: (kind, { address, client }) => { kind === 'released' ? referee.release(parseIp(address), client, clock.now()) : referee.decline(parseIp(address), client, clock.now() + 600_000) }
  })
  const [first] = segments as [Segment]
  const settle = async () => { for (let turn = 0; turn < 12; turn++) await Promise.resolve() }

  const rack: FuzzRack = {
    segments,
    referee,
    counts,
    region: 'stored',
    receive (packet, segment = first) {
      const replies: Packet[] = []
      const data = Buffer.isBuffer(packet) ? packet : encode(packet as Packet)
      let request: Packet | undefined
      last = data
      server.receive(segment, data, (sent, port, address) => {
        try {
          request ??= decode(data)
          const { reply, fault } = judge({ segment, request, data: Buffer.from(sent), port, address }, referee, clock.now())
          replies.push(reply)
          if (fault !== undefined) trouble(fault, data)
        } catch (error) { trouble(`a reply that cannot be read: ${String(error)}`, data) }
      })
      return replies
    },
    async pass (ms) { tell(); time += ms; await settle() },
    async exchange (packet, segment) {
      const replies = rack.receive(packet, segment)
      await rack.pass(1)
      return replies
    },
    async boot (mac) {
      const [offer] = await rack.exchange(say('DISCOVER', mac))
      if (offer === undefined) return 'no offer'
      const [ack] = await rack.exchange(say('REQUEST', mac, [[option.serverId, offer.options.get(option.serverId) ?? u8(0)], [option.requestedAddress, ip(offer.yiaddr)]]))
      return ack === undefined ? 'no acknowledgement' : ipText(ack.yiaddr)
    },
    async extend (mac, address) {
      const [ack] = await rack.exchange({ ...say('REQUEST', mac), ciaddr: parseIp(address) })
      return ack === undefined ? 'no answer' : ipText(ack.yiaddr)
    },
    async lease (mac, address, seconds = 1_000_000) {
      const of = first.subnets[0]?.id ?? ''
      if (!referee.bind(parseIp(address), of, mac, seconds, clock.now())) trouble(`${address} was not free`)
      memory.apply([{ kind: 'binding', id: address, value: { subnet: of, client: mac, clientId: null, expires: new Date(clock.now() + seconds * 1000).toISOString(), number: String(++number) } }], [], false, clock.now())
    },
    setAside (client, address) {
      referee.setAside(parseIp(address), client)
      memory.apply([{ kind: 'host', id: address, value: { subnet: first.subnets[0]?.id ?? '', client, hostname: 'sure-fox' } }], [], false, clock.now())
    },
    troubles: () => troubles,
    kept: () => sizeIn({ memory, wishes, blocks, limits }, new Set())
  }
  return rack
}

/** A plain message of a client. */
const say = (type: keyof typeof messageType, mac: string, options: readonly (readonly [number, Buffer])[] = []): Packet => ({
  op: 1, htype: 1, hops: 0, xid: 0x1234, secs: 60, flags: 0, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, mac, sname: '', file: '',
  options: new Map([[option.messageType, u8(messageType[type])], ...options])
})

/** Entries of all maps, sets and arrays an object reaches. */
function sizeIn (value: unknown, seen: Set<object>): number {
  if (typeof value !== 'object' || value === null || seen.has(value) || Buffer.isBuffer(value)) return 0
  seen.add(value)
  if (value instanceof Map || value instanceof Set) {
    let sum = value.size
    for (const entry of value.values()) { if (typeof entry !== 'object' || entry === null) break; sum += sizeIn(entry, seen) }
    return sum
  }
  let sum = Array.isArray(value) ? value.length : 0
  for (const part of Object.values(value)) if (typeof part === 'object') sum += sizeIn(part, seen)
  return sum
}
