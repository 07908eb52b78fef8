/** Commands about blocks: SBC-3 section 5. What they do to the disk; who may is decided before. */
import type { Disk } from '../disk/disk.ts'
import { extentOf, within } from './block.ts'
import type { Extent } from './block.ts'
import type { Geometry } from './capacity.ts'
import { done } from './command.ts'
import type { Done, Result } from './command.ts'
import { limits } from './limits.ts'
import { Failure, sense, status } from './sense.ts'

export interface Medium extends Geometry { readonly disk: Disk }
type Command = (cdb: Buffer, medium: Medium) => Result

const flag = { fua: 0x08, bytchk: 0x06, unmap: 0x08, anchor: 0x10 } as const

/** The extent, checked: inside the medium, and not more than one command may move. */
function checked (cdb: Buffer, { blocks, blockLength }: Medium, most: number = limits.transfer): Extent & { readonly offset: number, readonly length: number } {
  const extent = extentOf(cdb)
  within(extent, blocks)
  const length = extent.count * blockLength
  if (length > most) throw new Failure(sense.invalidField((cdb[0] ?? 0) >> 5 === 4 ? 10 : 7))
  return { ...extent, offset: extent.block * blockLength, length }
}

export const read: Command = (cdb, medium) => {
  const { offset, length } = checked(cdb, medium)
  return length === 0 ? done : { kind: 'read', offset, length }
}

const accept = (length: number, take: (data: Buffer) => Done): Result => length === 0 ? done : { kind: 'accept', length, take }

export const write: Command = (cdb, medium) => {
  const { offset, length, flags } = checked(cdb, medium)
  return accept(length, data => {
    medium.disk.write(offset, data)
    if ((flags & flag.fua) !== 0) medium.disk.flush()
    return done
  })
}

/** Where two buffers differ first; undefined where they do not. */
export const difference = (left: Buffer, right: Buffer): number | undefined => {
  if (left.equals(right)) return undefined
  return left.findIndex((byte, index) => byte !== right[index])
}

const contentOf = ({ disk }: Medium, offset: number, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length)
  disk.read(offset, bytes, 0, length)
  return bytes
}

/** VERIFY: with BYTCHK 0 that it can be read, with 1 that it is the data sent, with 3 that each block is the one sent. 5.29 */
export const verify: Command = (cdb, medium) => {
  const { offset, length, flags } = checked(cdb, medium)
  const check = (flags & flag.bytchk) >> 1
  if (check === 2) throw new Failure(sense.invalidField(1))
  if (check === 0 || length === 0) {
    if (length > 0) contentOf(medium, offset, length)
    return done
  }
  if (check === 1) return accept(length, data => { compare(medium, offset, data.length, data); return done })
  return { kind: 'accept', length: medium.blockLength, exact: true, take: data => { compare(medium, offset, length, data); return done } }
}

/** `data`, again and again, against so many bytes of the medium. */
function compare (medium: Medium, offset: number, length: number, data: Buffer): void {
  for (let at = 0; at < length; at += data.length) {
    const differs = difference(contentOf(medium, offset + at, Math.min(data.length, length - at)), data)
    if (differs !== undefined) throw new Failure(sense.miscompare(at + differs))
  }
}

/** WRITE AND VERIFY: what was written is read back from the page cache, which is what a verification can see here. 5.37 */
export const writeAndVerify: Command = (cdb, medium) => {
  const { offset, length, flags } = checked(cdb, medium)
  const check = (flags & flag.bytchk) >> 1
  if (check > 1) throw new Failure(sense.invalidField(1))
  return accept(length, data => {
    medium.disk.write(offset, data)
    medium.disk.flush()
    if (check === 1) compare(medium, offset, data.length, data)
    return done
  })
}

/** ORWRITE (16) without the protection of later revisions. 5.9 */
export const orWrite: Command = (cdb, medium) => {
  const { offset, length, flags } = checked(cdb, medium)
  return accept(length, data => {
    const content = contentOf(medium, offset, data.length)
    for (let index = 0; index < data.length; index++) content[index] = (content[index] ?? 0) | (data[index] ?? 0)
    medium.disk.write(offset, content)
    if ((flags & flag.fua) !== 0) medium.disk.flush()
    return done
  })
}

/** COMPARE AND WRITE: the first half of the data must be there for the second to be written. One step, since nothing runs beside it. 5.2 */
export const compareAndWrite: Command = (cdb, medium) => {
  const count = cdb[13] ?? 0
  const block = cdb.readUInt32BE(2) * 2 ** 32 + cdb.readUInt32BE(6)
  within({ block, count, flags: cdb[1] ?? 0 }, medium.blocks)
  const length = count * medium.blockLength
  if (length > limits.compareAndWrite) throw new Failure(sense.invalidField(13))
  const offset = block * medium.blockLength
  return { kind: 'accept', length: 2 * length, exact: true, take: data => {
    if (length === 0) return done
    const differs = difference(contentOf(medium, offset, length), data.subarray(0, length))
    if (differs !== undefined) throw new Failure(sense.miscompare(differs))
    medium.disk.write(offset, data.subarray(length))
    if (((cdb[1] ?? 0) & flag.fua) !== 0) medium.disk.flush()
    return done
  } }
}

/** PRE-FETCH: CONDITION MET says that it is in the cache, or soon will be. 5.8 */
export const prefetch: Command = (cdb, { blocks }) => {
  const extent = extentOf(cdb)
  within({ ...extent, flags: 0 }, blocks)
  return { kind: 'done', status: status.conditionMet }
}

export const synchronize: Command = (cdb, { blocks, disk }) => {
  const extent = extentOf(cdb)
  within({ ...extent, flags: 0 }, blocks)
  disk.flush()
  return done
}

/** WRITE SAME (10) and (16): one block again and again, or none of it (UNMAP) where it is zeros. 5.40 */
export const writeSame: Command = (cdb, medium) => {
  const { blockLength, thin, disk, blocks } = medium
  const { block, count, flags } = extentOf(cdb)
  within({ block, count, flags }, blocks)
  // WSNZ: 0 would stand for all that follow, and one lost bit for the end of everything.
  if (count === 0) throw new Failure(sense.invalidField((cdb[0] ?? 0) === 0x41 ? 7 : 10))
  if (count * blockLength > limits.writeSame) throw new Failure(sense.invalidField((cdb[0] ?? 0) === 0x41 ? 7 : 10))
  if ((flags & (flag.unmap | flag.anchor)) !== 0 && !thin) throw new Failure(sense.invalidField(1))
  if ((flags & flag.anchor) !== 0 || (flags & 0x06) !== 0) throw new Failure(sense.invalidField(1)) // ANCHOR, and LBDATA and PBDATA of long ago
  const fill = (pattern: Buffer): Done => {
    const [offset, length] = [block * blockLength, count * blockLength]
    if ((flags & flag.unmap) !== 0 && pattern.every(byte => byte === 0)) { disk.discard(offset, length); return done }
    const piece = Buffer.alloc(Math.min(length, 1 << 20), pattern)
    for (let at = 0; at < length; at += piece.length) disk.write(offset + at, piece.subarray(0, Math.min(piece.length, length - at)))
    return done
  }
  if ((cdb[0] ?? 0) === 0x93 && (flags & 0x01) !== 0) return fill(Buffer.alloc(blockLength)) // NDOB: no data, zeros are meant
  return { kind: 'accept', length: blockLength, exact: true, take: fill }
}

/** UNMAP with its list of extents. 5.28 */
export const unmap: Command = (cdb, { blocks, blockLength, disk, thin }) => {
  if (!thin) throw new Failure(sense.invalidOpcode)
  if (((cdb[1] ?? 0) & 1) !== 0) throw new Failure(sense.invalidField(1)) // ANCHOR
  return accept(cdb.readUInt16BE(7), list => {
    if (list.length < 8) throw new Failure(sense.parameterListLength)
    const length = Math.min(list.readUInt16BE(2), list.length - 8)
    const extents: { offset: number, length: number }[] = []
    for (let at = 8; at + 16 <= 8 + length; at += 16) {
      const [block, count] = [list.readUInt32BE(at) * 2 ** 32 + list.readUInt32BE(at + 4), list.readUInt32BE(at + 8)]
      if (block + count > blocks) throw new Failure(sense.outOfRange)
      extents.push({ offset: block * blockLength, length: count * blockLength })
    }
    if (extents.length > limits.unmapDescriptors || extents.reduce((sum, one) => sum + one.length, 0) > limits.unmap) throw new Failure(sense.invalidInParameters())
    for (const one of extents) if (one.length > 0) disk.discard(one.offset, one.length)
    return done
  })
}
