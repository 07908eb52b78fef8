/** Who the BMC is, and the machine's identifier: IPMI 2.0 sections 20.1, 20.8 and 22.14. */
import { Reader, u16 } from '../bytes.ts'
import { netFn } from '../message.ts'
import { nothing, type Codec, type Command } from './command.ts'

/** `firmware`: major.minor, and what the maker adds. `manufacturer`: IANA's number. */
export interface DeviceId { readonly id: number, readonly revision: number, readonly available: boolean, readonly firmware: string, readonly ipmi: '1.0' | '1.5' | '2.0' | string, readonly support: number, readonly manufacturer: number, readonly product: number, readonly auxiliary: Buffer }

export const getDeviceId: Command<void, DeviceId> = {
  name: 'Get Device ID', netFn: netFn.app, command: 0x01, request: nothing,
  response: {
    encode: ({ id, revision, available, firmware, ipmi, support, manufacturer, product, auxiliary }) => {
      const [major = 0, minor = 0] = firmware.split('.').map(Number)
      const [high = 2, low = 0] = ipmi.split('.').map(Number)
      return Buffer.concat([Buffer.of(id, revision & 0x0f | 0x80, major & 0x7f | (available ? 0 : 0x80), bcd(minor), low << 4 | high, support), u16(manufacturer & 0xffff), Buffer.of(manufacturer >> 16 & 0x0f), u16(product), auxiliary])
    },
    decode: bytes => {
      const from = new Reader(bytes, 'the answer to Get Device ID')
      const [id, revision, major, minor, version, support] = [from.u8(), from.u8(), from.u8(), from.u8(), from.u8(), from.u8()]
      const [manufacturer, product] = [from.u24() & 0xfffff, from.u16()]
      return { id, revision: revision & 0x0f, available: (major & 0x80) === 0, firmware: `${major & 0x7f}.${(minor >> 4).toString(16)}${(minor & 0x0f).toString(16)}`, ipmi: `${version & 0x0f}.${version >> 4}`, support, manufacturer, product, auxiliary: from.rest() }
    }
  }
}
const bcd = (value: number): number => Math.floor(value / 10) % 10 << 4 | value % 10

const sixteen = (what: string): Codec<Buffer> => ({ encode: guid => guid, decode: bytes => Buffer.from(new Reader(bytes, what).take(16)) })
/** Of the machine; may be asked for without a session. */
export const getSystemGuid: Command<void, Buffer> = { name: 'Get System GUID', netFn: netFn.app, command: 0x37, request: nothing, response: sixteen('the answer to Get System GUID') }
/** Of the BMC. */
export const getDeviceGuid: Command<void, Buffer> = { name: 'Get Device GUID', netFn: netFn.app, command: 0x08, request: nothing, response: sixteen('the answer to Get Device GUID') }

/** How 16 bytes are to be read as a UUID. `ipmi`: the last byte first, as section 20.8 says. `smbios`: the first three fields little-endian, as the machine's SMBIOS table has it. `rfc4122`: as written. */
export type GuidOrder = 'smbios' | 'ipmi' | 'rfc4122'
export const guidOrders: readonly GuidOrder[] = ['smbios', 'ipmi', 'rfc4122']
const places: Readonly<Record<GuidOrder, readonly number[]>> = {
  smbios: [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15],
  ipmi: [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
  rfc4122: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
}
export function uuidOf (guid: Buffer, order: GuidOrder): string {
  const hex = Buffer.from(places[order].map(place => guid[place] ?? 0)).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
export function guidOf (uuid: string, order: GuidOrder): Buffer {
  const [plain, guid] = [Buffer.from(uuid.replaceAll('-', ''), 'hex'), Buffer.alloc(16)]
  places[order].forEach((place, index) => { guid[place] = plain[index] ?? 0 })
  return guid
}
/**
 * The order that makes a sound UUID of it (version 1 to 8, the usual variant), the first such of SMBIOS, IPMI and RFC 4122, and else one with a sound version alone, which is how ipmitool guesses: BMCs do
 * each of the three, and most send what SMBIOS has. A guess: of those sent as RFC 4122 has it about half look as sound read the other way. Undefined where none does, or all bytes are alike, which is how a machine without one says so.
 */
export function guessGuidOrder (guid: Buffer): GuidOrder | undefined {
  if (guid.every(byte => byte === guid[0])) return undefined
  const sound = (shape: RegExp) => guidOrders.find(order => shape.test(uuidOf(guid, order)))
  return sound(/^.{14}[1-8].{4}[89ab]/) ?? sound(/^.{14}[1-8]/)
}
