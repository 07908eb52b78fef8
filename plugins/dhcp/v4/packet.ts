/** A DHCPv4 message and its bytes (RFC 2131 section 2, RFC 2132, RFC 3396). Pure: reads every hostile input to a packet or to PACKET_INVALID. */
import { BedplateError } from '../../../core/errors.ts'
import type { Options } from '../options/area.ts'
import { readOptions, sizeOf, writeOption } from '../options/area.ts'
import { option } from '../options/codes.ts'
import { readU8 } from '../options/values.ts'

export interface Packet {
  readonly op: number // 1 from clients, 2 from servers
  readonly htype: number
  readonly hops: number
  readonly xid: number
  readonly secs: number
  readonly flags: number
  readonly ciaddr: number
  readonly yiaddr: number
  readonly siaddr: number
  readonly giaddr: number
  readonly mac: string // chaddr, hlen bytes: lower case, colons
  readonly sname: string // empty when it carried options
  readonly file: string
  readonly options: Options
}

export const broadcastFlag = 0x8000
const header = 240 // with the cookie
const cookie = 0x63825363
const smallest = 300 // BOOTP's; some clients and relays drop anything shorter

const invalid = (kind: string, reason: string) => new BedplateError('PACKET_INVALID', { protocol: 'DHCP', kind, reason })
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function macText (data: Buffer, from: number, length: number): string {
  if (length === 6) return etherText(data, from)
  let text = ''
  for (let i = 0; i < length; i++) text += (i === 0 ? '' : ':') + (hex[data[from + i] as number] as string)
  return text
}

const digit = (nibble: number): number => nibble + (nibble < 10 ? 48 : 87)
/** In one piece: put together piece by piece it would be a tree of strings, and it is the key of most that is kept of a client. */
function etherText (data: Buffer, at: number): string {
  const [a, b, c, d, e, f] = [data[at] as number, data[at + 1] as number, data[at + 2] as number, data[at + 3] as number, data[at + 4] as number, data[at + 5] as number]
  return String.fromCharCode(digit(a >> 4), digit(a & 15), 58, digit(b >> 4), digit(b & 15), 58, digit(c >> 4), digit(c & 15), 58, digit(d >> 4), digit(d & 15), 58, digit(e >> 4), digit(e & 15), 58, digit(f >> 4), digit(f & 15))
}

/** The bytes of a hardware address as `macText` writes it. */
function writeMac (into: Buffer, at: number, mac: string): number {
  const length = Math.min(16, Math.floor((mac.length + 1) / 3))
  for (let index = 0; index < length; index++) into[at + index] = nibble(mac.charCodeAt(index * 3)) << 4 | nibble(mac.charCodeAt(index * 3 + 1))
  return length
}
const nibble = (code: number): number => code <= 57 ? code & 15 : (code & 15) + 9 // 0-9, a-f, A-F

function fieldText (data: Buffer, from: number, length: number): string {
  if (data[from] === 0) return ''
  const end = data.indexOf(0, from)
  return data.toString('latin1', from, end === -1 || end > from + length ? from + length : end)
}

/** Reads one message. Throws PACKET_INVALID; `details.kind` is a short word for counting. */
export function decode (data: Buffer): Packet {
  if (data.length < header) throw invalid('short', `${data.length} bytes, at least ${header} are needed`)
  const op = data[0] as number
  if (op !== 1 && op !== 2) throw invalid('operation', `operation ${op}`)
  if (data.readUInt32BE(236) !== cookie) throw invalid('cookie', 'no magic cookie')
  const length = data[2] as number
  if (length > 16) throw invalid('hardware', `a hardware address of ${length} bytes`)
  const options = new Map<number, Buffer>()
  readOptions(data.subarray(header), options)
  const overload = readU8(options.get(option.overload)) ?? 0
  // RFC 3396 section 5: the parts of an option follow each other in the order options, file, sname.
  if (overload & 1) readOptions(data.subarray(108, 236), options)
  if (overload & 2) readOptions(data.subarray(44, 108), options)
  // It is given back whole, so one that has no end would leave no room for what the client needs. Relays write one option of at most 255 bytes (RFC 3046 section 2.0).
  if ((options.get(option.relay)?.length ?? 0) > 255) throw invalid('relay-long', 'a relay option of more than 255 bytes')
  return {
    op,
    htype: data[1] as number,
    hops: data[3] as number,
    xid: data.readUInt32BE(4),
    secs: data.readUInt16BE(8),
    flags: data.readUInt16BE(10),
    ciaddr: data.readUInt32BE(12),
    yiaddr: data.readUInt32BE(16),
    siaddr: data.readUInt32BE(20),
    giaddr: data.readUInt32BE(24),
    mac: macText(data, 28, length),
    sname: overload & 2 ? '' : fieldText(data, 44, 64),
    file: overload & 1 ? '' : fieldText(data, 108, 128),
    options
  }
}

/**
 * Writes one message of at most `limit` bytes. Options are written in the order of the map, the relay's last (RFC 3046 section 2.1). What does not fit goes
 * into the fields `file` and `sname` where they are empty (RFC 2131 section 4.1), and is left out otherwise: put what matters first. Both are cut to their fields.
 */
export function encode (packet: Packet, limit = 65_507): Buffer {
  let size = 0
  for (const [code, value] of packet.options) if (code !== option.pad && code !== option.end) size += sizeOf(value)
  if (header + size + 1 > limit) return encodeInto(limit, packet)
  const data = blank(packet, header + size + 1)
  let at = header
  for (const [code, value] of packet.options) if (code !== option.relay && code !== option.pad && code !== option.end) at = writeOption(data, at, code, value)
  const relay = packet.options.get(option.relay)
  if (relay !== undefined) at = writeOption(data, at, option.relay, relay)
  data[at] = option.end
  return data
}

/** The same for a message that does not fit. */
function encodeInto (limit: number, packet: Packet): Buffer {
  const relay = packet.options.get(option.relay)
  let room = limit - header - 1 - (relay === undefined ? 0 : sizeOf(relay))
  const chosen: [number, Buffer][] = []
  const left: [number, Buffer][] = []
  for (const [code, value] of packet.options) {
    if (code === option.relay || code === option.pad || code === option.end) continue
    if (sizeOf(value) > room) left.push([code, value])
    else {
      chosen.push([code, value])
      room -= sizeOf(value)
    }
  }
  const spill = left.length === 0 || packet.options.has(option.overload) ? undefined : spilled(packet, left, room)
  if (spill !== undefined) chosen.push([option.overload, Buffer.of(spill.overload)])
  if (relay !== undefined) chosen.push([option.relay, relay])
  let size = header + 1
  for (const [, value] of chosen) size += sizeOf(value)
  const data = blank(packet, size)
  if (spill !== undefined) for (const field of spill.fields) writeField(data, field)
  let at = header
  for (const [code, value] of chosen) at = writeOption(data, at, code, value)
  data[at] = option.end
  return data
}

/** The fixed fields and the cookie, with room for the options. */
function blank (packet: Packet, size: number): Buffer {
  const data = Buffer.allocUnsafe(Math.max(smallest, size)).fill(0) // out of Node's pool, which zeroed memory is not
  data[0] = packet.op
  data[1] = packet.htype
  data[2] = writeMac(data, 28, packet.mac)
  data[3] = packet.hops
  data.writeUInt32BE(packet.xid, 4)
  data.writeUInt16BE(packet.secs, 8)
  data.writeUInt16BE(packet.flags, 10)
  data.writeUInt32BE(packet.ciaddr, 12)
  data.writeUInt32BE(packet.yiaddr, 16)
  data.writeUInt32BE(packet.siaddr, 20)
  data.writeUInt32BE(packet.giaddr, 24)
  if (packet.sname !== '') data.write(packet.sname.slice(0, 63), 44, 'latin1')
  if (packet.file !== '') data.write(packet.file.slice(0, 127), 108, 'latin1')
  data.writeUInt32BE(cookie, 236)
  return data
}

interface Field { readonly at: number, readonly options: readonly (readonly [number, Buffer])[] }

/** What of `left` goes into empty fields: `file` first, then `sname`, as they are read (RFC 3396 section 5). Nothing when there is no room to say so. */
function spilled (packet: Packet, left: readonly (readonly [number, Buffer])[], room: number): { readonly overload: number, readonly fields: readonly Field[] } | undefined {
  if (room < 3) return undefined
  const fields: Field[] = []
  let overload = 0
  let rest = left
  for (const { bit, at, length, empty } of [{ bit: 1, at: 108, length: 128, empty: packet.file === '' }, { bit: 2, at: 44, length: 64, empty: packet.sname === '' }]) {
    if (!empty) continue
    let free = length - 1 // its end
    const options = rest.filter(([, value]) => {
      if (sizeOf(value) > free) return false
      free -= sizeOf(value)
      return true
    })
    if (options.length === 0) continue
    rest = rest.filter(one => !options.includes(one))
    fields.push({ at, options })
    overload |= bit
  }
  return overload === 0 ? undefined : { overload, fields }
}

function writeField (data: Buffer, { at, options }: Field): void {
  let end = at
  for (const [code, value] of options) end = writeOption(data, end, code, value)
  data[end] = option.end
}
