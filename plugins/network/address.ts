/** Arithmetic of IP addresses, prefixes and MAC addresses, IPv4 and IPv6 alike. Pure. */
import { BedplateError } from '../../core/errors.ts'

export type Family = 4 | 6
export interface Ip { readonly family: Family, readonly value: bigint }
/** A prefix: `value` is the first address, host bits all zero. */
export interface Cidr extends Ip { readonly length: number }

export const bits = (family: Family): number => family === 4 ? 32 : 128
const invalid = (reason: string) => new BedplateError('NETWORK_INVALID', { reason })
const shown = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)

/** Reads one IPv4 (dotted, no leading zeros) or IPv6 (RFC 4291 section 2.2, no zone) address. NETWORK_INVALID. */
export function parseIp (text: string): Ip {
  const value = text.includes(':') ? parse6(text) : parse4(text)
  if (value === undefined) throw invalid(`${shown(text)} is not an IP address.`)
  return { family: text.includes(':') ? 6 : 4, value }
}

function parse4 (text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    value = value << 8n | BigInt(part)
  }
  return value
}

function parse6 (text: string): bigint | undefined {
  if (text.length > 45) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = words(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? words(halves[1] ?? '', true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  return [...head, ...Array<bigint>(missing).fill(0n), ...tail].reduce((value, word) => value << 16n | word, 0n)
}

/** The 16-bit words of one side of `::`; a dotted IPv4 may stand at the very end. */
function words (side: string, last: boolean): bigint[] | undefined {
  if (side === '') return []
  const found: bigint[] = []
  const parts = side.split(':')
  for (const [index, part] of parts.entries()) {
    if (last && index === parts.length - 1 && part.includes('.')) {
      const v4 = parse4(part)
      if (v4 === undefined) return undefined
      found.push(v4 >> 16n, v4 & 0xffffn)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) found.push(BigInt(`0x${part}`))
    else return undefined
  }
  return found
}

/** The canonical text: dotted IPv4; IPv6 as RFC 5952 wants it, which is also how PostgreSQL writes it. */
export function formatIp ({ family, value }: Ip): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map(shift => value >> shift & 0xffn).join('.')
  const parts = Array.from({ length: 8 }, (_, index) => Number(value >> BigInt(112 - index * 16) & 0xffffn))
  const [start, length] = longestZeros(parts)
  const dotted = start === 0 && (length === 6 || (length === 5 && parts[5] === 0xffff)) // IPv4-compatible and IPv4-mapped
  const written = dotted
    ? [...parts.slice(0, 6).map(part => part.toString(16)), formatIp({ family: 4, value: value & 0xffffffffn })]
    : parts.map(part => part.toString(16))
  if (length < 2) return written.join(':')
  return `${written.slice(0, start).join(':')}::${written.slice(start + length).join(':')}`
}

function longestZeros (parts: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0]
  for (let at = 0; at < parts.length; at++) {
    let end = at
    while (parts[end] === 0) end++
    if (end - at > best[1]) best = [at, end - at]
    at = Math.max(at, end)
  }
  return best
}

/** Canonical text of an address in any accepted spelling. NETWORK_INVALID. */
export const normaliseIp = (text: string): string => formatIp(parseIp(text))

/** Reads `address/length`; refuses host bits, naming the prefix that was meant. NETWORK_INVALID. */
export function parseCidr (text: string): Cidr {
  const slash = text.indexOf('/')
  const digits = text.slice(slash + 1)
  if (slash < 0 || !/^(0|[1-9]\d{0,2})$/.test(digits)) throw invalid(`${shown(text)} is not a subnet: write it as address/length, for example 10.0.0.0/24.`)
  const { family, value } = parseIp(text.slice(0, slash))
  const length = Number(digits)
  if (length > bits(family)) throw invalid(`${shown(text)} is not a subnet: the prefix length of IPv${family} is at most ${bits(family)}.`)
  const base = value & ~hostMask(family, length)
  if (base !== value) throw invalid(`${shown(text)} has host bits set; the subnet that holds this address is ${formatCidr({ family, value: base, length })}.`)
  return { family, value, length }
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr)}/${cidr.length}`
const hostMask = (family: Family, length: number): bigint => (1n << BigInt(bits(family) - length)) - 1n

/** The last address of a prefix; the broadcast address where IPv4 has one. */
export const lastOf = (cidr: Cidr): Ip => ({ family: cidr.family, value: cidr.value | hostMask(cidr.family, cidr.length) })
export const contains = (cidr: Cidr, ip: Ip): boolean => cidr.family === ip.family && (ip.value & ~hostMask(cidr.family, cidr.length)) === cidr.value
export const overlap = (a: Cidr, b: Cidr): boolean => contains(a, b) || contains(b, a)
export const compare = (a: Ip, b: Ip): number => a.family - b.family || (a.value < b.value ? -1 : a.value > b.value ? 1 : 0)
/** The following address; undefined after the last of its family. */
export const next = (ip: Ip): Ip | undefined => ip.value === (1n << BigInt(bits(ip.family))) - 1n ? undefined : { family: ip.family, value: ip.value + 1n }

/**
 * First and last address a host may have. IPv4 leaves out network and broadcast address, IPv6 the subnet-router anycast
 * address (RFC 4291 section 2.6.1); point-to-point and host prefixes keep everything (RFC 3021, RFC 6164).
 */
export function hostsOf (cidr: Cidr): { readonly first: Ip, readonly last: Ip } {
  const last = lastOf(cidr)
  if (bits(cidr.family) - cidr.length < 2) return { first: cidr, last }
  return { first: { family: cidr.family, value: cidr.value + 1n }, last: { family: cidr.family, value: last.value - (cidr.family === 4 ? 1n : 0n) } }
}

/** Whether IPv6 link-local (RFC 4291 section 2.5.6) or IPv4 link-local (RFC 3927). */
export const isLinkLocal = (ip: Ip): boolean => ip.family === 6 ? ip.value >> 118n === 0x3fan : ip.value >> 16n === 0xa9fen

/** `aa:bb:cc:dd:ee:ff` of a MAC in any common form: colons, dashes, Cisco dots, or bare. NETWORK_INVALID. */
export function normaliseMac (text: string): string {
  const form = /^([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|[0-9a-f]{12})$/i
  if (!form.test(text)) throw invalid(`${shown(text)} is not a MAC address: write it as 52:54:00:12:34:56.`)
  return (text.toLowerCase().match(/[0-9a-f]{2}/g) ?? []).join(':')
}
