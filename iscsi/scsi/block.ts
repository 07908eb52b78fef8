/** Where a block command points: its address and count out of the four forms of CDB. SBC-3 section 5. Pure. */
import { Failure, sense } from './sense.ts'

/** `flags`: byte 1 of the longer forms (protection, DPO, FUA, …), 0 in the short one. */
export interface Extent { readonly block: number, readonly count: number, readonly flags: number }

/** Reads the extent; blocks beyond what a double counts are as good as beyond the end. */
export function extentOf (cdb: Buffer): Extent {
  const opcode = cdb[0] ?? 0
  switch (opcode >> 5) {
    case 0: return { block: cdb.readUIntBE(1, 3) & 0x1fffff, count: cdb[4] || 256, flags: 0 } // 0 stands for 256
    case 1:
    case 2: return { block: cdb.readUInt32BE(2), count: cdb.readUInt16BE(7), flags: cdb[1] ?? 0 }
    case 5: return { block: cdb.readUInt32BE(2), count: cdb.readUInt32BE(6), flags: cdb[1] ?? 0 }
    default: return { block: cdb.readUInt32BE(2) * 2 ** 32 + cdb.readUInt32BE(6), count: cdb.readUInt32BE(10), flags: cdb[1] ?? 0 }
  }
}

/** Refuses protection information, which no unit here has, and what lies beyond the end. */
export function within ({ block, count, flags }: Extent, blocks: number): void {
  if ((flags & 0xe0) !== 0) throw new Failure(sense.invalidField(1))
  if (block + count > blocks || block > blocks) throw new Failure(sense.outOfRange)
}
