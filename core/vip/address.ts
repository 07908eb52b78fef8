/** What the floating address decides: which addresses, on which interface, for how long. Pure. */
import { bytesOf, sameNetwork } from '../address/address.ts'
import type { Assigned, FloatingAddress, Link, Placement } from '../address/address.ts'
import { BedplateError } from '../errors.ts'

/** True when the bits after the first `prefix` are all `bit`. */
const hostBits = (bytes: Uint8Array, prefix: number, bit: 0 | 1): boolean =>
  Array.from({ length: bytes.length * 8 - prefix }, (_, at) => prefix + at).every(at => ((bytes[at >> 3] ?? 0) >> (7 - at % 8) & 1) === bit)

/**
 * Reads the setting. Throws CONFIG_INVALID with one line for each fault: not an address with its prefix length, one that no interface can have, given twice,
 * or on a controller that is no region.
 */
export function readFloating ({ addresses }: { readonly addresses: readonly string[] }, roles: readonly string[]): readonly FloatingAddress[] {
  const problems: string[] = []
  const read: FloatingAddress[] = []
  if (!roles.includes('region')) problems.push('  $.vip: only a region can have the floating address, and this controller is none')
  addresses.forEach((given, index) => {
    const fault = (why: string): void => { problems.push(`  $.vip.addresses[${index}]: ${JSON.stringify(given)} ${why}`) }
    const [, text = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(given) ?? []
    const bytes = bytesOf(text)
    const prefix = Number(length)
    if (bytes === undefined || length === '') { fault('is not an address with its prefix length, as 10.0.0.10/24 or fd00::10/64'); return }
    const family = bytes.length === 4 ? 4 : 6
    if (prefix < 1 || prefix > bytes.length * 8) { fault(`has no prefix length of IPv${family}: 1 to ${bytes.length * 8}`); return }
    if (unusable(bytes)) { fault('is no address that a host can have on a network'); return }
    if (prefix < bytes.length * 8 - 1 && hostBits(bytes, prefix, 0)) { fault('is the network itself, not a host in it'); return }
    if (family === 4 && prefix < 31 && hostBits(bytes, prefix, 1)) { fault('is the broadcast address of its network'); return }
    if (read.some(one => one.bytes.length === bytes.length && one.bytes.every((byte, at) => byte === bytes[at]))) { fault('is given twice'); return }
    read.push({ text, family, bytes, prefix })
  })
  if (problems.length > 0) throw new BedplateError('CONFIG_INVALID', { problems: problems.join('\n') })
  return read
}

const unusable = (bytes: Uint8Array): boolean => bytes.length === 4
  ? (bytes[0] ?? 0) === 0 || bytes[0] === 127 || (bytes[0] ?? 0) >= 224
  : bytes[0] === 0xff || bytes.slice(0, 15).every(byte => byte === 0) // multicast; :: and ::1

/**
 * Where each address goes: the named interface, else the one that has an address in the same network.
 * Throws UNAVAILABLE with a sentence that says what to do.
 */
export function choosePlaces (addresses: readonly FloatingAddress[], links: readonly Link[], assigned: readonly Assigned[], wanted?: string): readonly Placement[] {
  const unavailable = (reason: string): never => { throw new BedplateError('UNAVAILABLE', { reason }) }
  const usable = links.filter(link => link.ethernet)
  const names = usable.map(link => link.name).join(', ') || 'none'
  const own = (one: Assigned): boolean => addresses.some(({ bytes, family }) => family === one.family && sameNetwork(bytes, one.bytes, bytes.length * 8))
  return addresses.map(address => {
    const candidates = wanted !== undefined
      ? links.filter(link => link.name === wanted)
      : usable.filter(({ index }) => assigned.some(one => one.link === index && one.family === address.family && !own(one) && sameNetwork(one.bytes, address.bytes, address.prefix)))
    const [link, second] = candidates
    if (link === undefined) {
      return unavailable(wanted === undefined
        ? `no interface has an address in the network of ${address.text}/${address.prefix}: give one to it, or name the interface in vip.interface (there are: ${names}).`
        : `there is no interface ${wanted} for the floating address: correct vip.interface (there are: ${names}).`)
    }
    if (second !== undefined) return unavailable(`${candidates.map(one => one.name).join(' and ')} both have an address in the network of ${address.text}/${address.prefix}: name one of them in vip.interface.`)
    if (!link.ethernet) return unavailable(`${link.name} is no Ethernet interface, so that nobody could be told where ${address.text} is: name another in vip.interface (there are: ${names}).`)
    if (!link.up) return unavailable(`${link.name}, where ${address.text} belongs, is down or has no carrier: see to its cable and switch, or bring it up ("ip link set ${link.name} up").`)
    return { address, link }
  })
}
