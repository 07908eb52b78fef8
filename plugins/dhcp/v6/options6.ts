/** DHCPv6 options on the wire: 16-bit code, 16-bit length, value (RFC 8415 section 21.1), and the plain kinds of values. Pure. */
import { BedplateError } from '../../../core/errors.ts'
import type { Ip6 } from './ipv6.ts'

export interface Option6 { readonly code: number, readonly value: Buffer }
/** In the order they came; some may come more than once. */
export type Options6 = readonly Option6[]

const most = 256 // options in one area; no client sends a quarter of that
/** @param kind a short word for counting */
export const invalid6 = (kind: string, reason: string): BedplateError => new BedplateError('PACKET_INVALID', { protocol: 'DHCPv6', kind, reason })

/** Reads the options from `from` to the end. The values are views of `data`. Throws PACKET_INVALID. */
export function readOptions6 (data: Buffer, from: number): Option6[] {
  const found: Option6[] = []
  let at = from
  while (at < data.length) {
    if (at + 4 > data.length) throw invalid6('option-truncated', 'an option header is cut off')
    const code = data.readUInt16BE(at)
    const end = at + 4 + data.readUInt16BE(at + 2)
    if (end > data.length) throw invalid6('option-truncated', `option ${code} runs past the end of what holds it`)
    if (found.length === most) throw invalid6('options', `more than ${most} options`)
    found.push({ code, value: data.subarray(at + 4, end) })
    at = end
  }
  return found
}

/** Writes options one behind the other. Throws PACKET_INVALID when a value is longer than 65,535 bytes. */
export function writeOptions6 (options: Options6): Buffer {
  const data = Buffer.allocUnsafe(options.reduce((sum, { value }) => sum + 4 + value.length, 0))
  let at = 0
  for (const { code, value } of options) {
    if (value.length > 0xffff) throw invalid6('option-long', `option ${code} takes ${value.length} bytes`)
    data.writeUInt16BE(code, at)
    data.writeUInt16BE(value.length, at + 2)
    value.copy(data, at + 4)
    at += 4 + value.length
  }
  return data
}

/** The value of the first option with that code. */
export function first6 (options: Options6, code: number): Buffer | undefined {
  for (const option of options) if (option.code === code) return option.value
  return undefined
}
export const has6 = (options: Options6, code: number): boolean => first6(options, code) !== undefined

export const u16 = (number: number): Buffer => Buffer.of(number >>> 8, number & 255)
export const u32 = (number: number): Buffer => Buffer.of(number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255)
export const ip6Bytes = (...addresses: readonly Ip6[]): Buffer => Buffer.from(addresses.join(''), 'hex')
export const readU16 = (value: Buffer | undefined): number | undefined => value !== undefined && value.length >= 2 ? value.readUInt16BE(0) : undefined

/** A list of byte strings, each with its length in two bytes before it (RFC 8415 section 21.15). What a damaged length hides is lost, not refused. */
export function readStrings (value: Buffer, from = 0): readonly Buffer[] {
  const found: Buffer[] = []
  let at = from
  while (at + 2 <= value.length) {
    const end = at + 2 + value.readUInt16BE(at)
    if (end > value.length) break
    found.push(value.subarray(at + 2, end))
    at = end
  }
  return found
}
export const writeStrings = (...strings: readonly Buffer[]): Buffer => Buffer.concat(strings.flatMap(string => [u16(string.length), string]))

/** Domain names as RFC 1035 section 3.1 writes them, uncompressed. Labels over 63 bytes and names over 255 are left out. */
export function writeNames (names: readonly string[]): Buffer {
  const written = names.map(name => Buffer.concat([...name.replace(/\.$/, '').split('.').map(label => Buffer.concat([Buffer.of(Math.min(label.length, 255)), Buffer.from(label, 'latin1')])), Buffer.of(0)]))
  return Buffer.concat(written.filter((bytes, index) => bytes.length <= 255 && (names[index] as string).split('.').every((label, place, all) => label.length <= 63 && (label !== '' || place === all.length - 1))))
}
