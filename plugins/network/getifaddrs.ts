/** The host's interfaces by getifaddrs(3): also those that have an address but no carrier, which os.networkInterfaces() leaves out. A switch that reboots must not make a rack forget its segments. */
import koffi from 'koffi'
import { BedplateError } from '../../core/errors.ts'
import { formatIp } from './address.ts'
import type { SystemAddress } from './interfaces.ts'

const IFF_UP = 0x1
const IFF_LOOPBACK = 0x8
const families = { 2: { family: 4, offset: 4, length: 4 }, 10: { family: 6, offset: 8, length: 16 } } as const // AF_INET, AF_INET6: where the address is in the sockaddr
const AF_PACKET = 17 // sockaddr_ll: hardware address length at 11, address at 12

const ifaddrs = koffi.struct('ifaddrs', { next: 'void *', name: 'const char *', flags: 'unsigned int', address: 'void *', netmask: 'void *', target: 'void *', data: 'void *' })
interface Node { readonly next: unknown, readonly name: string, readonly flags: number, readonly address: unknown, readonly netmask: unknown }
const libc = koffi.load(null)
const getifaddrs = libc.func('int getifaddrs(_Out_ void **list)')
const freeifaddrs = libc.func('void freeifaddrs(void *list)')

const bytes = (pointer: unknown, offset: number, length: number): Uint8Array => Uint8Array.from(koffi.decode(pointer, offset, koffi.array('uint8_t', length)) as ArrayLike<number>)
const value = (raw: Uint8Array): bigint => raw.reduce((sum, byte) => sum << 8n | BigInt(byte), 0n)
const ones = (raw: Uint8Array): number => raw.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)

/** Every interface that is up, by name, with its addresses. @throws BedplateError INTERNAL when the system refuses the list */
export function systemInterfaces (): Record<string, SystemAddress[]> {
  const list: unknown[] = [null]
  if (getifaddrs(list) !== 0) throw new BedplateError('INTERNAL', { reason: `getifaddrs failed with errno ${koffi.errno()}`, requestId: 'none' })
  try {
    const macs = new Map<string, string>()
    const found: Record<string, SystemAddress[]> = {}
    for (let at = list[0]; at; at = (koffi.decode(at, ifaddrs) as Node).next) {
      const { name, flags, address, netmask } = koffi.decode(at, ifaddrs) as Node
      if (!address || (flags & IFF_UP) === 0) continue
      const kind = koffi.decode(address, 'uint16_t') as number
      if (kind === AF_PACKET) { macs.set(name, [...bytes(address, 12, 6)].map(byte => byte.toString(16).padStart(2, '0')).join(':')); continue }
      const place = families[kind as keyof typeof families]
      if (!place || !netmask) continue
      const text = formatIp({ family: place.family, value: value(bytes(address, place.offset, place.length)) })
      ;(found[name] ??= []).push({ address: text, cidr: `${text}/${ones(bytes(netmask, place.offset, place.length))}`, mac: '', internal: (flags & IFF_LOOPBACK) !== 0 })
    }
    return Object.fromEntries(Object.entries(found).map(([name, addresses]) => [name, addresses.map(address => ({ ...address, mac: macs.get(name) ?? '' }))]))
  } finally { freeifaddrs(list[0]) }
}
