/** The magic packet (AMD, "Magic Packet Technology", publication 20213): six bytes 0xFF, the MAC address sixteen times, then the SecureOn password if there is one. Pure. */
import { BedplateError } from '../../../../core/errors.ts'

const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'wol', reason })
const sixBytes = /^([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|[0-9a-f]{12})$/i
const bytesOf = (text: string): readonly string[] => text.toLowerCase().match(/[0-9a-f]{2}/g) ?? []

/** `aa:bb:cc:dd:ee:ff` of a MAC address with colons, dashes, dots or nothing between. POWER_PARAMETERS_INVALID. */
export function macOf (text: string): string {
  if (!sixBytes.test(text)) throw invalid('mac is not a MAC address; write it like 52:54:00:12:34:56')
  const mac = bytesOf(text).join(':')
  if (mac === '00:00:00:00:00:00' || (Number.parseInt(mac, 16) & 1) === 1) throw invalid('mac is no single interface\'s: it is a group\'s address, or empty')
  return mac
}

/** The bytes of a SecureOn password: six, or four as some cards have it. The message does not repeat it. POWER_PARAMETERS_INVALID. */
export function passwordOf (text: string): Uint8Array {
  if (sixBytes.test(text)) return Uint8Array.from(bytesOf(text), byte => Number.parseInt(byte, 16))
  const four = /^\d{1,3}(\.\d{1,3}){3}$/.test(text) ? text.split('.').map(Number) : []
  if (four.length !== 4 || four.some(byte => byte > 255)) throw invalid('password is not six bytes like 01:23:45:67:89:ab, nor four like 192.168.1.1')
  return Uint8Array.from(four)
}

/** 102 bytes, and the password's 4 or 6. POWER_PARAMETERS_INVALID. */
export function magicPacket (mac: string, password?: string): Uint8Array {
  const address = Uint8Array.from(bytesOf(macOf(mac)), byte => Number.parseInt(byte, 16))
  const packet = new Uint8Array(6 + 16 * 6)
  packet.fill(0xff, 0, 6)
  for (let copy = 0; copy < 16; copy++) packet.set(address, 6 + copy * 6)
  return password === undefined ? packet : Uint8Array.of(...packet, ...passwordOf(password))
}
