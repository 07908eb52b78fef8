/** Frames that tell a segment where an address is, or ask whether somebody has it: ARP (RFC 826, 5227) and neighbour discovery (RFC 4861, 4862). Pure. */
import type { FloatingAddress } from './address.ts'

const broadcast = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
const nobody = new Uint8Array(6)
export const etherTypes = { ip: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const
export const etherTypeOf = ({ family }: Pick<FloatingAddress, 'family'>): number => family === 4 ? etherTypes.arp : etherTypes.ipv6
export const icmp6 = 58 // its protocol number
const kinds = { solicitation: 135, advertisement: 136 } as const
const override = 0x20

export const ethernet = (to: Uint8Array, from: Uint8Array, type: number, payload: Uint8Array): Uint8Array => Uint8Array.of(...to, ...from, type >> 8, type & 0xff, ...payload)

/** An ARP packet over Ethernet, RFC 826. */
const arp = (operation: 1 | 2, sender: Uint8Array, senderIp: Uint8Array, target: Uint8Array, targetIp: Uint8Array): Uint8Array =>
  ethernet(broadcast, sender, etherTypes.arp, Uint8Array.of(0, 1, 8, 0, 6, 4, 0, operation, ...sender, ...senderIp, ...target, ...targetIp))

/** The Internet checksum (RFC 1071). A correct message, its checksum included, gives 0. */
export function checksum (...parts: readonly ArrayLike<number>[]): number {
  const all = [...parts.flatMap(part => Array.from(part)), 0]
  let sum = 0
  for (let at = 0; at + 1 < all.length; at += 2) sum += (all[at] ?? 0) << 8 | (all[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
/** What stands before a message in the checksum of an upper protocol over IPv6, RFC 8200 section 8.1. */
export const pseudoHeader6 = (source: Uint8Array, destination: Uint8Array, length: number, protocol: number): readonly number[] =>
  [...source, ...destination, length >>> 24, length >> 16 & 0xff, length >> 8 & 0xff, length & 0xff, 0, 0, 0, protocol]

/** The checksum of an ICMPv6 message. */
export const icmpChecksum = (source: Uint8Array, destination: Uint8Array, message: Uint8Array): number => checksum(pseudoHeader6(source, destination, message.length, icmp6), message)

function icmp (from: Uint8Array, source: Uint8Array, destination: Uint8Array, body: Uint8Array): Uint8Array {
  const message = Uint8Array.from(body)
  const sum = icmpChecksum(source, destination, message)
  message[2] = sum >> 8
  message[3] = sum & 0xff
  const header = Uint8Array.of(0x60, 0, 0, 0, message.length >> 8, message.length & 0xff, icmp6, 255, ...source, ...destination) // hop limit 255: from this link
  return ethernet(Uint8Array.of(0x33, 0x33, ...destination.slice(12)), from, etherTypes.ipv6, Uint8Array.of(...header, ...message)) // RFC 2464 section 7
}
const allNodes = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
const solicitedNode = (address: Uint8Array): Uint8Array => Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...address.slice(13))

/**
 * What makes everybody on the segment send to `mac` from now on. IPv4: a gratuitous ARP as request and as reply, since some listen to one only
 * (RFC 5227 section 3). IPv6: an unsolicited neighbour advertisement with the override flag, from the address itself (RFC 4861 section 7.2.6).
 */
export function announcements ({ family, bytes }: FloatingAddress, mac: Uint8Array): readonly Uint8Array[] {
  if (family === 4) return [arp(1, mac, bytes, nobody, bytes), arp(2, mac, bytes, broadcast, bytes)]
  return [icmp(mac, bytes, allNodes, Uint8Array.of(kinds.advertisement, 0, 0, 0, override, 0, 0, 0, ...bytes, 2, 1, ...mac))]
}

/** Asks whether somebody has the address, without claiming it: an ARP probe (RFC 5227 section 2.1.1), or a solicitation from :: (RFC 4862 section 5.4.2). */
export function probe ({ family, bytes }: FloatingAddress, mac: Uint8Array): Uint8Array {
  if (family === 4) return arp(1, mac, new Uint8Array(4), nobody, bytes)
  return icmp(mac, new Uint8Array(16), solicitedNode(bytes), Uint8Array.of(kinds.solicitation, 0, 0, 0, 0, 0, 0, 0, ...bytes))
}

const equal = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && one.every((byte, index) => byte === other[index])
const at = (frame: Uint8Array, offset: number): number => (frame[offset] ?? 0) << 8 | (frame[offset + 1] ?? 0)

/**
 * Who claims the address in this frame: the MAC of an ARP packet sent from it (RFC 5227 section 2.1.1) or of an advertisement of it, written with colons.
 * Undefined for every other frame, malformed ones, and those of `own`.
 */
export function claimant (frame: Uint8Array, { family, bytes }: FloatingAddress, own: Uint8Array): string | undefined {
  const sender = family === 4 ? arpSender(frame, bytes) : advertiser(frame, bytes)
  return sender === undefined || equal(sender, own) ? undefined : formatMac(sender)
}

export const formatMac = (mac: Uint8Array): string => Array.from(mac, byte => byte.toString(16).padStart(2, '0')).join(':')

function arpSender (frame: Uint8Array, address: Uint8Array): Uint8Array | undefined {
  if (frame.length < 42 || at(frame, 12) !== etherTypes.arp || !equal(frame.subarray(14, 20), Uint8Array.of(0, 1, 8, 0, 6, 4))) return undefined
  return equal(frame.subarray(28, 32), address) ? frame.slice(22, 28) : undefined
}

function advertiser (frame: Uint8Array, address: Uint8Array): Uint8Array | undefined {
  if (frame.length < 78 || at(frame, 12) !== etherTypes.ipv6 || frame[20] !== icmp6 || frame[21] !== 255) return undefined
  const length = at(frame, 18)
  if (length < 24 || frame.length < 54 + length || frame[54] !== kinds.advertisement || !equal(frame.subarray(62, 78), address)) return undefined
  return icmpChecksum(frame.subarray(22, 38), frame.subarray(38, 54), frame.subarray(54, 54 + length)) === 0 ? frame.slice(6, 12) : undefined
}
