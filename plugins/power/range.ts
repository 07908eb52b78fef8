/** The IPv4 addresses of a scan, and how they are shared out: chunks of a region's work, and the racks whose networks hold them. Pure. */
import { BedplateError } from '../../core/errors.ts'

/** Both ends are part of it. */
export interface Range { readonly first: number, readonly last: number }
/** Addresses of one chunk, and the racks that have an interface in their network. */
export interface Share { readonly addresses: readonly string[], readonly racks: readonly string[] }

export const mostAddresses = 65_536
const inChunk = 256
const invalid = (reason: string) => new BedplateError('INVALID_REQUEST', { reason })
const example = 'write it as 10.0.0.0/24 or 10.0.0.10-10.0.0.99'

function numberOf (text: string): number {
  const parts = text.split('.')
  if (parts.length !== 4 || parts.some(part => !/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255)) throw invalid(`this is no range of IPv4 addresses; ${example}`)
  return parts.reduce((value, part) => value * 256 + Number(part), 0)
}
const textOf = (value: number): string => [24, 16, 8, 0].map(shift => value >>> shift & 255).join('.')

/** Reads `address/length` (without network and broadcast address), `first-last`, or one address. INVALID_REQUEST, also for more than 65,536 addresses. */
export function parseRange (text: string): Range {
  const [, one = '', length, other] = /^([\d.]+)(?:\/(\d{1,2})|\s*-\s*([\d.]+))?$/.exec(text.trim()) ?? []
  const begin = numberOf(one)
  if (length === undefined) return fits({ first: begin, last: other === undefined ? begin : numberOf(other) })
  const size = 2 ** (32 - Number(length))
  if (size < 1) throw invalid(`a prefix of IPv4 is at most 32 bits long; ${example}`)
  const base = begin - begin % size
  if (base !== begin) throw invalid(`${one}/${length} has host bits set; the network that holds this address is ${textOf(base)}/${length}`)
  return fits(size <= 2 ? { first: base, last: base + size - 1 } : { first: base + 1, last: base + size - 2 })
}
function fits (range: Range): Range {
  if (range.last < range.first) throw invalid('the range ends before it begins')
  if (sizeOf(range) > mostAddresses) throw invalid(`the range has ${sizeOf(range)} addresses, a scan at most ${mostAddresses}; scan it in parts`)
  return range
}

export const sizeOf = ({ first, last }: Range): number => last - first + 1
const base = ({ first }: Range): number => Math.floor(first / inChunk)
/** How many chunks it makes. A chunk never goes over the end of a /24, so that it mostly lies in one network. */
export const chunksOf = (range: Range): number => Math.floor(range.last / inChunk) - base(range) + 1
/** The addresses of chunk `index`, counted from 0. */
export function addressesOf (range: Range, index: number): string[] {
  const begin = (base(range) + index) * inChunk
  const [from, to] = [Math.max(range.first, begin), Math.min(range.last, begin + inChunk - 1)]
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => textOf(from + at))
}

/** Addresses together that lie in networks of the same racks. `networks`: the racks' own addresses, as `address/length`; what is no IPv4 is passed over. */
export function sharesOf (addresses: readonly string[], networks: readonly { readonly rack: string, readonly address: string }[]): Share[] {
  const own = networks.flatMap(({ rack, address }) => {
    const [, ip = '', length = ''] = /^(\d+(?:\.\d+){3})\/(\d{1,2})$/.exec(address) ?? []
    const size = 2 ** (32 - Number(length))
    return ip === '' ? [] : [{ rack, net: Math.floor(numberOf(ip) / size), size }]
  })
  const shares = new Map<string, { addresses: string[], racks: string[] }>()
  for (const address of addresses) {
    const value = numberOf(address)
    const racks = [...new Set(own.filter(({ net, size }) => Math.floor(value / size) === net).sort((a, b) => a.size - b.size || a.rack.localeCompare(b.rack)).map(({ rack }) => rack))]
    const key = racks.join(' ')
    const share = shares.get(key) ?? { addresses: [], racks }
    share.addresses.push(address)
    shares.set(key, share)
  }
  return [...shares.values()]
}
