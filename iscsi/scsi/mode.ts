/** Mode pages: caching, control, informational exceptions. SPC-4 section 7.5, SBC-3 section 6.5. Pure but for the one switch that can be set. */
import { give } from './command.ts'
import type { Give } from './command.ts'
import { Failure, sense } from './sense.ts'

/** What of a unit the pages tell. */
export interface Mode {
  /** For good: nothing can be written. */
  readonly readOnly: boolean
  readonly blocks: number
  readonly blockLength: number
  /** SWP of the control page: set by an initiator. */
  softwareProtected: boolean
}

const control = 0x0a
const swp = 0x08 // byte 4 of the control page
/** Page → its parameters after the two bytes of its head. `changeable`: a mask of what MODE SELECT may change. */
const pages: ReadonlyMap<number, (mode: Mode, changeable: boolean) => Buffer> = new Map([
  [0x08, (_: Mode, changeable: boolean) => { const bytes = Buffer.alloc(18); if (!changeable) bytes[0] = 0x04; return bytes }], // WCE: written is not yet on stable storage
  [control, (mode: Mode, changeable: boolean) => {
    const bytes = Buffer.alloc(10)
    if (changeable || mode.softwareProtected) bytes[2] = swp
    if (!changeable) { bytes[1] = 0x10; bytes.writeUInt16BE(0xffff, 6) } // reordering is not restricted; busy as long as it takes
    return bytes
  }],
  [0x1c, (_: Mode, changeable: boolean) => { const bytes = Buffer.alloc(10); if (!changeable) bytes[0] = 0x08; return bytes }] // DEXCPT: none are told
])

const pageOf = (code: number, mode: Mode, changeable: boolean): Buffer => {
  const body = pages.get(code)?.(mode, changeable) ?? Buffer.alloc(0)
  return Buffer.concat([Buffer.of(code, body.length), body])
}

/** MODE SENSE (6) and (10). SPC-4 sections 6.11 and 6.12 */
export function modeSense (cdb: Buffer, mode: Mode): Give {
  const long = cdb[0] === 0x5a
  const [withoutBlocks, longBlocks] = [((cdb[1] ?? 0) & 0x08) !== 0, long && ((cdb[1] ?? 0) & 0x10) !== 0]
  const [pageControl, code, subpage] = [(cdb[2] ?? 0) >> 6, (cdb[2] ?? 0) & 0x3f, cdb[3] ?? 0]
  if (pageControl === 3) throw new Failure({ key: 5, code: 0x3900 }) // saving parameters not supported
  if (code !== 0x3f && !pages.has(code)) throw new Failure(sense.invalidField(2))
  if (subpage !== 0 && !(code === 0x3f && subpage === 0xff)) throw new Failure(sense.invalidField(3))
  const body = Buffer.concat((code === 0x3f ? [...pages.keys()] : [code]).map(one => pageOf(one, mode, pageControl === 1)))
  const blocks = withoutBlocks ? Buffer.alloc(0) : blockDescriptor(mode, longBlocks)
  const specific = (mode.readOnly || mode.softwareProtected ? 0x80 : 0) | 0x10 // WP, DPOFUA
  const head = Buffer.alloc(long ? 8 : 4)
  if (long) {
    head.writeUInt16BE(6 + blocks.length + body.length, 0)
    head[3] = specific
    head[4] = longBlocks ? 1 : 0
    head.writeUInt16BE(blocks.length, 6)
  } else {
    head[0] = 3 + blocks.length + body.length
    head[2] = specific
    head[3] = blocks.length
  }
  return give(Buffer.concat([head, blocks, body]), long ? cdb.readUInt16BE(7) : cdb[4] ?? 0)
}

function blockDescriptor ({ blocks, blockLength }: Mode, long: boolean): Buffer {
  const bytes = Buffer.alloc(long ? 16 : 8)
  if (long) {
    bytes.writeBigUInt64BE(BigInt(blocks), 0)
    bytes.writeUInt32BE(blockLength, 12)
  } else {
    bytes.writeUInt32BE(Math.min(blocks, 0xffffffff), 0)
    bytes.writeUIntBE(blockLength, 5, 3)
  }
  return bytes
}

/** The parameter list of a MODE SELECT: whether anything changed. Only SWP can be; anything else must be as it is. SPC-4 section 6.9 */
export function modeSelect (cdb: Buffer, list: Buffer, mode: Mode): boolean {
  const long = cdb[0] === 0x55
  const head = long ? 8 : 4
  if (list.length === 0) return false
  if (list.length < head) throw new Failure(sense.parameterListLength)
  let at = head + (long ? list.readUInt16BE(6) : list[3] ?? 0)
  let protect = mode.softwareProtected
  for (let end: number; at < list.length; at = end) {
    const code = (list[at] ?? 0) & 0x3f
    const present = pageOf(code, mode, false)
    end = at + present.length
    if (!pages.has(code) || ((list[at] ?? 0) & 0x40) !== 0) throw new Failure(sense.invalidInParameters(at))
    if (list[at + 1] !== present.length - 2) throw new Failure(sense.invalidInParameters(at + 1))
    if (end > list.length) throw new Failure(sense.parameterListLength)
    const mask = pageOf(code, mode, true)
    for (let byte = 2; byte < present.length; byte++) {
      const free = mask[byte] ?? 0
      if (((list[at + byte] ?? 0) & ~free) !== ((present[byte] ?? 0) & ~free)) throw new Failure(sense.invalidInParameters(at + byte))
    }
    if (code === control) protect = ((list[at + 4] ?? 0) & swp) !== 0
  }
  const changed = protect !== mode.softwareProtected
  mode.softwareProtected = protect
  return changed
}
