/** EXTENDED COPY (LID1) and RECEIVE COPY RESULTS (LID1): blocks copied inside a unit without going over the wire. SPC-4 sections 6.4 and 6.17 to 6.20. */
import { done, give } from './command.ts'
import type { Done, Give, Result } from './command.ts'
import { naaOf } from './inquiry.ts'
import type { Medium } from './media.ts'
import { Failure, sense } from './sense.ts'
import type { Sense } from './sense.ts'

const headLength = 16
/** Identification descriptor target descriptor, and block to block segment descriptor. */
const [targetCode, targetLength, segmentCode, segmentLength] = [0xe4, 32, 0x02, 28]
const most = { targets: 8, segments: 32, listLength: 8 * 32 + 32 * 28 } as const
const piece = 1 << 20
const mostResults = 64

const aborted = (code: number): Sense => ({ key: 0x0a, code })
const illegal = (code: number): Sense => ({ key: 5, code })
const fault = { targets: illegal(0x2606), target: illegal(0x2607), segments: illegal(0x2608), segment: illegal(0x2609), unreachable: aborted(0x0d02), failed: aborted(0x0000) } as const

interface Outcome { readonly failed: boolean, readonly segments: number, readonly bytes: number }
interface Segment { readonly from: number, readonly to: number, readonly length: number }

/** What became of the copies of a unit, by the list identifiers their initiators gave them. */
export class Copies {
  private readonly serial: string
  private readonly outcomes = new Map<string, Outcome>()

  constructor (serial: string) { this.serial = serial }

  /** EXTENDED COPY with its parameter list. */
  copy (cdb: Buffer, medium: Medium, nexus: string): Result {
    if (((cdb[1] ?? 0) & 0x1f) !== 0) throw new Failure(sense.invalidField(1))
    const length = cdb.readUInt32BE(10)
    return length === 0 ? done : { kind: 'accept', length: Math.min(length, 64 << 10), take: list => this.take(list, medium, nexus) }
  }

  private take (list: Buffer, medium: Medium, nexus: string): Done {
    if (list.length < headLength) throw new Failure(sense.parameterListLength)
    const [targets, segments, inline] = [list.readUInt16BE(2), list.readUInt32BE(8), list.readUInt32BE(12)]
    if (inline !== 0) throw new Failure(illegal(0x260b))
    if (targets + segments > most.listLength || headLength + targets + segments > list.length) throw new Failure(sense.parameterListLength)
    const reachable = this.targets(list.subarray(headLength, headLength + targets))
    const wanted = this.segments(list.subarray(headLength + targets, headLength + targets + segments))
    const id = `${nexus} ${list[0] ?? 0}`
    let bytes = 0
    for (const [index, one] of wanted.entries()) {
      const segment = boundsOf(one, reachable, medium)
      if (segment instanceof Failure) {
        this.remember(id, { failed: true, segments: index, bytes })
        throw segment
      }
      move(segment, medium)
      bytes += segment.length
    }
    this.remember(id, { failed: false, segments: wanted.length, bytes })
    return done
  }

  /** Which of the targets named are this very unit; copies between units are not offered. */
  private targets (list: Buffer): readonly boolean[] {
    if (list.length / targetLength > most.targets) throw new Failure(fault.targets)
    const own = naaOf(this.serial)
    return cut(list, targetLength).map(one => {
      if (one[0] !== targetCode) throw new Failure(fault.target)
      return ((one[5] ?? 0) & 0x0f) === 3 && one[7] === own.length && one.subarray(8, 8 + own.length).equals(own)
    })
  }

  private segments (list: Buffer): readonly Buffer[] {
    if (list.length > 0 && list[0] !== segmentCode) throw new Failure(fault.segment)
    if (list.length / segmentLength > most.segments) throw new Failure(fault.segments)
    const all = cut(list, segmentLength)
    if (all.some(one => one[0] !== segmentCode)) throw new Failure(fault.segment)
    return all
  }

  private remember (id: string, outcome: Outcome): void {
    this.outcomes.delete(id)
    for (const oldest of this.outcomes.keys()) {
      if (this.outcomes.size < mostResults) break
      this.outcomes.delete(oldest)
    }
    this.outcomes.set(id, outcome)
  }

  /** RECEIVE COPY RESULTS: the status of a copy, or what copies may be like. */
  results (cdb: Buffer, nexus: string): Give {
    const allocated = cdb.readUInt32BE(10)
    switch ((cdb[1] ?? 0) & 0x1f) {
      case 0x00: {
        const outcome = this.outcomes.get(`${nexus} ${cdb[2] ?? 0}`)
        if (outcome === undefined) throw new Failure(sense.invalidField(2))
        const bytes = Buffer.alloc(12)
        bytes.writeUInt32BE(8, 0)
        bytes[4] = outcome.failed ? 2 : 1
        bytes.writeUInt16BE(outcome.segments, 5)
        bytes.writeUInt32BE(Math.min(outcome.bytes, 0xffffffff), 8) // in bytes: unit 0
        return give(bytes, allocated)
      }
      case 0x03: {
        const bytes = Buffer.alloc(46)
        bytes.writeUInt32BE(bytes.length - 4, 0)
        bytes[4] = 1 // SNLID
        bytes.writeUInt16BE(most.targets, 8)
        bytes.writeUInt16BE(most.segments, 10)
        bytes.writeUInt32BE(most.listLength, 12)
        bytes.writeUInt32BE(0xffff * 4096, 16)
        bytes.writeUInt16BE(1, 34)
        bytes[36] = 1
        bytes[37] = 9 // 512 bytes
        bytes[43] = 2
        bytes[44] = segmentCode
        bytes[45] = targetCode
        return give(bytes, allocated)
      }
      default: throw new Failure(sense.invalidField(1))
    }
  }
}

const cut = (list: Buffer, length: number): Buffer[] => Array.from({ length: Math.floor(list.length / length) }, (_, index) => list.subarray(index * length, (index + 1) * length))

function boundsOf (one: Buffer, reachable: readonly boolean[], { blocks, blockLength }: Medium): Segment | Failure {
  if (reachable[one.readUInt16BE(4)] !== true || reachable[one.readUInt16BE(6)] !== true) return new Failure(fault.unreachable)
  const count = one.readUInt16BE(10)
  const [from, to] = [Number(one.readBigUInt64BE(12)), Number(one.readBigUInt64BE(20))]
  if (from + count > blocks || to + count > blocks) return new Failure(fault.failed)
  return { from: from * blockLength, to: to * blockLength, length: count * blockLength }
}

/** From the end where the two overlap and the copy goes up, so that nothing is read after it was written over. */
function move ({ from, to, length }: Segment, { disk }: Medium): void {
  const buffer = Buffer.allocUnsafe(Math.min(piece, length))
  const offsets = Array.from({ length: Math.ceil(length / piece) }, (_, index) => index * piece)
  for (const at of to > from ? offsets.reverse() : offsets) {
    const part = buffer.subarray(0, Math.min(piece, length - at))
    disk.read(from + at, part, 0, part.length)
    disk.write(to + at, part)
  }
}
