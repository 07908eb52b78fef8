/** One command's data on its way from the initiator: which of it has come, what is asked for next. RFC 7143 sections 4.2.5.2, 11.7 and 11.8. Pure. */
import type { Accept } from './scsi/command.ts'

export interface TransferOptions {
  readonly itt: number
  readonly lun: Buffer
  /** How much the initiator says it will send, and how much of that the command takes. */
  readonly expected: number
  readonly accept: Accept
  readonly firstBurstLength: number
  readonly maxBurstLength: number
  readonly maxOutstandingR2T: number
  /** Whether more follows without being asked for. */
  readonly unsolicited: boolean
}
export interface Ask { readonly ttt: number, readonly r2tSN: number, readonly offset: number, readonly length: number }
interface Sequence { readonly end: number, offset: number, dataSN: number }

/** What is wrong with a Data-Out PDU. */
export type Fault = 'unexpected' | 'out of order'

export class Transfer {
  readonly options: TransferOptions
  /** As much as the command takes; bytes beyond that are let pass. */
  readonly data: Buffer
  private readonly wanted: number
  private received = 0
  private unsolicited: Sequence | undefined
  private asked = 0 // up to where
  private r2tSN = 0
  private readonly sequences = new Map<number, Sequence>() // by target transfer tag

  constructor (options: TransferOptions, immediate: Buffer) {
    this.options = options
    this.wanted = Math.min(options.expected, options.accept.length)
    this.data = Buffer.allocUnsafe(this.wanted)
    immediate.copy(this.data)
    this.received = Math.min(immediate.length, this.wanted)
    this.asked = immediate.length
    if (options.unsolicited) this.unsolicited = { offset: immediate.length, end: Math.min(options.firstBurstLength, options.expected), dataSN: 0 }
  }

  /** Everything the command takes has come, and nothing is on its way. */
  get complete (): boolean { return this.received >= this.wanted && this.unsolicited === undefined && this.sequences.size === 0 }

  /** Data that came; `ttt` undefined for what was not asked for. */
  take (ttt: number | undefined, dataSN: number, offset: number, final: boolean, bytes: Buffer): Fault | undefined {
    const sequence = ttt === undefined ? this.unsolicited : this.sequences.get(ttt)
    if (sequence === undefined || offset + bytes.length > sequence.end) return 'unexpected'
    if (offset !== sequence.offset || dataSN !== sequence.dataSN) return 'out of order'
    if (final && ttt !== undefined && offset + bytes.length !== sequence.end) return 'out of order' // an asked-for burst comes whole
    if (offset < this.wanted) this.received += bytes.copy(this.data, offset, 0, Math.min(bytes.length, this.wanted - offset))
    sequence.offset += bytes.length
    sequence.dataSN++
    if (final && ttt === undefined) { this.unsolicited = undefined; this.asked = sequence.offset } else if (final && ttt !== undefined) this.sequences.delete(ttt)
    return undefined
  }

  /** What to ask for now, as many bursts as may be open at once. `tag` gives a fresh target transfer tag. */
  asks (tag: () => number): Ask[] {
    const { maxBurstLength, maxOutstandingR2T } = this.options
    const asks: Ask[] = []
    while (this.unsolicited === undefined && this.asked < this.wanted && this.sequences.size < maxOutstandingR2T) {
      const ask = { ttt: tag(), r2tSN: this.r2tSN++, offset: this.asked, length: Math.min(maxBurstLength, this.wanted - this.asked) }
      this.sequences.set(ask.ttt, { offset: ask.offset, end: ask.offset + ask.length, dataSN: 0 })
      this.asked += ask.length
      asks.push(ask)
    }
    return asks
  }
}
