/** DHCPv6 messages between client and server and their bytes (RFC 8415 section 8), with the identity associations in them. Pure. */
import { message6, option6, status6 } from './codes6.ts'
import type { Status6 } from './codes6.ts'
import type { Ip6 } from './ipv6.ts'
import { first6, invalid6, readOptions6, u16, u32, writeOptions6 } from './options6.ts'
import type { Option6, Options6 } from './options6.ts'

export interface Packet6 { readonly type: number, readonly xid: number, readonly options: Options6 }

const header = 4

/** Reads a message of any type but those of relays. Throws PACKET_INVALID; `details.kind` is a short word for counting. */
export function decode6 (data: Buffer): Packet6 {
  if (data.length < header) throw invalid6('short', `${data.length} bytes, at least ${header} are needed`)
  const type = data[0] as number
  if (type === message6['RELAY-FORW'] || type === message6['RELAY-REPL']) throw invalid6('relay', 'a relay message where a client\'s was expected')
  return { type, xid: data.readUIntBE(1, 3), options: readOptions6(data, header) }
}

export const encode6 = ({ type, xid, options }: Packet6): Buffer => Buffer.concat([Buffer.of(type, (xid >>> 16) & 255, (xid >>> 8) & 255, xid & 255), writeOptions6(options)])

export interface IaAddress { readonly address: Ip6, readonly preferred: number, readonly valid: number }
/** An identity association for addresses: one interface of a client. Times in seconds. */
export interface Ia { readonly iaid: number, readonly t1: number, readonly t2: number, readonly addresses: readonly IaAddress[], readonly status?: { readonly code: number, readonly message: string } | undefined }

const mostIas = 16 // one per interface of a client, and most send one
const mostAddresses = 32

/** Every IA_NA of a message (RFC 8415 sections 21.4 and 21.6). Throws PACKET_INVALID. */
export function iasOf (options: Options6): Ia[] {
  const found: Ia[] = []
  for (const { code, value } of options) {
    if (code !== option6.iaNa) continue
    if (value.length < 12) throw invalid6('ia', `an IA_NA of ${value.length} bytes`)
    if (found.length === mostIas) throw invalid6('ias', `more than ${mostIas} IA_NA options`)
    const inner = readOptions6(value, 12)
    found.push({ iaid: value.readUInt32BE(0), t1: value.readUInt32BE(4), t2: value.readUInt32BE(8), addresses: addressesOf(inner), status: statusOf(inner) })
  }
  return found
}

function addressesOf (options: Options6): IaAddress[] {
  const found: IaAddress[] = []
  for (const { code, value } of options) {
    if (code !== option6.iaAddress) continue
    if (value.length < 24) throw invalid6('ia-address', `an IA address of ${value.length} bytes`)
    if (found.length === mostAddresses) throw invalid6('ia-addresses', `more than ${mostAddresses} addresses in an IA_NA`)
    readOptions6(value, 24)
    found.push({ address: value.toString('hex', 0, 16), preferred: value.readUInt32BE(16), valid: value.readUInt32BE(20) })
  }
  return found
}

/** The status code of a message or of an IA, if it has one. Throws PACKET_INVALID. */
export function statusOf (options: Options6): { code: number, message: string } | undefined {
  const value = first6(options, option6.statusCode)
  if (value === undefined) return undefined
  if (value.length < 2) throw invalid6('status', 'a status code of less than two bytes')
  return { code: value.readUInt16BE(0), message: value.toString('utf8', 2) }
}

/** The IAIDs of the IA_PD and IA_TA options, which this server gives nothing for. */
export const otherIas = (options: Options6): readonly { readonly code: number, readonly iaid: number }[] =>
  options.flatMap(({ code, value }) => (code === option6.iaPd || code === option6.iaTa) && value.length >= 4 ? [{ code, iaid: value.readUInt32BE(0) }] : []).slice(0, mostIas)

export const statusOption = (status: Status6, message: string): Option6 => ({ code: option6.statusCode, value: Buffer.concat([u16(status6[status]), Buffer.from(message, 'utf8')]) })

/** An IA_NA with its addresses, and a status where there is one. */
export function iaOption ({ iaid, t1, t2, addresses }: Omit<Ia, 'status'>, status?: Option6): Option6 {
  const inner = addresses.map(({ address, preferred, valid }): Option6 => ({ code: option6.iaAddress, value: Buffer.concat([Buffer.from(address, 'hex'), u32(preferred), u32(valid)]) }))
  return { code: option6.iaNa, value: Buffer.concat([u32(iaid), u32(t1), u32(t2), writeOptions6(status === undefined ? inner : [...inner, status])]) }
}
