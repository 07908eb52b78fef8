/** PDUs on their way out: many in one buffer, so that a burst of answers is one write to the socket. RFC 7143 sections 11.2.1 and 13.1. */
import { crc32c } from './crc32c.ts'
import { headerLength } from './assembler.ts'

/** Large enough for the longest PDU this side sends. */
export const bufferLength = 272 << 10
/** The longest data segment that goes into one PDU, whatever the initiator would take. */
export const longestSegment = 128 << 10
const digests = 8
const spare: Buffer[] = [] // of all connections: buffers whose bytes the kernel has
const mostSpare = 64

/** A place for one PDU. The header is zeroed; the data is whatever was there. */
export interface Place { readonly bytes: Buffer, readonly header: number, readonly data: number }

export class Outgoing {
  headerDigest = false
  dataDigest = false
  private readonly write: (bytes: Buffer, done: () => void) => void
  private buffer: Buffer | undefined // taken when there is something to send: most connections are quiet
  private used = 0

  /** `write` sends bytes and says when they may be used again. */
  constructor (write: (bytes: Buffer, done: () => void) => void) { this.write = write }

  /** A place for a PDU with so many bytes of data. It counts only once `commit` is called; until then it may be asked for anew. */
  reserve (data: number): Place {
    const needed = headerLength + digests + (data + 3 & ~3)
    if (this.used + needed > bufferLength) this.flush()
    const buffer = this.buffer ??= take()
    const { used } = this
    buffer.fill(0, used, used + headerLength)
    return { bytes: buffer, header: used, data: used + headerLength + (this.headerDigest ? 4 : 0) }
  }

  /** The PDU at the place is whole but for lengths and digests. `data`: how many bytes of it were filled in, at most as many as reserved. */
  commit ({ bytes, header, data }: Place, length: number): void {
    bytes.writeUIntBE(length, header + 5, 3)
    if (this.headerDigest) bytes.writeUInt32LE(crc32c(bytes, header, header + headerLength), header + headerLength)
    let end = data + length
    for (; (end - data) % 4 !== 0; end++) bytes[end] = 0
    if (this.dataDigest && length > 0) {
      bytes.writeUInt32LE(crc32c(bytes, data, end), end)
      end += 4
    }
    this.used = end
  }

  /** Bytes that have been committed, and not given to the socket yet. */
  get waiting (): number { return this.used }

  /** Gives what has been committed to the socket. */
  flush (): void {
    const { buffer, used } = this
    if (used === 0 || buffer === undefined) return
    this.buffer = undefined
    this.used = 0
    this.write(buffer.subarray(0, used), () => { if (spare.length < mostSpare) spare.push(buffer) })
  }
}

function take (): Buffer { return spare.pop() ?? Buffer.allocUnsafeSlow(bufferLength) }
