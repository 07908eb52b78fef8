/** The kinds of option values (RFC 2132 section 2): from what an operator writes, text or JSON, to bytes, and back. Pure. */
import { ipText, parseIp } from '../v4/ipv4.ts'
import { decodeContainer, encodeContainer, encodeEnterprises, decodeEnterprises } from './containers.ts'
import { decodeNames, encodeNames } from './names.ts'
import { decodeRoutes, encodeRoutes } from './routes.ts'
import type { OptionValue } from './written.ts'
import { invalid } from './written.ts'

export type { OptionValue } from './written.ts'

export interface Codec {
  /** One word for people: `an IPv4 address`. */
  readonly what: string
  /** Throws OPTION_INVALID, naming `option`. */
  encode(value: OptionValue, option: string): Buffer
  /** The JSON form; throws OPTION_INVALID where the bytes are none of the kind. */
  decode(bytes: Buffer, option: string): OptionValue
}

/** Longest value of an option: beyond it no reply would fit a frame. */
export const longest = 1400

/** The parts of a list: an array, or a text with commas or spaces. */
export function partsOf (value: OptionValue, option: string): readonly OptionValue[] {
  const parts = Array.isArray(value) ? value as readonly OptionValue[] : typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : typeof value === 'object' ? undefined : [value]
  if (parts === undefined || parts.length === 0) throw invalid(option, 'it needs at least one value.')
  return parts
}

const shown = (value: OptionValue): string => typeof value === 'string' ? `"${value}"` : JSON.stringify(value)

function address (value: OptionValue, option: string): Buffer {
  if (typeof value !== 'string') throw invalid(option, `${shown(value)} is not an IPv4 address.`)
  let parsed: number
  try { parsed = parseIp(value) } catch { throw invalid(option, `"${value}" is not an IPv4 address.`) }
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(parsed)
  return bytes
}

function integer (value: OptionValue, option: string, low: number, high: number): number {
  const number = typeof value === 'number' ? value : typeof value === 'string' && /^-?(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(value) ? Number(value) : Number.NaN
  if (!Number.isInteger(number) || number < low || number > high) throw invalid(option, `${shown(value)} is not a whole number from ${low} to ${high}.`)
  return number
}

const multiple = (bytes: Buffer, size: number, option: string): void => {
  if (bytes.length === 0 || bytes.length % size !== 0) throw invalid(option, `${bytes.length} bytes are not a multiple of ${size}.`)
}
const exactly = (bytes: Buffer, size: number, option: string): void => {
  if (bytes.length !== size) throw invalid(option, `${bytes.length} bytes, where ${size} are expected.`)
}

const number = (size: number, low: number, high: number): Codec => ({
  what: `a whole number from ${low} to ${high}`,
  encode (value, option) {
    const bytes = Buffer.allocUnsafe(size)
    const found = integer(value, option, low, high)
    if (low < 0) bytes.writeIntBE(found, 0, size)
    else bytes.writeUIntBE(found, 0, size)
    return bytes
  },
  decode (bytes, option) {
    exactly(bytes, size, option)
    return low < 0 ? bytes.readIntBE(0, size) : bytes.readUIntBE(0, size)
  }
})

/** A list of values of one size. `group`: values that belong together, as in pairs of addresses. */
const list = (one: Codec, size: number, what: string, group = 1): Codec => ({
  what,
  encode (value, option) {
    const parts = partsOf(value, option)
    if (parts.length % group !== 0) throw invalid(option, `it takes ${what}, and ${parts.length} values are none.`)
    return Buffer.concat(parts.map(part => one.encode(part, option)))
  },
  decode (bytes, option) {
    multiple(bytes, size * group, option)
    return Array.from({ length: bytes.length / size }, (_, index) => one.decode(bytes.subarray(index * size, (index + 1) * size), option))
  }
})

const ip: Codec = {
  what: 'an IPv4 address',
  encode: address,
  decode (bytes, option) {
    exactly(bytes, 4, option)
    return ipText(bytes.readUInt32BE(0))
  }
}

const text: Codec = {
  what: 'a text',
  encode (value, option) {
    const written = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
    if (typeof written !== 'string' || written === '') throw invalid(option, `${shown(value)} is not a text.`)
    if (/[\0-\x1f\x7f]/.test(written)) throw invalid(option, 'a text has no control characters.')
    return Buffer.from(written, 'utf8')
  },
  // Some clients and servers count a NUL at the end in (RFC 2132 section 2).
  decode: bytes => bytes.toString('utf8').replace(/\0+$/, '')
}

const bool: Codec = {
  what: 'true or false',
  encode (value, option) {
    if (value === true || value === 'true' || value === 1) return Buffer.of(1)
    if (value === false || value === 'false' || value === 0) return Buffer.of(0)
    throw invalid(option, `${shown(value)} is neither true nor false.`)
  },
  decode (bytes, option) {
    exactly(bytes, 1, option)
    return bytes[0] !== 0
  }
}

/** Bytes as hexadecimal digits, `0a0b` or `a:b`, or as a text in double quotes. */
export function bytesOf (value: OptionValue, option: string): Buffer {
  if (typeof value === 'string') {
    const quoted = /^"([^"]*)"$/.exec(value)
    if (quoted !== null) return Buffer.from(quoted[1] as string, 'utf8')
    if (/^([0-9a-f]{2})*$/i.test(value)) return Buffer.from(value, 'hex')
    if (/^[0-9a-f]{1,2}([:-][0-9a-f]{1,2})*$/i.test(value)) return Buffer.from(value.split(/[:-]/).map(part => Number.parseInt(part, 16)))
  }
  throw invalid(option, `${shown(value)} is not bytes: write hexadecimal digits (0a:0b or 0a0b), or a text in double quotes.`)
}
const bytes: Codec = { what: 'bytes', encode: bytesOf, decode: data => data.toString('hex') }

const empty: Codec = {
  what: 'nothing',
  encode (value, option) {
    if (value === '' || value === true) return Buffer.alloc(0)
    throw invalid(option, 'it has no value: write true.')
  },
  decode (data, option) {
    exactly(data, 0, option)
    return true
  }
}

/** One address or name after a byte that says which (RFC 3361): 0 names, 1 addresses. */
const sip: Codec = {
  what: 'names, or IPv4 addresses',
  encode (value, option) {
    const parts = partsOf(value, option)
    const numeric = parts.every(part => typeof part === 'string' && /^[\d.]+$/.test(part))
    return numeric ? Buffer.concat([Buffer.of(1), ...parts.map(part => address(part, option))]) : Buffer.concat([Buffer.of(0), encodeNames(parts, option)])
  },
  decode (data, option) {
    if (data[0] === 1) return kinds['ip-list'].decode(data.subarray(1), option)
    if (data[0] === 0) return decodeNames(data.subarray(1), option)
    throw invalid(option, `encoding ${data[0] ?? 'none'} is neither 0 (names) nor 1 (addresses).`)
  }
}

const u8 = number(1, 0, 0xff)
const u16 = number(2, 0, 0xffff)
export const kinds = {
  ip,
  'ip-list': list(ip, 4, 'IPv4 addresses'),
  'ip-pairs': list(ip, 4, 'pairs of IPv4 addresses', 2),
  u8,
  'u8-list': list(u8, 1, 'whole numbers from 0 to 255'),
  u16,
  'u16-list': list(u16, 2, 'whole numbers from 0 to 65535'),
  u32: number(4, 0, 0xffffffff),
  i32: number(4, -0x80000000, 0x7fffffff),
  bool,
  text,
  bytes,
  empty,
  sip,
  /** One domain name as plain text (options 15, 40, 64). */
  domain: {
    what: 'a domain name',
    encode (value, option) {
      encodeNames([value], option) // checks it
      return Buffer.from((value as string).replace(/\.$/, ''), 'latin1')
    },
    decode: data => data.toString('latin1').replace(/\0+$/, '')
  },
  /** Domain names as in RFC 1035 section 3.1, with its compression (RFC 3397). */
  'domain-list': { what: 'domain names', encode: (value, option) => encodeNames(partsOf(value, option), option), decode: decodeNames },
  /** Classless routes (RFC 3442). */
  routes: { what: 'routes, as "10.0.0.0/8 via 192.0.2.1"', encode: encodeRoutes, decode: decodeRoutes },
  /** Options inside an option: `{ "1": "0a0b", "6": { "type": "u8", "value": 8 } }`, or their bytes. */
  encapsulated: { what: 'sub-options by number, or bytes', encode: encodeContainer, decode: decodeContainer },
  /** Data of vendors by enterprise number (RFC 3925 section 3): `{ "343": "0a0b" }`. */
  'vendor-classes': { what: 'bytes by enterprise number', encode: (value, option) => encodeEnterprises(value, option, false), decode: (data, option) => decodeEnterprises(data, option, false) },
  /** Sub-options of vendors by enterprise number (RFC 3925 section 4): `{ "343": { "1": "0a0b" } }`. */
  'vendor-options': { what: 'sub-options by enterprise number', encode: (value, option) => encodeEnterprises(value, option, true), decode: (data, option) => decodeEnterprises(data, option, true) }
} satisfies Record<string, Codec>

export type Kind = keyof typeof kinds
export const isKind = (name: string): name is Kind => Object.hasOwn(kinds, name)
