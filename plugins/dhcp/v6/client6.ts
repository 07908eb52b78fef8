/** What a client says about itself in DHCPv6: who it is, which machine it is, what it wants and what firmware it runs. Pure. */
import { option6 } from './codes6.ts'
import { checkDuid, macInDuid } from './duid.ts'
import { macInAddress } from './ipv6.ts'
import type { Ip6 } from './ipv6.ts'
import { first6, readStrings, readU16 } from './options6.ts'
import type { Options6 } from './options6.ts'
import { macSeen } from './relay6.ts'
import type { Datagram6 } from './relay6.ts'

/** The client's DUID in hexadecimal, or `undefined`. Throws PACKET_INVALID. */
export const duidOf = (options: Options6): string | undefined => {
  const value = first6(options, option6.clientId)
  return value === undefined ? undefined : checkDuid(value).toString('hex')
}

/**
 * The MAC of the interface that asks, by the best word there is: the relay's that saw it (RFC 6939), the link-local address it sends from when
 * that is made of the MAC, else its DUID of the kind LLT or LL. Throws PACKET_INVALID.
 * @param source where the datagram came from, without a zone
 */
export function macOf6 ({ relays, message }: Datagram6, source: Ip6): string | undefined {
  const seen = macSeen(relays) ?? macInAddress(relays.at(-1)?.peer ?? source)
  if (seen !== undefined) return seen
  const duid = first6(message.options, option6.clientId)
  return duid === undefined ? undefined : macInDuid(duid)
}

/** Hundredths of a second since the client began to ask; 0 when it does not say. */
export const elapsedOf = (options: Options6): number => readU16(first6(options, option6.elapsedTime)) ?? 0

/** Whether the client asks for the option. */
export function asksFor6 (options: Options6, code: number): boolean {
  const list = first6(options, option6.requestList)
  if (list === undefined) return false
  for (let at = 0; at + 1 < list.length; at += 2) if (list.readUInt16BE(at) === code) return true
  return false
}

export const userClasses6 = (options: Options6): readonly string[] => readStrings(first6(options, option6.userClass) ?? Buffer.alloc(0)).map(value => value.toString('latin1'))

/** The vendor class with its enterprise number (RFC 8415 section 21.16); `undefined` without one. */
export function vendorClass6 (options: Options6): { readonly enterprise: number, readonly texts: readonly string[] } | undefined {
  const value = first6(options, option6.vendorClass)
  return value === undefined || value.length < 4 ? undefined : { enterprise: value.readUInt32BE(0), texts: readStrings(value, 4).map(text => text.toString('latin1')) }
}

/** The first of the client's architectures (RFC 5970 section 3.3; numbers at IANA). */
export const architecture6 = (options: Options6): number | undefined => readU16(first6(options, option6.architecture))

/** The first label of the name a client asks for (RFC 4704), or null when it is none that a name server could carry. */
export function hostname6 (options: Options6): string | null {
  const value = first6(options, option6.clientName)
  const length = value?.[1]
  if (value === undefined || length === undefined || length === 0 || length > 63 || 2 + length > value.length) return null
  const label = value.toString('latin1', 2, 2 + length)
  return /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label) ? label.toLowerCase() : null
}
