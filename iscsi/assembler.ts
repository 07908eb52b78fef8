/** A stream of bytes cut into PDUs: RFC 7143 sections 11.2.1 and 13.1. Knows lengths and digests, and nothing of what a PDU means. */
import { crc32c } from './crc32c.ts'

/** What is wrong with the stream; nothing after it can be trusted. */
export class StreamError extends Error { override readonly name = 'StreamError' }

/**
 * `header` is the basic header of 48 bytes, `data` the segment without padding. Both are views of a buffer that is used again: what outlives the call is copied.
 * `intact` is false when the data digest does not fit; the data is then empty.
 */
export type Take = (header: Buffer, data: Buffer, intact: boolean) => void
export interface AssemblerOptions {
  readonly take: Take
  /** The longest data segment this side takes before it has said another, in bytes. */
  readonly longest: number
}

export const headerLength = 48
const none = Buffer.alloc(0)
const padded = (length: number): number => length + 3 & ~3
const digestLength = 4

export class Assembler {
  /** Switched on after the login that agreed on them. 13.1 */
  headerDigest = false
  dataDigest = false
  /** The longest data segment this side takes, in bytes. 13.12 */
  longest: number
  private readonly options: AssemblerOptions
  private held: Buffer = none // the beginning of a PDU whose end is still to come, in a buffer large enough for all of it
  private filled = 0
  private stopped = false
  private rest: Buffer = none // what came while it was stopped

  constructor (options: AssemblerOptions) {
    this.options = options
    this.longest = options.longest
  }

  /** Takes the next bytes in, and gives every PDU that they complete. Throws StreamError. */
  push (chunk: Buffer): void {
    if (this.rest.length > 0) {
      chunk = Buffer.concat([this.rest, chunk])
      this.rest = none
    }
    let at = 0
    while (at < chunk.length && !this.stopped) {
      if (this.filled > 0) { at = this.fill(chunk, at); continue }
      const left = chunk.length - at
      const whole = left < headerLength ? Infinity : this.lengthOf(chunk, at)
      if (left >= whole) {
        this.give(chunk, at)
        at += whole
      } else {
        this.held = Buffer.allocUnsafe(whole === Infinity ? headerLength : whole)
        this.filled = chunk.copy(this.held, 0, at)
        at = chunk.length
      }
    }
    if (at < chunk.length) this.rest = Buffer.from(chunk.subarray(at))
  }

  /** No more PDUs are given until `resume`, also of those that have come already. May be called while one is being given. */
  pause (): void { this.stopped = true }
  resume (): void {
    if (!this.stopped) return
    this.stopped = false
    this.push(none)
  }

  private fill (chunk: Buffer, at: number): number {
    const copied = chunk.copy(this.held, this.filled, at)
    this.filled += copied
    if (this.filled < this.held.length) return at + copied
    if (this.filled === headerLength) {
      const whole = this.lengthOf(this.held, 0)
      if (whole > headerLength) {
        const larger = Buffer.allocUnsafe(whole)
        this.held.copy(larger)
        this.held = larger
        return at + copied
      }
    }
    const complete = this.held
    this.held = none
    this.filled = 0
    this.give(complete, 0)
    return at + copied
  }

  /** Of the PDU whose header is there, with everything that belongs to it. */
  private lengthOf (bytes: Buffer, at: number): number {
    const data = bytes.readUIntBE(at + 5, 3)
    if (data > this.longest) throw new StreamError(`a data segment of ${data} bytes; ${this.longest} is the most`)
    return headerLength + 4 * (bytes[at + 4] ?? 0) + (this.headerDigest ? digestLength : 0) + padded(data) + (this.dataDigest && data > 0 ? digestLength : 0)
  }

  private give (bytes: Buffer, at: number): void {
    const headers = headerLength + 4 * (bytes[at + 4] ?? 0)
    const length = bytes.readUIntBE(at + 5, 3)
    let from = at + headers
    if (this.headerDigest) {
      if (crc32c(bytes, at, from) !== bytes.readUInt32LE(from)) throw new StreamError('the digest of a header does not fit')
      from += digestLength
    }
    const end = from + padded(length)
    const intact = !this.dataDigest || length === 0 || crc32c(bytes, from, end) === bytes.readUInt32LE(end)
    this.options.take(bytes.subarray(at, at + headerLength), intact ? bytes.subarray(from, from + length) : none, intact)
  }
}
