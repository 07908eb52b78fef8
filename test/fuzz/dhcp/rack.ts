/** A rack's whole receive path in one process and in virtual time, its region a referee in memory; everything it sends is judged. */
import { BedplateError } from '../../../core/errors.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { changed } from '../../../plugins/dhcp/alone/journal.ts'
import type { Journal, JournalState } from '../../../plugins/dhcp/alone/journal.ts'
import type { Answer, SegmentEntry, SyncParams, SyncResult, WantedEntry, Wish } from '../../../plugins/dhcp/manifest.ts'
import { messageType, option } from '../../../plugins/dhcp/options/codes.ts'
import { ip, u8 } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import { createResponder } from '../../../plugins/dhcp/rack/responder.ts'
import { segmentOf } from '../../../plugins/dhcp/v4/segment.ts'
import type { Segment } from '../../../plugins/dhcp/v4/segment.ts'
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
  const sleepers = new Map<() => void, number>() // and when each is due
  const clock: Clock = {
    now: () => start + time,
    monotonic: () => time,
    sleep: (ms, signal) => new Promise(resolve => {
      if (signal?.aborted) { resolve(); return }
      const wake = () => { sleepers.delete(wake); signal?.removeEventListener('abort', wake); resolve() }
      sleepers.set(wake, time + ms)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
  const counts = new Map<string, number>()
  const count = (what: string) => { counts.set(what, (counts.get(what) ?? 0) + 1) }
  const troubles: Trouble[] = []
  let last: Buffer = Buffer.of()
  const trouble = (what: string, data: Buffer = last) => { if (troubles.length < 20) troubles.push({ what, hex: data.toString('hex') }) }
  const quiet: Logger = createLogger('silent')
  const log: Logger = Object.assign(Object.create(quiet) as Logger, { error: (...args: unknown[]) => { trouble(`an error in the log: ${JSON.stringify(args)}`) } })
  const plain = fuzzSegments.map(({ id, value }) => segmentOf(id, value))
  const referee = new StoringReferee(plain)
  const untold: WantedEntry[] = [] // bindings on their way to the rack
  let others = 0
  let number = 0
  const call = async (wishes: readonly Wish[]): Promise<readonly Answer[]> => {
    cutOff()
    return wishes.map(({ address, subnet, client, seconds }): Answer => {
      if (rack.region === 'other' && ++others % 2 === 0) ghost(address, subnet)
      if (!referee.bind(parseIp(address), subnet, client, seconds, clock.now())) return { stored: false, expires: null, number: null, reason: 'taken', quiet: false }
      const expires = new Date(clock.now() + seconds * 1000).toISOString()
      untold.push({ kind: 'binding', id: address, value: { subnet, client, clientId: null, expires, number: String(++number) } })
      return { stored: true, expires, number: String(number), reason: null, quiet: false }
    })
  }
  /** Another rack stores a binding; this one is told a moment later. */
  const ghost = (address: string, subnet: string) => {
    const client = `02:ff:00:00:00:${others % 90 + 10}`
    if (referee.bind(parseIp(address), subnet, client, 300, clock.now())) untold.push({ kind: 'binding', id: address, value: { subnet, client, clientId: null, expires: new Date(clock.now() + 300_000).toISOString(), number: String(++number) } })
  }
  const tell = () => {
    for (const { id } of untold) { const row = referee.rows.get(parseIp(id)); if (row !== undefined) row.untold = false }
    if (untold.length > 0) apply(untold.splice(0))
  }
  const cutOff = () => { if (rack.region === 'silent') throw new BedplateError('LINK_DOWN', { controller: 'any region' }) }
  const grant = async ({ subnet }: { readonly subnet: string }) => {
    cutOff()
    const { addresses, ended } = referee.grant(subnet, 16, clock.now())
    apply([], ended.map(address => ({ kind: 'binding', id: ipText(address) })))
    return { addresses: addresses.map(ipText) }
  }
  const sync = async ({ entries, subnets, last }: SyncParams): Promise<SyncResult> => {
    cutOff()
    const refused: number[] = []
    for (const { seq, address, subnet, client, seconds } of entries) {
      if (!referee.settle(parseIp(address), subnet, client, seconds, clock.now())) { refused.push(seq); continue }
      untold.push({ kind: 'binding', id: address, value: { subnet, client, clientId: null, expires: new Date(clock.now() + seconds * 1000).toISOString(), number: String(++number) } })
    }
    for (const { subnet, count } of subnets) referee.fill(subnet, count, clock.now())
    return { standing: '1', autonomySeconds: 3600, through: entries.at(-1)?.seq ?? last, refused, reserves: [...referee.reserve].map(([address, subnet]) => ({ address: ipText(address), subnet, grant: '1' })), surplus: [] }
  }
  let disk: JournalState = { epoch: 'one', last: 0, leases: [], reserve: [], heard: undefined }
  const journal: Journal = {
    load: () => disk,
    commit (change) {
      disk = changed(disk, change)
      for (const { from, address, client, ends } of change.append ?? []) { count(`alone by ${from}`); const what = referee.journaled(parseIp(address), client, start + ends, clock.now()); if (what !== undefined) trouble(what) }
    },
    close () {}
  }
  const config = { rackHttpPort: 5248, firmwareLeaseSeconds: 120, quarantineSeconds: 600, blockSize: 16, reserveSize: 8, newClientPoolSeconds: 60, newClientsPerSecond: 20, newClientsPerPort: 10, newClientsPortBurst: 100 }
  const responder = createResponder({
    config, log, clock, boot: { now: () => time, id: 'this start' }, metrics: createMetrics(), journal: () => journal,
    region: { bind: async ({ wishes }) => ({ answers: [...await call(wishes)] }), grant, sync },
    report: (kind, { address, client }) => { kind === 'released' ? referee.release(parseIp(address), client, clock.now()) : referee.decline(parseIp(address), client, clock.now() + 600_000) }
  })
  const { received, sent, dropped } = responder.traffic
  Object.assign(responder.traffic, {
    received: (type: string) => { count(`heard ${type}`); received(type) },
    sent: (type: string) => { count(`sent ${type}`); sent(type) },
    dropped: (reason: string) => { count(reason); dropped(reason); if (reason === 'internal') trouble('an error of the server') }
  })
  const apply = (put: readonly WantedEntry[], remove: readonly { readonly kind: 'binding', readonly id: string }[] = [], whole = false) => { responder.apply({ put, remove }, whole) }
  apply([{ kind: 'standing', id: 'self', value: { number: '1' } }, ...fuzzSegments.map(({ id, value }): WantedEntry => ({ kind: 'segment', id, value }))], [], true)
  const segments = [...responder.memory.segments.values()]
  const [first] = segments as [Segment]
  const settle = async () => {
    await new Promise(resolve => { setImmediate(resolve) }) // what was asked in this turn leaves at its end
    for (const [wake, due] of [...sleepers]) if (due <= time) wake()
    await new Promise(resolve => { setImmediate(resolve) })
  }

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
      responder.receive(segment, data, (sent, port, address) => {
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
      apply([{ kind: 'binding', id: address, value: { subnet: of, client: mac, clientId: null, expires: new Date(clock.now() + seconds * 1000).toISOString(), number: String(++number) } }])
      await rack.pass(1)
    },
    setAside (client, address) {
      referee.setAside(parseIp(address), client)
      apply([{ kind: 'host', id: address, value: { subnet: first.subnets[0]?.id ?? '', client, hostname: 'sure-fox' } }])
    },
    troubles: () => troubles,
    kept: () => sizeIn({ responder, disk, sleepers, referee: [...referee.alone] }, new Set())
  }
  responder.start()
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
