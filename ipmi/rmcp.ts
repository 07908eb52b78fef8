/** RMCP's header, and ASF's presence ping and pong: DSP0136 sections 3.2.2 and 3.2.4; IPMI 2.0 sections 13.1.3 and 13.2. Pure. */

export const rmcpPort = 623
export const rmcpLength = 4
const version = 0x06
const noAck = 0xff // IPMI messages and pings are not acknowledged: 13.1.3
export const rmcpClass = { asf: 0x06, ipmi: 0x07 } as const

/** Four bytes at the beginning of a datagram that has room for them. */
export function writeRmcp (packet: Buffer, messageClass: number): void {
  packet[0] = version
  packet[1] = 0
  packet[2] = noAck
  packet[3] = messageClass
}

/** What a datagram is: undefined where it is neither, or an acknowledgement. */
export function classOf (packet: Buffer): 'asf' | 'ipmi' | undefined {
  if (packet.length <= rmcpLength || packet[0] !== version) return undefined
  return packet[3] === rmcpClass.ipmi ? 'ipmi' : packet[3] === rmcpClass.asf ? 'asf' : undefined
}

const asfNumber = 4542 // IANA's for ASF
const type = { ping: 0x80, pong: 0x40 } as const

/** `tag`: 0 to 254, comes back in the pong. */
export function encodePing (tag: number): Buffer { return asf(type.ping, tag, Buffer.alloc(0)) }

/** What a pong says of its sender. `ipmi`: it does IPMI. `oem`: IANA's number of whoever defined its OEM bits, 4542 where there are none. */
export interface Pong { readonly tag: number, readonly ipmi: boolean, readonly oem: number }
export function encodePong ({ tag, ipmi, oem }: Pong): Buffer {
  const data = Buffer.alloc(16)
  data.writeUInt32BE(oem, 0)
  data[8] = (ipmi ? 0x80 : 0) | 0x01 // ASF 1.0
  return asf(type.pong, tag, data)
}

export type Presence = { readonly kind: 'ping', readonly tag: number } | { readonly kind: 'pong' } & Pong
/** Undefined for what is no presence ping or pong. */
export function decodeAsf (packet: Buffer): Presence | undefined {
  if (classOf(packet) !== 'asf' || packet.length < 12 || packet.readUInt32BE(4) !== asfNumber) return undefined
  const [kind, tag = 0, length = 0] = [packet[8], packet[9], packet[11]]
  if (packet.length < 12 + length) return undefined
  if (kind === type.ping) return { kind: 'ping', tag }
  if (kind !== type.pong || length < 16) return undefined
  return { kind: 'pong', tag, ipmi: ((packet[20] ?? 0) & 0x80) !== 0, oem: packet.readUInt32BE(12) }
}

function asf (kind: number, tag: number, data: Buffer): Buffer {
  const packet = Buffer.alloc(12 + data.length)
  writeRmcp(packet, rmcpClass.asf)
  packet.writeUInt32BE(asfNumber, 4)
  packet[8] = kind
  packet[9] = tag
  packet[11] = data.length
  packet.set(data, 12)
  return packet
}
