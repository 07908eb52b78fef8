/** IPv4 addresses as unsigned 32-bit numbers: what the codec and the decisions count with. */
import { BedplateError } from '../../core/errors.ts'

const quad = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
export const everybody = 0xffffffff

/** Reads a dotted quad. Throws INVALID_REQUEST. */
export function parseIp (text: string): number {
  const parts = quad.exec(text)?.slice(1).map(Number)
  if (parts === undefined || parts.some(part => part > 255)) throw new BedplateError('INVALID_REQUEST', { reason: `"${text}" is not an IPv4 address.` })
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

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
