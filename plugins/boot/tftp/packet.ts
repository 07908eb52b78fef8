/** TFTP packets to bytes and back (RFC 1350, option extension RFC 2347), and what options a read is granted. Pure. */
import { BedplateError } from '../../../core/errors.ts'

export type Options = ReadonlyMap<string, string>
export interface Request { readonly op: 'read' | 'write', readonly name: string, readonly mode: string, readonly options: Options }
export type Packet = Request |
  { readonly op: 'data', readonly block: number, readonly data: Uint8Array } |
  { readonly op: 'ack', readonly block: number } |
  { readonly op: 'error', readonly code: number, readonly message: string } |
  { readonly op: 'oack', readonly options: Options }

/** RFC 1350 appendix, and 8 of RFC 2347. */
export const errorCode = { undefined: 0, notFound: 1, accessViolation: 2, illegalOperation: 4, unknownTransfer: 5, optionRefused: 8 } as const

const opcodes = { read: 1, write: 2, data: 3, ack: 4, error: 5, oack: 6 } as const
const mostOptions = 16
const longestText = 512 // RFC 2347: a whole request packet is at most this long
const invalid = (reason: string) => new BedplateError('PACKET_INVALID', { protocol: 'TFTP', reason })

/** Texts of a packet from `offset`, each ended by a zero byte. Zero bytes that pad the packet's end are let pass: some boot ROMs send them. */
function texts (bytes: Buffer, offset: number): string[] {
  const found: string[] = []
  while (offset < bytes.length) {
    const end = bytes.indexOf(0, offset)
    if (end < 0) throw invalid('a text does not end')
    if (end - offset > longestText) throw invalid('a text is too long')
    found.push(bytes.toString('latin1', offset, end))
    if (found.length > 2 + 2 * mostOptions + longestText) throw invalid('too many texts')
    offset = end + 1
  }
  const before = found.length
  while (found.length > 0 && found.at(-1) === '') found.pop()
  if (found.length % 2 === 1 && found.length < before) found.push('') // the last value itself is empty
  return found
}

/** Pairs of texts as options: names in lower case, the first of a name counts (RFC 2347 forbids a second), and one without a name is padding. */
function optionsFrom (pairs: readonly string[]): Map<string, string> {
  if (pairs.length % 2 !== 0) throw invalid('an option has no value')
  if (pairs.length > 2 * mostOptions) throw invalid('too many options')
  const options = new Map<string, string>()
  for (let index = 0; index < pairs.length; index += 2) {
    const name = (pairs[index] ?? '').toLowerCase()
    if (name !== '' && !options.has(name)) options.set(name, pairs[index + 1] ?? '')
  }
  return options
}

/** Reads a packet. `data` shares memory with the bytes given. Throws PACKET_INVALID, and nothing else. */
export function decode (from: Uint8Array): Packet {
  const bytes = Buffer.from(from.buffer, from.byteOffset, from.byteLength)
  const opcode = bytes.length < 2 ? -1 : bytes.readUInt16BE(0)
  if (bytes.length < (opcode === opcodes.oack ? 2 : 4)) throw invalid(`${bytes.length} bytes are too few`)
  switch (opcode) {
    case opcodes.read:
    case opcodes.write: {
      const [name, mode, ...rest] = texts(bytes, 2)
      if (name === undefined || name === '' || mode === undefined) throw invalid('a request needs a file name and a mode')
      return { op: opcode === opcodes.read ? 'read' : 'write', name, mode: mode.toLowerCase(), options: optionsFrom(rest) }
    }
    case opcodes.data: return { op: 'data', block: bytes.readUInt16BE(2), data: bytes.subarray(4) }
    case opcodes.ack: return { op: 'ack', block: bytes.readUInt16BE(2) }
    case opcodes.error: {
      const end = bytes.indexOf(0, 4)
      return { op: 'error', code: bytes.readUInt16BE(2), message: bytes.toString('latin1', 4, Math.min(end < 0 ? bytes.length : end, 4 + longestText)) }
    }
    case opcodes.oack: return { op: 'oack', options: optionsFrom(texts(bytes, 2)) }
    default: throw invalid(`opcode ${opcode} is unknown`)
  }
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'latin1')
const head = (opcode: number, second: number): Buffer => Buffer.from([opcode >> 8, opcode & 255, second >> 8 & 255, second & 255])

/** Writes a packet. Texts must be Latin-1 without zero bytes. */
export function encode (packet: Packet): Buffer {
  switch (packet.op) {
    case 'read':
    case 'write': return Buffer.concat([Buffer.from([0, opcodes[packet.op]]), ...[packet.name, packet.mode, ...[...packet.options].flat()].map(text)])
    case 'data': return encodeData(packet.block, packet.data)
    case 'ack': return head(opcodes.ack, packet.block)
    case 'error': return Buffer.concat([head(opcodes.error, packet.code), text(packet.message)])
    case 'oack': return Buffer.concat([Buffer.from([0, opcodes.oack]), ...[...packet.options].flat().map(text)])
  }
}

/** A DATA packet; `block` is taken modulo 65536, so that it rolls over to 0. One copy of the data, for the hot path. */
export function encodeData (block: number, data: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(4 + data.length)
  packet.writeUInt16BE(opcodes.data, 0)
  packet.writeUInt16BE(block & 0xffff, 2)
  packet.set(data, 4)
  return packet
}

export interface Grant { readonly accepted: Options, readonly blockSize: number, readonly windowSize: number, /** ms the client asked for */ readonly timeout: number | undefined }
export interface Limits { readonly blockSize: number, readonly windowSize: number, readonly windowBytes: number }
export const defaultLimits: Limits = { blockSize: 65464, windowSize: 64, windowBytes: 1 << 20 }

const number = (value: string | undefined, least: number, most: number): number | undefined => {
  if (value === undefined || !/^\d{1,10}$/.test(value)) return undefined
  const read = Number(value)
  return read >= least && read <= most ? read : undefined
}

/**
 * What a read gets of what it asked for: blksize (RFC 2348), timeout and tsize (RFC 2349), windowsize (RFC 7440). What is
 * unknown or out of range is left out of the answer, as RFC 2347 has it. `size` in bytes; undefined when it cannot be told.
 */
export function negotiate (asked: Options, size: number | undefined, limits: Limits = defaultLimits): Grant {
  const accepted = new Map<string, string>()
  const wishedBlock = number(asked.get('blksize'), 8, 65464)
  const blockSize = wishedBlock === undefined ? 512 : Math.min(wishedBlock, limits.blockSize)
  if (wishedBlock !== undefined) accepted.set('blksize', String(blockSize))
  const timeout = number(asked.get('timeout'), 1, 255)
  if (timeout !== undefined) accepted.set('timeout', String(timeout))
  if (size !== undefined && number(asked.get('tsize'), 0, 9_999_999_999) !== undefined) accepted.set('tsize', String(size))
  const wishedWindow = number(asked.get('windowsize'), 1, 65535)
  const windowSize = wishedWindow === undefined ? 1 : Math.max(1, Math.min(wishedWindow, limits.windowSize, Math.floor(limits.windowBytes / blockSize)))
  if (wishedWindow !== undefined) accepted.set('windowsize', String(windowSize))
  return { accepted, blockSize, windowSize, timeout: timeout === undefined ? undefined : timeout * 1000 }
}

/** Content as mode `netascii` sends it: LF as CR LF, CR as CR NUL (RFC 1350 section 5, RFC 764). */
export function toNetascii (content: Uint8Array): Buffer {
  let extra = 0
  for (const byte of content) if (byte === 10 || byte === 13) extra++
  const result = Buffer.allocUnsafe(content.length + extra)
  let at = 0
  for (const byte of content) {
    if (byte === 10) result[at++] = 13
    result[at++] = byte
    if (byte === 13) result[at++] = 0
  }
  return result
}

/** Blocks from number `first` on, cut from `data`, as packets of their own, each a copy. */
export function * packetsOf (first: number, count: number, blockSize: number, data: readonly Uint8Array[]): Generator<Buffer> {
  const whole = data.length === 1 ? data[0] as Uint8Array : Buffer.concat(data)
  for (let index = 0; index < count; index++) yield encodeData(first + index, whole.subarray(index * blockSize, (index + 1) * blockSize))
}
