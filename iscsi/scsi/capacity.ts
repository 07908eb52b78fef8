/** How large a unit is, and what of it is in use: SBC-3 sections 5.4, 5.15 and 5.16. Pure. */
import { give } from './command.ts'
import type { Give } from './command.ts'
import type { Disk } from '../disk/disk.ts'
import { Failure, sense } from './sense.ts'

export interface Geometry { readonly blocks: number, readonly blockLength: number, readonly thin: boolean }

/** READ CAPACITY (10). An address means nothing without PMI, which is obsolete. */
export function capacity10 (cdb: Buffer, { blocks, blockLength }: Geometry): Give {
  if (((cdb[8] ?? 0) & 1) === 0 && cdb.readUInt32BE(2) !== 0) throw new Failure(sense.invalidField(2))
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(Math.min(blocks - 1, 0xffffffff), 0)
  bytes.writeUInt32BE(blockLength, 4)
  return give(bytes, 8)
}

/** READ CAPACITY (16). */
export function capacity16 (cdb: Buffer, { blocks, blockLength, thin }: Geometry): Give {
  const bytes = Buffer.alloc(32)
  bytes.writeBigUInt64BE(BigInt(blocks - 1), 0)
  bytes.writeUInt32BE(blockLength, 8)
  bytes[14] = thin ? 0xc0 : 0 // LBPME, LBPRZ
  return give(bytes, cdb.readUInt32BE(10))
}

/** What of an answer to GET LBA STATUS is told at most: an initiator asks again from where it ends. */
const mostRuns = 128

/** GET LBA STATUS: runs of blocks that are mapped (0) or deallocated (1), from the one that is asked for. */
export function blockStatus (cdb: Buffer, { blocks, blockLength }: Geometry, disk: Disk): Give {
  const first = cdb.readUInt32BE(2) * 2 ** 32 + cdb.readUInt32BE(6)
  if (first >= blocks) throw new Failure(sense.outOfRange)
  const allocated = cdb.readUInt32BE(10)
  const room = Math.max(1, Math.min(mostRuns, Math.floor((allocated - 8) / 16)))
  const runs: Buffer[] = []
  for (let block = first; block < blocks && runs.length < room;) {
    const { mapped, length } = disk.mapped(block * blockLength)
    const count = Math.max(1, Math.min(blocks - block, Math.floor(length / blockLength), 0xffffffff))
    const run = Buffer.alloc(16)
    run.writeBigUInt64BE(BigInt(block), 0)
    run.writeUInt32BE(count, 8)
    run[12] = mapped ? 0 : 1
    runs.push(run)
    block += count
  }
  const head = Buffer.alloc(8)
  head.writeUInt32BE(4 + 16 * runs.length, 0)
  return give(Buffer.concat([head, ...runs]), allocated)
}
