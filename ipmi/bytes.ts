/** Reading and writing little-endian fields. A field that is not there is an IpmiError `malformed`, never a RangeError. */
import { IpmiError } from './error.ts'

export const none: Buffer = Buffer.alloc(0)

export class Reader {
  private readonly bytes: Buffer
  private readonly what: string
  private at = 0

  /** `what` is named in the error: "the answer to Get Device ID". */
  constructor (bytes: Buffer, what: string) { this.bytes = bytes; this.what = what }

  get left (): number { return this.bytes.length - this.at }
  u8 (): number { return this.bytes[this.step(1)] ?? 0 }
  u16 (): number { return this.bytes.readUInt16LE(this.step(2)) }
  u24 (): number { return this.bytes.readUIntLE(this.step(3), 3) }
  u32 (): number { return this.bytes.readUInt32LE(this.step(4)) }
  take (count: number): Buffer { const from = this.step(count); return this.bytes.subarray(from, from + count) }
  rest (): Buffer { return this.take(this.left) }

  private step (count: number): number {
    const from = this.at
    if (count < 0 || from + count > this.bytes.length) throw new IpmiError('malformed', `${this.what} ends after ${this.bytes.length} bytes, in the middle of a field`)
    this.at = from + count
    return from
  }
}

export const u16 = (value: number): Buffer => { const bytes = Buffer.allocUnsafe(2); bytes.writeUInt16LE(value); return bytes }
export const u32 = (value: number): Buffer => { const bytes = Buffer.allocUnsafe(4); bytes.writeUInt32LE(value >>> 0); return bytes }
/** Text or bytes in a field of fixed length, zeros behind. Longer ones are cut. */
export function field (value: string | Uint8Array, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.set((typeof value === 'string' ? Buffer.from(value) : value).subarray(0, length))
  return bytes
}
/** The text of a field of fixed length, up to its first zero. */
export function textOf (bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end)
}
