/** IPv4 addresses as unsigned 32-bit numbers: what the codec and the decisions count with. */
import { BedplateError } from '../../../core/errors.ts'

export const everybody = 0xffffffff

/** Reads a dotted quad. Throws INVALID_REQUEST. */
export function parseIp (text: string): number {
  let [value, part, digits, dots] = [0, 0, 0, 0]
  for (let at = 0; at < text.length; at++) { // by hand: thousands come with every block and every batch of bindings
    const code = text.charCodeAt(at)
    if (code === dot && digits > 0 && dots < 3) { value = value * 256 + part; part = digits = 0; dots++ } else if (code >= zero && code <= nine && digits < 3) { part = part * 10 + code - zero; digits++ } else throw notIp(text)
    if (part > 255) throw notIp(text)
  }
  if (dots !== 3 || digits === 0) throw notIp(text)
  return value * 256 + part
}

const [zero, nine, dot] = [48, 57, 46]
const notIp = (text: string): BedplateError => new BedplateError('INVALID_REQUEST', { reason: `"${text}" is not an IPv4 address.` })

export const ipText = (ip: number): string => `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`

export interface Prefix { readonly network: number, readonly mask: number, readonly broadcast: number }

/** Reads `192.0.2.0/24`. Throws INVALID_REQUEST. */
export function parsePrefix (cidr: string): Prefix {
  const [address, length] = cidr.split('/')
  const bits = Number(length)
  if (address === undefined || length === undefined || !/^\d{1,2}$/.test(length) || bits > 32) throw new BedplateError('INVALID_REQUEST', { reason: `"${cidr}" is not an IPv4 prefix.` })
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0
  const network = (parseIp(address) & mask) >>> 0
  return { network, mask, broadcast: (network | ~mask) >>> 0 }
}

export const holds = (prefix: Prefix, ip: number): boolean => ((ip & prefix.mask) >>> 0) === prefix.network
