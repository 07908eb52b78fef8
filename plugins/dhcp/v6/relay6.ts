/** What relays wrap around a client's message (RFC 8415 sections 9 and 19), to a bounded depth. Pure. */
import { message6, option6 } from './codes6.ts'
import { macOfHardware } from './duid.ts'
import { unspecified } from './ipv6.ts'
import type { Ip6 } from './ipv6.ts'
import { first6, invalid6, readOptions6, readU16, writeOptions6 } from './options6.ts'
import type { Option6, Options6 } from './options6.ts'
import { decode6, encode6 } from './packet6.ts'
import type { Packet6 } from './packet6.ts'

export interface Relay6 { readonly hops: number, readonly link: Ip6, readonly peer: Ip6, readonly options: Options6 }
/** A datagram: the client's message and the relays it came through, the one that sent it to us first. */
export interface Datagram6 { readonly relays: readonly Relay6[], readonly message: Packet6 }

const header = 34
/** RFC 8415 section 7.6, HOP_COUNT_LIMIT: no relay passes on what went through more. */
export const mostRelays = 8

/** Reads what came in on port 547. Throws PACKET_INVALID; `details.kind` is a short word for counting. */
export function unwrap (data: Buffer): Datagram6 { return opened(data, message6['RELAY-FORW']) }
/** Reads what a server sent: for relays and tests. Throws PACKET_INVALID. */
export function unwrapReply (data: Buffer): Datagram6 { return opened(data, message6['RELAY-REPL']) }

function opened (data: Buffer, type: number): Datagram6 {
  const relays: Relay6[] = []
  let inner = data
  while (inner[0] === type) {
    if (inner.length < header) throw invalid6('short', `a relay message of ${inner.length} bytes, at least ${header} are needed`)
    if (relays.length > mostRelays) throw invalid6('relay-depth', `more than ${mostRelays + 1} relays`)
    const options = readOptions6(inner, header)
    const carried = first6(options, option6.relayMessage)
    if (carried === undefined) throw invalid6('relay-empty', 'a relay message with no message in it')
    relays.push({ hops: inner[1] as number, link: inner.toString('hex', 2, 18), peer: inner.toString('hex', 18, 34), options })
    inner = carried
  }
  return { relays, message: decode6(inner) }
}

/** The address of the link the client is on, by the relay nearest to it that names one; `undefined` without such a relay. */
export function linkOf6 (relays: readonly Relay6[]): Ip6 | undefined {
  for (let at = relays.length - 1; at >= 0; at--) {
    const { link } = relays[at] as Relay6
    if (link !== unspecified) return link
  }
  return undefined
}

/** The client's MAC as the relay nearest to it saw it (RFC 6939). */
export function macSeen (relays: readonly Relay6[]): string | undefined {
  const value = relays.length === 0 ? undefined : first6((relays.at(-1) as Relay6).options, option6.linkLayerAddress)
  return value === undefined || value.length < 2 ? undefined : macOfHardware(value.readUInt16BE(0), value.subarray(2))
}

const echoed = new Set<number>([option6.interfaceId, option6.relayPort]) // section 19.3, and RFC 8357 section 5.2
const relayBytes = (type: number, { hops, link, peer }: Relay6, options: Options6): Buffer =>
  Buffer.concat([Buffer.of(type, hops), Buffer.from(link, 'hex'), Buffer.from(peer, 'hex'), writeOptions6(options)])

/** The bytes of a reply on its way back through the relays its request came by. */
export function wrap ({ relays, message }: Datagram6): Buffer {
  let data = encode6(message)
  for (let at = relays.length - 1; at >= 0; at--) {
    const relay = relays[at] as Relay6
    const kept = relay.options.filter(({ code }) => echoed.has(code))
    data = relayBytes(message6['RELAY-REPL'], relay, [...kept, { code: option6.relayMessage, value: data }])
  }
  return data
}

/** The bytes a client's message has once these relays have passed it on: for tests and tools. */
export function forwarded ({ relays, message }: Datagram6): Buffer {
  let data = encode6(message)
  for (let at = relays.length - 1; at >= 0; at--) {
    const relay = relays[at] as Relay6
    const others = relay.options.filter(({ code }): boolean => code !== option6.relayMessage)
    const carried: Option6 = { code: option6.relayMessage, value: data }
    data = relayBytes(message6['RELAY-FORW'], relay, [...others, carried])
  }
  return data
}

/** The port of the relay nearest to the client, by its interface and remote id (RFC 4649) in hexadecimal; null where nothing is said of it. */
export function portOf6 (relays: readonly Relay6[]): string | null {
  const options = relays.at(-1)?.options ?? []
  const [device, remote] = [first6(options, option6.interfaceId), first6(options, option6.remoteId)]
  return device === undefined && remote === undefined ? null : `${device?.toString('hex') ?? ''}/${remote?.toString('hex') ?? ''}`
}

/** Whether the relay that sent to us listens on its own source port (RFC 8357). */
export const ownPort = (relays: readonly Relay6[]): boolean => readU16(first6(relays[0]?.options ?? [], option6.relayPort)) !== undefined
