/** Advertisements of VRRP version 3 (RFC 9568) as whole Ethernet frames: written, and read with every check the standard asks for. Pure. */
import type { Family } from '../../../core/address/address.ts'
import { checksum, ethernet, etherTypes, pseudoHeader6 } from '../../../core/address/announcement.ts'

/** What a rack says of itself. */
export interface Advertisement {
  readonly vrid: number // 1 to 255
  readonly priority: number // 0: gives the address up; 255 is for routers that own it, and never said here
  readonly interval: number // ms until the next one, in steps of 10, at most 40,950
  readonly addresses: readonly Uint8Array[]
}
/** `source`: the sender's own address on the segment; of IPv6 the link-local one. */
export interface Heard extends Advertisement { readonly family: Family, readonly mac: Uint8Array, readonly source: Uint8Array }
/** Why a frame is no advertisement: each is a reason to pass it over (RFC 9568 section 7.1). */
export type Fault = 'not-vrrp' | 'truncated' | 'fragment' | 'ttl' | 'version' | 'type' | 'length' | 'checksum' | 'vrid'

export const vrrp = 112 // its protocol number
export const groups = { 4: Uint8Array.of(224, 0, 0, 18), 6: Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12) } as const
const macs = { 4: Uint8Array.of(1, 0, 0x5e, 0, 0, 0x12), 6: Uint8Array.of(0x33, 0x33, 0, 0, 0, 0x12) } as const
const ttl = 255 // nothing that came through a router has it
const versionAndType = 0x31
const headerLength = { 4: 20, 6: 40 } as const
const internetwork = 0xc0 // traffic class: CS6, as routing protocols have it
const start = 14 // of the IP header

/** The frame of an advertisement. */
export function advertisement ({ vrid, priority, interval, addresses }: Advertisement, mac: Uint8Array, source: Uint8Array): Uint8Array {
  const family = source.length === 4 ? 4 : 6
  const centiseconds = Math.min(0xfff, Math.round(interval / 10))
  const message = Uint8Array.of(versionAndType, vrid, priority, addresses.length, centiseconds >> 8, centiseconds & 0xff, 0, 0, ...addresses.flatMap(address => [...address]))
  const sum = checksum(pseudoHeader(source, groups[family], message.length), message)
  message.set([sum >> 8, sum & 0xff], 6)
  return ethernet(macs[family], mac, family === 4 ? etherTypes.ip : etherTypes.ipv6, Uint8Array.of(...family === 4 ? header4(source, message.length) : header6(source, message.length), ...message))
}

function header4 (source: Uint8Array, length: number): Uint8Array {
  const total = headerLength[4] + length
  const header = Uint8Array.of(0x45, internetwork, total >> 8, total & 0xff, 0, 0, 0, 0, ttl, vrrp, 0, 0, ...source, ...groups[4])
  const sum = checksum(header)
  header.set([sum >> 8, sum & 0xff], 10)
  return header
}
const header6 = (source: Uint8Array, length: number): Uint8Array =>
  Uint8Array.of(0x60 | internetwork >> 4, (internetwork & 0xf) << 4, 0, 0, length >> 8, length & 0xff, vrrp, ttl, ...source, ...groups[6])

const at = (bytes: Uint8Array, offset: number): number => (bytes[offset] ?? 0) << 8 | (bytes[offset + 1] ?? 0)

/** Reads a frame. What follows the datagram, as short frames are filled up, is left out. */
export function readAdvertisement (frame: Uint8Array): Heard | Fault {
  const type = at(frame, 12)
  const family = type === etherTypes.ip ? 4 : type === etherTypes.ipv6 ? 6 : undefined
  if (family === undefined) return 'not-vrrp'
  const packet = frame.subarray(start)
  const read = family === 4 ? readIp(packet) : readIp6(packet)
  if (typeof read === 'string') return read
  const { source, destination, message } = read
  if (message.length < 8) return 'length'
  const [head = 0, vrid = 0, priority = 0, count = 0] = message
  if (head >> 4 !== versionAndType >> 4) return 'version'
  if ((head & 0xf) !== (versionAndType & 0xf)) return 'type'
  const size = source.length
  if (count === 0 || message.length < 8 + count * size) return 'length'
  if (checksum(pseudoHeader(source, destination, message.length), message) !== 0 && (family === 6 || checksum(message) !== 0)) return 'checksum'
  if (vrid === 0) return 'vrid'
  return {
    family, mac: frame.slice(6, 12), source: source.slice(), vrid, priority, interval: (at(message, 4) & 0xfff) * 10,
    addresses: Array.from({ length: count }, (_, index) => message.slice(8 + index * size, 8 + (index + 1) * size))
  }
}
/**
 * What the checksum covers besides the message. RFC 5798 left open whether IPv4 has it too; RFC 9568 section 5.2.8 decided that it has not. What is installed has it: keepalived 2.2,
 * FRR and tcpdump call everything else damaged. Only our own racks act upon what we send, and they take both: so it is sent as those programs understand it.
 */
const pseudoHeader = (source: Uint8Array, destination: Uint8Array, length: number): readonly number[] =>
  source.length === 4 ? [...source, ...destination, 0, vrrp, length >> 8, length & 0xff] : pseudoHeader6(source, destination, length, vrrp)

interface Datagram { readonly source: Uint8Array, readonly destination: Uint8Array, readonly message: Uint8Array }

function readIp (packet: Uint8Array): Datagram | Fault {
  if (packet.length < headerLength[4]) return 'truncated'
  const length = ((packet[0] ?? 0) & 0xf) * 4
  const total = at(packet, 2)
  if ((packet[0] ?? 0) >> 4 !== 4 || packet[9] !== vrrp) return 'not-vrrp'
  if (length < headerLength[4] || total < length || packet.length < total) return 'truncated'
  if ((at(packet, 6) & 0x3fff) !== 0) return 'fragment'
  if (packet[8] !== ttl) return 'ttl'
  return { source: packet.subarray(12, 16), destination: packet.subarray(16, 20), message: packet.subarray(length, total) }
}

function readIp6 (packet: Uint8Array): Datagram | Fault {
  if (packet.length < headerLength[6]) return 'truncated'
  if ((packet[0] ?? 0) >> 4 !== 6 || packet[6] !== vrrp) return 'not-vrrp'
  const total = headerLength[6] + at(packet, 4)
  if (packet.length < total) return 'truncated'
  if (packet[7] !== ttl) return 'ttl'
  return { source: packet.subarray(8, 24), destination: packet.subarray(24, 40), message: packet.subarray(headerLength[6], total) }
}
