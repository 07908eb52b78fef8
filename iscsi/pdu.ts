/** Headers of the PDUs a target sends, written in place: RFC 7143 section 11. The 48 bytes are zero before. */
import { bit, reservedTag, response } from './opcode.ts'
import type { Place } from './outgoing.ts'

/** The sequence numbers every answer carries. `statSN` is the one it takes, or the next one where it takes none. */
export interface Numbers { readonly statSN: number, readonly expCmdSN: number, readonly maxCmdSN: number }

/** Too much (O) or too little (U) was expected: section 11.4.1. */
export interface Residual { readonly flag: 0 | 0x02 | 0x04, readonly count: number }
export const residualOf = (asked: number, expected: number): Residual => asked > expected ? { flag: 0x04, count: asked - expected } : asked < expected ? { flag: 0x02, count: expected - asked } : { flag: 0, count: 0 }

function head ({ bytes, header }: Place, opcode: number, flags: number, itt: number, { statSN, expCmdSN, maxCmdSN }: Numbers): void {
  bytes[header] = opcode
  bytes[header + 1] = flags
  bytes.writeUInt32BE(itt, header + 16)
  bytes.writeUInt32BE(statSN, header + 24)
  bytes.writeUInt32BE(expCmdSN, header + 28)
  bytes.writeUInt32BE(maxCmdSN, header + 32)
}

export interface LoginHead { readonly transit: boolean, readonly current: number, readonly next: number, readonly isid: Buffer, readonly tsih: number, readonly itt: number, readonly status: number }
export function loginResponse (place: Place, { transit, current, next, isid, tsih, itt, status }: LoginHead, numbers: Numbers): void {
  head(place, response.login, (transit ? bit.transit : 0) | current << 2 | (transit ? next : 0), itt, numbers)
  isid.copy(place.bytes, place.header + 8)
  place.bytes.writeUInt16BE(tsih, place.header + 14)
  place.bytes.writeUInt16BE(status, place.header + 36)
}

/** Data-In; with `status` it is the last of its command, and well ended. 11.7 */
export function dataIn (place: Place, { final, status, itt, dataSN, offset, residual }: { readonly final: boolean, readonly status: boolean, readonly itt: number, readonly dataSN: number, readonly offset: number, readonly residual: Residual }, numbers: Numbers): void {
  head(place, response.dataIn, (final ? bit.final : 0) | (status ? 0x01 | residual.flag : 0), itt, numbers)
  const { bytes, header } = place
  if (!status) bytes.writeUInt32BE(0, header + 24)
  bytes.writeUInt32BE(reservedTag, header + 20)
  bytes.writeUInt32BE(dataSN, header + 36)
  bytes.writeUInt32BE(offset, header + 40)
  if (status) bytes.writeUInt32BE(residual.count, header + 44)
}

/** 11.4 */
export function scsiResponse (place: Place, { itt, status, residual, expDataSN }: { readonly itt: number, readonly status: number, readonly residual: Residual, readonly expDataSN: number }, numbers: Numbers): void {
  head(place, response.command, bit.final | residual.flag, itt, numbers)
  const { bytes, header } = place
  bytes[header + 3] = status
  bytes.writeUInt32BE(expDataSN, header + 36)
  bytes.writeUInt32BE(residual.count, header + 44)
}

/** 11.8 */
export function readyToTransfer (place: Place, { lun, itt, ttt, r2tSN, offset, length }: { readonly lun: Buffer, readonly itt: number, readonly ttt: number, readonly r2tSN: number, readonly offset: number, readonly length: number }, numbers: Numbers): void {
  head(place, response.r2t, bit.final, itt, numbers)
  const { bytes, header } = place
  lun.copy(bytes, header + 8)
  bytes.writeUInt32BE(ttt, header + 20)
  bytes.writeUInt32BE(r2tSN, header + 36)
  bytes.writeUInt32BE(offset, header + 40)
  bytes.writeUInt32BE(length, header + 44)
}

/** 11.6 */
export function taskResponse (place: Place, itt: number, outcome: number, numbers: Numbers): void {
  head(place, response.task, bit.final, itt, numbers)
  place.bytes[place.header + 2] = outcome
}

/** 11.11. `ttt`: of more that is to come. */
export function textResponse (place: Place, { itt, ttt, final, continued }: { readonly itt: number, readonly ttt: number, readonly final: boolean, readonly continued: boolean }, numbers: Numbers): void {
  head(place, response.text, (final ? bit.final : 0) | (continued ? bit.continue : 0), itt, numbers)
  place.bytes.writeUInt32BE(ttt, place.header + 20)
}

/** 11.19: an answer (`itt` of the request) or a question of ours (`ttt`). */
export function nopIn (place: Place, { itt, ttt }: { readonly itt: number, readonly ttt: number }, numbers: Numbers): void {
  head(place, response.nop, bit.final, itt, numbers)
  place.bytes.writeUInt32BE(ttt, place.header + 20)
}

/** 11.15 */
export function logoutResponse (place: Place, itt: number, outcome: number, numbers: Numbers): void {
  head(place, response.logout, bit.final, itt, numbers)
  place.bytes[place.header + 2] = outcome
}

/** 11.17; the header that is rejected is its data. */
export function reject (place: Place, reason: number, numbers: Numbers): void {
  head(place, response.reject, bit.final, reservedTag, numbers)
  place.bytes[place.header + 2] = reason
}

/** 11.9 */
export function asyncMessage (place: Place, event: number, numbers: Numbers): void {
  head(place, response.async, bit.final, reservedTag, numbers)
  place.bytes[place.header + 36] = event
}

/** The unit a LUN field names: SAM-5 section 4.6, peripheral and flat addressing. Undefined for any other form. */
export function lunOf (header: Buffer): number | undefined {
  const [first, second] = [header[8] ?? 0, header[9] ?? 0]
  if (header.readUInt32BE(10) !== 0 || header.readUInt16BE(14) !== 0) return undefined
  if (first >> 6 === 1) return (first & 0x3f) << 8 | second
  return first === 0 ? second : undefined
}
/** Peripheral addressing up to 255, flat above. */
export const lunField = (lun: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16BE(lun < 256 ? lun : 0x4000 | lun, 0)
  return bytes
}
