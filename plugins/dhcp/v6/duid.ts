/** DUIDs: what DHCPv6 tells clients and servers apart by (RFC 8415 section 11, RFC 6355). Pure. */
import { invalid6 } from './options6.ts'

export type Duid =
  | { readonly kind: 'llt', readonly hardware: number, readonly time: number, readonly mac: string | undefined }
  | { readonly kind: 'll', readonly hardware: number, readonly mac: string | undefined }
  | { readonly kind: 'en', readonly enterprise: number, readonly id: string }
  | { readonly kind: 'uuid', readonly uuid: string }
  | { readonly kind: 'other', readonly type: number }

const [smallest, largest] = [3, 130] // bytes with the type; RFC 8415 section 11.1 allows 128 behind it
const ethernet = 1

/** A MAC of one machine: not zero and no group. */
const macOf = (data: Buffer): string | undefined => {
  if (data.length !== 6 || ((data[0] as number) & 1) === 1) return undefined
  const text = data.toString('hex')
  return text === '000000000000' ? undefined : text.replace(/..(?!$)/g, '$&:')
}
/** The MAC of a hardware type and address, as DUIDs and RFC 6939 carry them; `undefined` when it is no Ethernet. */
export const macOfHardware = (hardware: number, address: Buffer): string | undefined => hardware === ethernet ? macOf(address) : undefined

/** Throws PACKET_INVALID when the bytes are too few or too many to be a DUID. */
export function checkDuid (data: Buffer): Buffer {
  if (data.length < smallest || data.length > largest) throw invalid6('duid', `a DUID of ${data.length} bytes; ${smallest} to ${largest} are possible`)
  return data
}

/** What a DUID says. One of a known kind that is too short for it is `other`. Throws PACKET_INVALID. */
export function readDuid (data: Buffer): Duid {
  const type = checkDuid(data).readUInt16BE(0)
  if (type === 1 && data.length >= 8) return { kind: 'llt', hardware: data.readUInt16BE(2), time: data.readUInt32BE(4), mac: macOfHardware(data.readUInt16BE(2), data.subarray(8)) }
  if (type === 2 && data.length >= 6) return { kind: 'en', enterprise: data.readUInt32BE(2), id: data.toString('hex', 6) }
  if (type === 3 && data.length >= 4) return { kind: 'll', hardware: data.readUInt16BE(2), mac: macOfHardware(data.readUInt16BE(2), data.subarray(4)) }
  if (type === 4 && data.length === 18) return { kind: 'uuid', uuid: data.toString('hex', 2).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') }
  return { kind: 'other', type }
}

/** The MAC in a DUID of the kinds LLT and LL, or `undefined`. */
export function macInDuid (data: Buffer): string | undefined {
  const duid = readDuid(data)
  return duid.kind === 'llt' || duid.kind === 'll' ? duid.mac : undefined
}

/** A DUID of the kind UUID. */
export const duidOfUuid = (uuid: string): Buffer => Buffer.concat([Buffer.of(0, 4), Buffer.from(uuid.replaceAll('-', ''), 'hex')])
