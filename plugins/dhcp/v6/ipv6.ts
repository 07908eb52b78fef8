/** IPv6 addresses as 32 hexadecimal digits, lower case: read from a packet at once, compared as text, good as keys. Pure. */
import { isIPv6 } from 'node:net'
import { BedplateError } from '../../../core/errors.ts'
import { ipText, parseIp } from '../v4/ipv4.ts'

/** An address: 32 hexadecimal digits. Their order as text is the order of the addresses. */
export type Ip6 = string

const invalid = (text: string, what: string) => new BedplateError('INVALID_REQUEST', { reason: `"${text.slice(0, 60)}" is not an IPv6 ${what}.` })

/** Reads an address as RFC 4291 section 2.2 writes it, without a zone. Throws INVALID_REQUEST. */
export function parseIp6 (text: string): Ip6 {
  if (!isIPv6(text) || text.includes('%')) throw invalid(text, 'address')
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const plain = dotted === null ? text : `${dotted[1]}${(Number(dotted[2]) * 256 + Number(dotted[3])).toString(16)}:${(Number(dotted[4]) * 256 + Number(dotted[5])).toString(16)}`
  const [head = '', tail] = plain.split('::')
  const words = (side: string) => side === '' ? [] : side.split(':').map(word => word.padStart(4, '0'))
  const [before, after] = [words(head), words(tail ?? '')]
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0000'), ...after].join('').toLowerCase()
}

/** The canonical text (RFC 5952), which is also how PostgreSQL writes it. */
export function ip6Text (ip: Ip6): string {
  const parts = Array.from({ length: 8 }, (_, index) => Number.parseInt(ip.slice(index * 4, index * 4 + 4), 16))
  let [start, length] = [0, 0]
  for (let at = 0; at < 8; at++) {
    let end = at
    while (parts[end] === 0) end++
    if (end - at > length) [start, length] = [at, end - at]
    if (end > at) at = end
  }
  const written = parts.map(part => part.toString(16))
  // IPv4-compatible and IPv4-mapped addresses end in a dotted quad.
  if (start === 0 && (length === 6 || (length === 5 && parts[5] === 0xffff))) written.splice(6, 2, [24, 26, 28, 30].map(at => Number.parseInt(ip.slice(at, at + 2), 16)).join('.'))
  if (length < 2) return written.join(':')
  return `${written.slice(0, start).join(':')}::${written.slice(start + length).join(':')}`
}

export const toValue = (ip: Ip6): bigint => BigInt(`0x${ip}`)
export const fromValue = (value: bigint): Ip6 => value.toString(16).padStart(32, '0')

export interface Prefix6 { readonly first: Ip6, readonly last: Ip6 }

/** Reads `2001:db8::/64`. Throws INVALID_REQUEST. */
export function parsePrefix6 (cidr: string): Prefix6 {
  const [address = '', length = ''] = cidr.split('/')
  const bits = Number(length)
  if (!/^\d{1,3}$/.test(length) || bits > 128) throw invalid(cidr, 'prefix')
  const hosts = (1n << BigInt(128 - bits)) - 1n
  const value = toValue(parseIp6(address))
  return { first: fromValue(value & ~hosts), last: fromValue(value | hosts) }
}

export const holds6 = ({ first, last }: Prefix6, ip: Ip6): boolean => ip >= first && ip <= last
export const unspecified: Ip6 = '0'.repeat(32)
/** fe80::/10. */
export const isLinkLocal = (ip: Ip6): boolean => ip.startsWith('fe') && '89ab'.includes(ip.charAt(2))

/** The MAC in a link-local address made of one (RFC 4291 appendix A), or `undefined`. */
export function macInAddress (ip: Ip6): string | undefined {
  if (!isLinkLocal(ip) || ip.slice(22, 26) !== 'fffe') return undefined
  const first = (Number.parseInt(ip.slice(16, 18), 16) ^ 2).toString(16).padStart(2, '0')
  const mac = `${first}${ip.slice(18, 22)}${ip.slice(26)}`
  return (Number.parseInt(first, 16) & 1) === 1 || mac === '000000000000' ? undefined : mac.replace(/..(?!$)/g, '$&:')
}

/** The canonical text of an address of either family. Throws INVALID_REQUEST. */
export const canonicalIp = (text: string): string => text.includes(':') ? ip6Text(parseIp6(text)) : ipText(parseIp(text))
