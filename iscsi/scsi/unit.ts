/** A logical unit: which command does what, and who may. State that outlives a command is here: reservations, unit attentions, the switch against writing. */
import type { Disk } from '../disk/disk.ts'
import { DiskError } from '../disk/disk.ts'
import { blockStatus, capacity10, capacity16 } from './capacity.ts'
import { Copies } from './copy.ts'
import { done, give } from './command.ts'
import type { Nexus, Result } from './command.ts'
import { inquiry } from './inquiry.ts'
import type { Identity } from './inquiry.ts'
import { compareAndWrite, orWrite, prefetch, read, synchronize, unmap, verify, write, writeAndVerify, writeSame } from './media.ts'
import { modeSelect, modeSense } from './mode.ts'
import { supportedFunctions, supportedOpcodes } from './opcodes.ts'
import type { Described } from './opcodes.ts'
import { Persistent } from './persistent.ts'
import { Failure, sense, senseData, status } from './sense.ts'
import type { Sense } from './sense.ts'

export interface UnitOptions {
  readonly identity: Identity
  readonly disk: Disk
  readonly readOnly: boolean
  /** Ends what the nexus has under way at this unit. */
  readonly abort: (nexus: string) => void
}
/** `always`: whoever holds a reservation. `read` and `write`: as the reservation has it. SPC-4 section 5.13.1 */
interface Entry extends Described { readonly access: 'always' | 'read' | 'write', /** Writes blocks: refused where nothing can be written. */ readonly changes?: true, /** Keeps others out: not offered where nothing can be written, since strangers share it. */ readonly excludes?: true, readonly run: (unit: LogicalUnit, cdb: Buffer, nexus: Nexus) => Result }

const mostAttentions = 8
/** Bytes of a parameter list that are taken in at all. */
const longestList = 64 << 10

export class LogicalUnit {
  readonly disk: Disk
  readonly readOnly: boolean
  readonly blockLength: number
  readonly blocks: number
  readonly thin: boolean
  readonly identity: Identity
  readonly persistent: Persistent
  readonly copies: Copies
  softwareProtected = false
  stopped = false
  private reservedBy: string | undefined // RESERVE (6) of SPC-2
  private readonly attentions = new Map<string, Sense[]>() // by nexus

  constructor ({ identity, disk, readOnly, abort }: UnitOptions) {
    this.identity = identity
    this.disk = disk
    this.readOnly = readOnly
    this.blockLength = identity.blockLength
    this.blocks = Math.floor(disk.size / identity.blockLength)
    this.thin = identity.thin
    this.copies = new Copies(identity.serial)
    this.persistent = new Persistent({ attend: (nexus, what) => { this.attend(nexus, what) }, abort, portalGroup: identity.portalGroup })
  }

  /** Decides and, but for transfers, does what a command asks. Throws Failure. */
  run (cdb: Buffer, nexus: Nexus): Result {
    const entry = entryOf(cdb)
    if (entry === undefined || entry.access !== 'always') this.raise(nexus)
    if (entry === undefined || (entry.excludes === true && this.readOnly)) throw new Failure(sense.invalidOpcode)
    if (entry.access !== 'always' && this.conflicts(nexus.id, entry.access)) throw new Failure(status.reservationConflict)
    if (entry.changes === true && (this.readOnly || this.softwareProtected)) throw new Failure(this.readOnly ? sense.writeProtected : sense.softwareProtected)
    try {
      return entry.run(this, cdb, nexus)
    } catch (error) { throw failureOf(error, false) }
  }

  /** The nexus is told at its next command. */
  attend (nexus: string, what: Sense): void {
    const waiting = this.attentions.get(nexus) ?? []
    if (waiting.length < mostAttentions && !waiting.some(({ code }) => code === what.code)) waiting.push(what)
    this.attentions.set(nexus, waiting)
  }

  /** Logical unit reset: reservations of SPC-2 end, persistent ones stay. SAM-5 section 6.3.3 */
  reset (nexuses: Iterable<string>): void {
    this.reservedBy = undefined
    this.softwareProtected = false
    for (const nexus of nexuses) this.attend(nexus, sense.reset)
  }

  /** The initiator is gone: what it reserved by SPC-2 is free. */
  lost (nexus: string): void {
    if (this.reservedBy === nexus) this.reservedBy = undefined
    this.attentions.delete(nexus)
  }

  reserve (nexus: string): Result {
    if (this.persistent.registered || (this.reservedBy !== undefined && this.reservedBy !== nexus)) throw new Failure(status.reservationConflict)
    this.reservedBy = nexus
    return done
  }
  release (nexus: string): Result {
    if (this.reservedBy === nexus) this.reservedBy = undefined
    return done
  }
  /** What REQUEST SENSE tells, and ends. */
  attention (nexus: string): Sense | undefined { return this.attentions.get(nexus)?.shift() }

  private raise (nexus: Nexus): void {
    if (this.attentions.size === 0) return
    const first = this.attention(nexus.id)
    if (first !== undefined) throw new Failure(first)
  }
  private conflicts (nexus: string, access: 'read' | 'write'): boolean {
    return (this.reservedBy !== undefined && this.reservedBy !== nexus) || this.persistent.conflicts(nexus, access)
  }
}

/** Of the medium's trouble, or of a fault of ours, as the initiator is told it. */
export const failureOf = (error: unknown, writing: boolean): unknown => error instanceof DiskError ? new Failure(writing ? sense.writeError : sense.readError) : error

/** Switched off and on by START STOP UNIT for whoever looks at it; blocks are served all the same. SBC-3 section 5.25 */
function startStop (unit: LogicalUnit, cdb: Buffer): Result {
  const [condition, bits] = [(cdb[4] ?? 0) >> 4, cdb[4] ?? 0]
  if (condition !== 0) return done
  if ((bits & 2) !== 0) throw new Failure(sense.invalidField(4)) // LOEJ: nothing can be ejected
  unit.stopped = (bits & 1) === 0
  return done
}

function requestSense (unit: LogicalUnit, cdb: Buffer, nexus: Nexus): Result {
  if (((cdb[1] ?? 0) & 1) !== 0) throw new Failure(sense.invalidField(1)) // descriptor format
  return give(senseData(unit.attention(nexus.id) ?? { key: 0, code: 0 }), cdb[4] ?? 0)
}

function select (unit: LogicalUnit, cdb: Buffer): Result {
  if (((cdb[1] ?? 0) & 0x10) === 0 || ((cdb[1] ?? 0) & 1) !== 0) throw new Failure(sense.invalidField(1)) // PF is a must, SP is not offered
  const length = cdb[0] === 0x55 ? cdb.readUInt16BE(7) : cdb[4] ?? 0
  return length === 0 ? done : { kind: 'accept', length, take: list => { modeSelect(cdb, list, unit); return done } }
}

/** REPORT TARGET PORT GROUPS: one group, one port, active. SPC-4 section 6.37 */
function portGroups (unit: LogicalUnit, cdb: Buffer): Result {
  const extended = (cdb[1] ?? 0) >> 5 === 1
  const group = Buffer.alloc(12)
  group[1] = 0x01 // supports active/optimized alone
  group[3] = 1
  group[7] = 1
  group.writeUInt16BE(unit.identity.portalGroup, 10)
  const head = Buffer.alloc(extended ? 8 : 4)
  head.writeUInt32BE(group.length + head.length - 4, 0)
  if (extended) head[4] = 0x10
  return give(Buffer.concat([head, group]), cdb.readUInt32BE(6))
}

/** READ DEFECT DATA: there are none. SBC-3 sections 5.17 and 5.18 */
function defects (cdb: Buffer): Result {
  const long = cdb[0] === 0xb7
  const bytes = Buffer.alloc(long ? 8 : 4)
  bytes[1] = (cdb[long ? 1 : 2] ?? 0) & 0x1f
  return give(bytes, long ? cdb.readUInt32BE(6) : cdb.readUInt16BE(7))
}

const ten = (opcode: string, flags = 'fb'): string => `${opcode}${flags}ffffffff00ffff07`
const twelve = (opcode: string, flags = 'fb'): string => `${opcode}${flags}ffffffffffffffff0007`
const sixteen = (opcode: string, flags = 'fb'): string => `${opcode}${flags}ffffffffffffffffffffffff0007`
const entries: readonly Entry[] = [
  { opcode: 0x00, usage: '000000000007', access: 'read', run: () => done },
  { opcode: 0x03, usage: '03010000ff07', access: 'always', run: requestSense },
  { opcode: 0x08, usage: '081fffffff07', access: 'read', run: (unit, cdb) => read(cdb, unit) },
  { opcode: 0x0a, usage: '0a1fffffff07', access: 'write', changes: true, run: (unit, cdb) => write(cdb, unit) },
  { opcode: 0x12, usage: '1201ffffff07', access: 'always', run: (unit, cdb) => inquiry(cdb, unit.identity) },
  { opcode: 0x15, usage: '15110000ff07', access: 'write', run: select },
  { opcode: 0x16, usage: '160000000007', access: 'always', excludes: true, run: (unit, _, nexus) => unit.reserve(nexus.id) },
  { opcode: 0x17, usage: '170000000007', access: 'always', excludes: true, run: (unit, _, nexus) => unit.release(nexus.id) },
  { opcode: 0x1a, usage: '1a08ffffff07', access: 'read', run: (unit, cdb) => modeSense(cdb, unit) },
  { opcode: 0x1b, usage: '1b01000ff707', access: 'write', run: startStop },
  { opcode: 0x25, usage: '25000000000000000007', access: 'read', run: (unit, cdb) => capacity10(cdb, unit) },
  { opcode: 0x28, usage: ten('28'), access: 'read', run: (unit, cdb) => read(cdb, unit) },
  { opcode: 0x2a, usage: ten('2a'), access: 'write', changes: true, run: (unit, cdb) => write(cdb, unit) },
  { opcode: 0x2e, usage: ten('2e', 'f6'), access: 'write', changes: true, run: (unit, cdb) => writeAndVerify(cdb, unit) },
  { opcode: 0x2f, usage: ten('2f', 'f6'), access: 'read', run: (unit, cdb) => verify(cdb, unit) },
  { opcode: 0x34, usage: ten('34', '02'), access: 'read', run: (unit, cdb) => prefetch(cdb, unit) },
  { opcode: 0x35, usage: ten('35', '02'), access: 'write', run: (unit, cdb) => synchronize(cdb, unit) },
  { opcode: 0x37, usage: '37001f00000000ffff07', access: 'read', run: (_, cdb) => defects(cdb) },
  { opcode: 0x41, usage: ten('41', 'e8'), access: 'write', changes: true, run: (unit, cdb) => writeSame(cdb, unit) },
  { opcode: 0x42, usage: '42000000000000ffff07', access: 'write', changes: true, run: (unit, cdb) => unmap(cdb, unit) },
  { opcode: 0x55, usage: '55110000000000ffff07', access: 'write', run: select },
  { opcode: 0x56, usage: '56000000000000000007', access: 'always', excludes: true, run: (unit, _, nexus) => unit.reserve(nexus.id) },
  { opcode: 0x57, usage: '57000000000000000007', access: 'always', excludes: true, run: (unit, _, nexus) => unit.release(nexus.id) },
  { opcode: 0x5a, usage: '5a18ffff000000ffff07', access: 'read', run: (unit, cdb) => modeSense(cdb, unit) },
  ...[0, 1, 2, 3].map((action): Entry => ({ opcode: 0x5e, action, usage: '5e1f0000000000ffff07', access: 'always', run: (unit, cdb) => unit.persistent.in(cdb) })),
  ...[0, 1, 2, 3, 4, 5, 6].map((action): Entry => ({ opcode: 0x5f, action, usage: '5f1fff0000ffffffff07', access: 'always', excludes: true, run: (unit, cdb, nexus) => ({ kind: 'accept', length: Math.min(cdb.readUInt32BE(5), longestList), take: list => unit.persistent.out(cdb, list, nexus.id) }) })),
  { opcode: 0x83, action: 0, usage: '831f0000000000000000ffffffff0007', access: 'write', changes: true, run: (unit, cdb, nexus) => unit.copies.copy(cdb, unit, nexus.id) },
  ...[0, 3].map((action): Entry => ({ opcode: 0x84, action, usage: '841fff00000000000000ffffffff0007', access: 'read', run: (unit, cdb, nexus) => unit.copies.results(cdb, nexus.id) })),
  { opcode: 0x88, usage: sixteen('88'), access: 'read', run: (unit, cdb) => read(cdb, unit) },
  { opcode: 0x89, usage: '89fbffffffffffffffff000000ff0007', access: 'write', changes: true, run: (unit, cdb) => compareAndWrite(cdb, unit) },
  { opcode: 0x8a, usage: sixteen('8a'), access: 'write', changes: true, run: (unit, cdb) => write(cdb, unit) },
  { opcode: 0x8b, usage: sixteen('8b'), access: 'write', changes: true, run: (unit, cdb) => orWrite(cdb, unit) },
  { opcode: 0x8e, usage: sixteen('8e', 'f6'), access: 'write', changes: true, run: (unit, cdb) => writeAndVerify(cdb, unit) },
  { opcode: 0x8f, usage: sixteen('8f', 'f6'), access: 'read', run: (unit, cdb) => verify(cdb, unit) },
  { opcode: 0x90, usage: sixteen('90', '02'), access: 'read', run: (unit, cdb) => prefetch(cdb, unit) },
  { opcode: 0x91, usage: sixteen('91', '02'), access: 'write', run: (unit, cdb) => synchronize(cdb, unit) },
  { opcode: 0x93, usage: sixteen('93', 'e9'), access: 'write', changes: true, run: (unit, cdb) => writeSame(cdb, unit) },
  { opcode: 0x9e, action: 0x10, usage: '9e1fffffffffffffffffffffffff0107', access: 'read', run: (unit, cdb) => capacity16(cdb, unit) },
  { opcode: 0x9e, action: 0x12, usage: '9e1fffffffffffffffffffffffff0007', access: 'read', run: (unit, cdb) => blockStatus(cdb, unit, unit.disk) },
  { opcode: 0xa0, usage: 'a000ff000000ffffffff0007', access: 'always', run: () => { throw new Failure(sense.invalidOpcode) } }, // answered for the whole target, see target-device
  { opcode: 0xa3, action: 0x0a, usage: 'a3ff00000000ffffffff0007', access: 'always', run: portGroups },
  { opcode: 0xa3, action: 0x0c, usage: 'a31f87ffffffffffffff0007', access: 'read', run: (unit, cdb) => supportedOpcodes(cdb, unit.readOnly ? offered : entries) },
  { opcode: 0xa3, action: 0x0d, usage: 'a31f80000000ffffffff0007', access: 'read', run: (_, cdb) => supportedFunctions(cdb) },
  { opcode: 0xa8, usage: twelve('a8'), access: 'read', run: (unit, cdb) => read(cdb, unit) },
  { opcode: 0xaa, usage: twelve('aa'), access: 'write', changes: true, run: (unit, cdb) => write(cdb, unit) },
  { opcode: 0xae, usage: twelve('ae', 'f6'), access: 'write', changes: true, run: (unit, cdb) => writeAndVerify(cdb, unit) },
  { opcode: 0xaf, usage: twelve('af', 'f6'), access: 'read', run: (unit, cdb) => verify(cdb, unit) },
  { opcode: 0xb7, usage: 'b71f00000000ffffffff0007', access: 'read', run: (_, cdb) => defects(cdb) }
]

const offered = entries.filter(({ excludes }) => excludes !== true)

/** By opcode, and by service action where there are several. */
const table: readonly (readonly Entry[] | undefined)[] = Array.from({ length: 256 }, (_, opcode) => { const found = entries.filter(one => one.opcode === opcode); return found.length === 0 ? undefined : found })
function entryOf (cdb: Buffer): Entry | undefined {
  const found = table[cdb[0] ?? 0]
  if (found === undefined || found[0]?.action === undefined) return found?.[0]
  const action = (cdb[1] ?? 0) & 0x1f
  const exact = found.find(one => one.action === action)
  if (exact === undefined) throw new Failure(sense.invalidField(1))
  return exact
}
