/** What each SCSI command refuses, and how it says so; on a unit with a disk in memory. */
import { describe, expect, it } from 'vitest'
import { DiskError } from '../../iscsi/disk/disk.ts'
import type { Disk } from '../../iscsi/disk/disk.ts'
import type { Result } from '../../iscsi/scsi/command.ts'
import { limits } from '../../iscsi/scsi/limits.ts'
import { Failure } from '../../iscsi/scsi/sense.ts'
import { LogicalUnit } from '../../iscsi/scsi/unit.ts'

const blocks = 1 << 20 // 512 MiB, of which only the first MiB can be written
const memory = (): Disk & { readonly bytes: Buffer } => {
  const bytes = Buffer.alloc(1 << 20)
  return {
    bytes, size: blocks * 512, flush () {}, close () {}, mapped: offset => ({ mapped: true, length: blocks * 512 - offset }),
    read (offset, into, at, length) { into.fill(0, at, at + length); if (offset < bytes.length) bytes.copy(into, at, offset, offset + length) },
    write (offset, data) { data.copy(bytes, offset) },
    discard (offset, length) { bytes.fill(0, Math.min(offset, bytes.length), Math.min(offset + length, bytes.length)) }
  }
}
const unitOf = ({ readOnly = false, thin = true, disk = memory(), blockLength = 512 }: { readOnly?: boolean, thin?: boolean, disk?: Disk, blockLength?: number } = {}): LogicalUnit =>
  new LogicalUnit({ identity: { target: 'iqn.2030-01.org.example:disk', portalGroup: 1, serial: 'serial', thin, blockLength }, disk, readOnly, abort: () => {} })
const large = (): LogicalUnit => unitOf({ disk: { ...memory(), size: 4 * blocks * 512 } })
const cdbOf = (hex: string): Buffer => Buffer.concat([Buffer.from(hex.replaceAll(' ', ''), 'hex'), Buffer.alloc(16)]).subarray(0, 16)
const [me, other] = [{ id: 'me' }, { id: 'other' }]

/** `key code`, or `status N` where there is no sense, or what kind of result it is. */
function outcome (unit: LogicalUnit, hex: string, data?: Buffer, nexus = me): string {
  try {
    const result: Result = unit.run(cdbOf(hex), nexus)
    if (result.kind !== 'accept' || data === undefined) return result.kind
    return result.take(data.subarray(0, result.length)).kind
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return error.sense === undefined ? `status ${error.status.toString(16)}` : `${error.sense.key.toString(16)} ${error.sense.code.toString(16).padStart(4, '0')}${error.sense.field === undefined ? '' : ` at ${error.sense.field.byte}`}`
  }
}

const word = (value: number, bytes: number): string => value.toString(16).padStart(2 * bytes, '0')
/** Every command about blocks: its CDB for an extent, and whether it writes. `flagged`: it knows protection. */
const forms: readonly { readonly name: string, readonly of: (block: number, count: number, flags?: number) => string, readonly writes: boolean, readonly flagged: boolean, readonly wide: boolean, readonly most?: number }[] = [
  ...([['READ (6)', '08', false], ['WRITE (6)', '0a', true]] as const).map(([name, opcode, writes]) => ({ name, writes, flagged: false, wide: false, of: (block: number, count: number) => `${opcode}${word(block, 3)}${word(count, 1)}00` })),
  ...([['READ (10)', '28', false], ['WRITE (10)', '2a', true], ['WRITE AND VERIFY (10)', '2e', true], ['VERIFY (10)', '2f', false], ['WRITE SAME (10)', '41', true]] as const).map(([name, opcode, writes]) => ({ name, writes, flagged: true, wide: false, of: (block: number, count: number, flags = 0) => `${opcode}${word(flags, 1)}${word(block, 4)}00${word(count, 2)}00` })),
  ...([['PRE-FETCH (10)', '34'], ['SYNCHRONIZE CACHE (10)', '35']] as const).map(([name, opcode]) => ({ name, writes: false, flagged: false, wide: false, of: (block: number, count: number) => `${opcode}00${word(block, 4)}00${word(count, 2)}00` })),
  ...([['READ (12)', 'a8', false], ['WRITE (12)', 'aa', true], ['WRITE AND VERIFY (12)', 'ae', true], ['VERIFY (12)', 'af', false]] as const).map(([name, opcode, writes]) => ({ name, writes, flagged: true, wide: false, of: (block: number, count: number, flags = 0) => `${opcode}${word(flags, 1)}${word(block, 4)}${word(count, 4)}0000`, most: limits.transfer })),
  ...([['READ (16)', '88', false], ['WRITE (16)', '8a', true], ['ORWRITE (16)', '8b', true], ['WRITE AND VERIFY (16)', '8e', true], ['VERIFY (16)', '8f', false], ['WRITE SAME (16)', '93', true]] as const).map(([name, opcode, writes]) => ({ name, writes, flagged: true, wide: true, of: (block: number, count: number, flags = 0) => `${opcode}${word(flags, 1)}${word(block, 8)}${word(count, 4)}0000`, most: opcode === '93' ? limits.writeSame : limits.transfer })),
  ...([['PRE-FETCH (16)', '90'], ['SYNCHRONIZE CACHE (16)', '91']] as const).map(([name, opcode]) => ({ name, writes: false, flagged: false, wide: true, of: (block: number, count: number) => `${opcode}00${word(block, 8)}${word(count, 4)}0000` })),
  { name: 'COMPARE AND WRITE', writes: true, flagged: true, wide: true, of: (block, count, flags = 0) => `89${word(flags, 1)}${word(block, 8)}000000${word(count, 1)}0000` }
]

describe.each(forms)('$name', ({ of, writes, flagged, wide, most }) => {
  it('takes the first and the last block', () => {
    const last = of(0, 1).startsWith('0') ? 0x1fffff : blocks - 1
    for (const block of [0, Math.min(last, blocks - 1)]) expect(outcome(unitOf(), of(block, 1))).toMatch(/^(?:read|accept|done|give)$/)
  })
  it('refuses what lies beyond the end, in part or whole', () => {
    expect(outcome(unitOf(), of(blocks, 1))).toBe('5 2100')
    expect(outcome(unitOf(), of(blocks - 1, 2))).toBe('5 2100')
    if (wide) expect(outcome(unitOf(), of(2 ** 52, 1))).toBe('5 2100')
    if (wide) expect(outcome(unitOf(), of(0, 1).replace(/^(....).{16}/, '$1ffffffffffffffff'))).toBe('5 2100')
  })
  if (flagged) it('refuses protection information', () => { for (const flags of [0x20, 0x40, 0xe0]) expect(outcome(unitOf(), of(0, 1, flags))).toBe('5 2400 at 1') })
  if (most !== undefined) it('refuses more than one command may move', () => {
    expect(outcome(large(), of(0, most / 512))).toMatch(/^(?:read|accept|done)$/)
    expect(outcome(large(), of(0, most / 512 + 1))).toMatch(/^5 2400 at (?:7|10)$/)
  })
  if (writes) it('refuses a unit that cannot be written, and one an initiator has protected', () => {
    expect(outcome(unitOf({ readOnly: true }), of(0, 1))).toBe('7 2700')
    const unit = unitOf()
    unit.softwareProtected = true
    expect(outcome(unit, of(0, 1))).toBe('7 2702')
  })
  else it('serves a unit that cannot be written', () => { expect(outcome(unitOf({ readOnly: true }), of(0, 1))).toMatch(/^(?:read|accept|done|give)$/) })
  it('is told of a reservation by another', () => {
    const unit = unitOf()
    unit.reserve(other.id)
    expect(outcome(unit, of(0, 1))).toBe('status 18')
    expect(outcome(unit, of(0, 1), undefined, other)).not.toBe('status 18')
  })
})

describe('a command is refused', () => {
  it.each<readonly [name: string, hex: string, expected: string, data: Buffer | undefined]>(([
    ['nobody knows', 'ff', '5 2000'],
    ['of an unknown service action', '9e1f', '5 2400 at 1'],
    ['INQUIRY with obsolete bits', '12020000ff', '5 2400 at 1'],
    ['INQUIRY of a page without EVPD', '12008000ff', '5 2400 at 2'],
    ['INQUIRY of a page that is not there', '1201c000ff', '5 2400 at 2'],
    ['REQUEST SENSE in the other format', '03010000fc', '5 2400 at 1'],
    ['READ CAPACITY (10) of a block without PMI', '25000000000100000000', '5 2400 at 2'],
    ['GET LBA STATUS beyond the end', `9e12${word(blocks, 8)}00000100`, '5 2100'],
    ['MODE SENSE of saved values', '1a00c800ff', '5 3900'],
    ['MODE SENSE of a page that is not there', '1a000200ff', '5 2400 at 2'],
    ['MODE SENSE of a subpage', '1a000a01ff', '5 2400 at 3'],
    ['MODE SELECT without PF', '150000000c', '5 2400 at 1'],
    ['MODE SELECT to be saved', '151100000c', '5 2400 at 1'],
    ['MODE SELECT of an unknown page', '151000000c', '5 2600 at 4', Buffer.from('000000003d06000000000000', 'hex')],
    ['MODE SELECT of what cannot be changed', '1510000018', '5 2600 at 6', Buffer.concat([Buffer.from('000000000812', 'hex'), Buffer.alloc(18)])],
    ['MODE SELECT with half a head', '1510000002', '5 1a00', Buffer.alloc(2)],
    ['START STOP UNIT that ejects', '1b0000000200', '5 2400 at 4'],
    ['WRITE SAME of no blocks', '41000000000000000000', '5 2400 at 7'],
    ['WRITE SAME (16) of no blocks', '93000000000000000000000000000000', '5 2400 at 10'],
    ['WRITE SAME with ANCHOR', '41100000000000000100', '5 2400 at 1'],
    ['WRITE SAME with PBDATA', '41040000000000000100', '5 2400 at 1'],
    ['VERIFY with BYTCHK 2', '2f040000000000000100', '5 2400 at 1'],
    ['WRITE AND VERIFY with BYTCHK 3', '2e060000000000000100', '5 2400 at 1'],
    ['COMPARE AND WRITE of more than is offered', '890000000000000000000000000000ff'.replace('0000ff', 'ff0000'), '5 2400 at 13'],
    ['UNMAP with ANCHOR', '42010000000000001800', '5 2400 at 1'],
    ['UNMAP with half a head', '42000000000000000400', '5 1a00', Buffer.alloc(4)],
    ['UNMAP beyond the end', '42000000000000001800', '5 2100', Buffer.from(`0016001000000000${word(blocks - 1, 8)}0000000200000000`, 'hex')],
    ['REPORT SUPPORTED OPERATION CODES with an unknown option', 'a30c070000000000ffff', '5 2400 at 2'],
    ['of several, asked for without its service action', 'a30c019e00000000ffff', '5 2400 at 2'],
    ['PERSISTENT RESERVE IN of an unknown action', '5e1f00000000000000ff', '5 2400 at 1'],
    ['PERSISTENT RESERVE OUT with a list of another length', '5f000000000000001700', '5 1a00', Buffer.alloc(23)],
    ['PERSISTENT RESERVE OUT that persists through power loss', '5f000000000000001800', '5 2600 at 20', Buffer.alloc(24).fill(1, 20, 21)],
    ['PERSISTENT RESERVE OUT without a registration', '5f010100000000001800', 'status 18', Buffer.alloc(24).fill(1, 0, 1)],
    ['RECEIVE COPY RESULTS of a copy nobody made', '84000700000000000000000000ff', '5 2400 at 2'],
    ['EXTENDED COPY with half a head', '830000000000000000000000000800', '5 1a00', Buffer.alloc(8)],
    ['EXTENDED COPY with data of its own', '830000000000000000000000001000', '5 260b', Buffer.alloc(16).fill(1, 15, 16)]
  ] satisfies [string, string, string, Buffer?][]).map(([name, hex, expected, data]) => [name, hex, expected, data]))('%s', (_, hex, expected, data) => {
    expect(outcome(unitOf(), hex, data)).toBe(expected)
  })
  it('UNMAP of more than is offered', () => {
    const list = (count: number): Buffer => Buffer.from(`00160010000000000000000000000000${word(count, 4)}00000000`, 'hex')
    expect(outcome(large(), '42000000000000001800', list(limits.unmap / 512))).toBe('done')
    expect(outcome(large(), '42000000000000001800', list(limits.unmap / 512 + 1))).toBe('5 2600')
  })
  it('UNMAP and WRITE SAME with UNMAP, of a unit that is not thin', () => {
    expect(outcome(unitOf({ thin: false }), '42000000000000001800')).toBe('5 2000')
    expect(outcome(unitOf({ thin: false }), '41080000000000000100')).toBe('5 2400 at 1')
  })
})

describe('of a unit that cannot be written, strangers', () => {
  const unit = unitOf({ readOnly: true })
  it.each(['160000000000', '170000000000', '56000000000000000000', '57000000000000000000', '5f000000000000001800', '5f010300000000001800'])('cannot keep each other out: %s', hex => {
    expect(outcome(unit, hex)).toBe('5 2000')
    expect(outcome(unit, '28000000000000000100', undefined, other)).toBe('read')
  })
  it('are not told that they could', () => {
    const all = unit.run(cdbOf('a30c000000000000ffff'), me)
    if (all.kind !== 'give') throw new TypeError(all.kind)
    const opcodes = Array.from({ length: all.data.readUInt32BE(0) / 8 }, (_, index) => all.data[4 + 8 * index])
    expect(opcodes).toContain(0x28)
    expect(opcodes.filter(code => [0x16, 0x17, 0x56, 0x57, 0x5f].includes(code ?? 0))).toEqual([])
  })
})

describe('a disk that fails', () => {
  const broken = (): never => { throw new DiskError('the disk is gone') }
  const unit = unitOf({ disk: { ...memory(), read: broken, flush: broken } })
  it('is told as an error of the medium', () => {
    expect(outcome(unit, '2f000000000000000100')).toBe('3 1100')
    expect(outcome(unit, '35000000000000000000')).toBe('3 1100')
  })
})

describe('a miscompare', () => {
  it('says which byte differs first, and writes nothing', () => {
    const disk = memory()
    const unit = unitOf({ disk })
    const data = Buffer.alloc(1024)
    data[300] = 1
    data.fill(7, 512)
    const result = unit.run(cdbOf('89000000000000000000000000010000'), me)
    if (result.kind !== 'accept') throw new TypeError(result.kind)
    expect(() => result.take(data)).toThrow(expect.objectContaining({ sense: { key: 14, code: 0x1d00, information: 300 } }))
    expect(disk.bytes.every(byte => byte === 0)).toBe(true)
  })
})

describe('unit attentions', () => {
  it('are told once each, oldest first, to whom they are for, but not to INQUIRY', () => {
    const unit = unitOf()
    unit.reset(['me'])
    expect(outcome(unit, '120000006000')).toBe('give')
    expect(outcome(unit, '000000000000', undefined, other)).toBe('done')
    expect([outcome(unit, '000000000000'), outcome(unit, '000000000000')]).toEqual(['6 2903', 'done'])
  })
})
