/** What hostile initiators say: logins that may be none, commands that may be any, data nobody asked for. */
import { formatText } from '../../../iscsi/text.ts'
import type { Dice } from '../../sim/dice.ts'
import type { Line } from './line.ts'

export const names = { open: 'iqn.2030-01.org.example:open', guarded: 'iqn.2030-01.org.example:guarded', me: 'iqn.2030-01.org.example:me' }
export const blocks = 4096

const edges = [0, 1, 2, 7, 8, 255, 256, 511, 512, 513, blocks - 1, blocks, blocks + 1, 0x7fff, 0x8000, 0xffff, 0x1fffff, 0x7fffffff, 0x80000000, 0xffffffff]
const opcodes = [0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x34, 0x35, 0x37, 0x41, 0x42, 0x55, 0x56, 0x57, 0x5a, 0x5e, 0x5f, 0x83, 0x84, 0x88, 0x89, 0x8a, 0x8b, 0x8e, 0x8f, 0x90, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa, 0xae, 0xaf, 0xb7]
const bytes = (dice: Dice, length: number): Buffer => { const out = Buffer.alloc(length); for (let at = 0; at < Math.min(length, 64); at++) out[at] = dice.whole(0, 255); return out.fill(dice.whole(0, 255), Math.min(length, 64)) }
const head = (opcode: number, flags: number, dice: Dice): Buffer => {
  const out = Buffer.alloc(48)
  out[0] = opcode
  out[1] = flags
  out.writeUInt32BE(dice.whole(0, 40), 16)
  return out
}

/** Commands that keep others out: of one unit alone, else there would soon be nothing but conflicts. */
const excluding = new Set([0x16, 0x17, 0x56, 0x57, 0x5f, 0x15, 0x55])
/** Where it matters whether one more or one less is counted: first block and how many. */
const extents = [[blocks, 0], [blocks, 1], [blocks - 1, 1], [blocks - 1, 2], [blocks - 8, 8], [blocks - 8, 9], [blocks + 1, 0], [0, 0]] as const

/** A command about blocks, whole and right but for where it points. */
function extent (dice: Dice): Buffer {
  const out = Buffer.alloc(16)
  out[0] = dice.pick([0x28, 0x2a, 0x2e, 0x2f, 0x34, 0x35, 0x41, 0x88, 0x89, 0x8a, 0x8b, 0x8e, 0x8f, 0x93, 0xa8, 0xaa, 0xae, 0xaf, 0x08, 0x0a])
  const [block, count] = dice.chance(0.4) ? dice.pick(extents) : [dice.whole(0, blocks - 16), dice.whole(0, 16)]
  switch (out[0] >> 5) {
    case 0: out.writeUIntBE(block, 1, 3); out[4] = count; break
    case 1: case 2: out.writeUInt32BE(block, 2); out.writeUInt16BE(count, 7); break
    case 5: out.writeUInt32BE(block, 2); out.writeUInt32BE(count, 6); break
    default: out.writeUInt32BE(block, 6); if (out[0] === 0x89) out[13] = count; else out.writeUInt32BE(count, 10)
  }
  if (out[0] >> 5 !== 0 && dice.chance(0.3)) out[1] = dice.pick([0x02, 0x06, 0x08, 0x20])
  return out
}

/** A CDB of a known opcode whose fields stand on edges, or of any. */
function cdb (dice: Dice): Buffer {
  if (dice.chance(0.5)) return extent(dice)
  const out = dice.chance(0.3) ? bytes(dice, 16) : Buffer.alloc(16)
  out[0] = dice.chance(0.95) ? dice.pick(opcodes) : dice.whole(0, 255)
  if (dice.chance(0.3)) out[1] = dice.chance(0.5) ? dice.whole(0, 31) : dice.whole(0, 255)
  const [at, count] = (out[0] ?? 0) >> 5 === 4 ? [6, 10] as const : (out[0] ?? 0) >> 5 === 5 ? [2, 6] as const : [2, 6] as const
  if (dice.chance(0.8)) out.writeUInt32BE(dice.chance(0.7) ? dice.whole(0, blocks - 64) : dice.pick(edges), at)
  if (dice.chance(0.8)) out.writeUInt32BE(dice.chance(0.7) ? dice.whole(0, 64) << ((out[0] ?? 0) >> 5 === 1 || (out[0] ?? 0) >> 5 === 2 ? 8 : 0) : dice.pick(edges), count)
  return out
}

export function command (line: Line, dice: Dice): Buffer {
  const out = head(dice.chance(0.05) ? 0x41 : 0x01, dice.pick([0x80, 0xc0, 0xa0, 0xe0, 0x20, 0x40, 0x00, 0xc1]), dice)
  out[9] = dice.chance(0.9) ? dice.whole(0, 2) : dice.whole(0, 255)
  if (dice.chance(0.03)) bytes(dice, 8).copy(out, 8)
  out.writeUInt32BE(dice.chance(0.8) ? dice.pick([0, 8, 255, 512, 1024, 4096, 8192, 65_536]) : dice.pick(edges), 20)
  cdb(dice).copy(out, 32)
  if (excluding.has(out[32] ?? 0) && ((out[9] ?? 0) !== 2 || dice.chance(0.7))) out[32] = 0x28
  if (out[32] === 0x5f) { // its list has one length, so that what is in it counts
    out[33] = dice.whole(0, 7)
    out[34] = dice.whole(0, 8)
    if (dice.chance(0.8)) out.writeUInt32BE(24, 37)
  }
  const writes = [0x0a, 0x2a, 0x2e, 0x2f, 0x41, 0x42, 0x89, 0x8a, 0x8b, 0x8e, 0x8f, 0x93, 0xaa, 0xae, 0xaf, 0x15, 0x55, 0x5f, 0x83].includes(out[32] ?? 0)
  if (dice.chance(0.7)) { // as the command means it, most of it asked for by the target
    out[1] = writes ? 0xa0 : 0xc0
    if (writes && out[9] === 0) out[9] = 1
    out.writeUInt32BE(dice.pick([24, 512, 1024, 4096, 8192]), 20)
    if (dice.chance(0.7)) return line.framed(numbered(out, line, dice), Buffer.alloc(0))
  }
  return line.framed(numbered(out, line, dice), dice.chance(0.4) ? bytes(dice, dice.pick([0, 8, 24, 512, 1024, 4096, 9000])) : Buffer.alloc(0), dice.chance(0.01))
}

/** With the number that is due, or one that is not. */
function numbered (out: Buffer, line: Line, dice: Dice): Buffer {
  out.writeUInt32BE((dice.chance(0.97) ? line.cmdSN : line.cmdSN + dice.whole(-3, 140)) >>> 0, 24)
  if (((out[0] ?? 0) & 0x40) === 0) line.cmdSN = (line.cmdSN + 1) >>> 0
  return out
}

export function dataOut (line: Line, dice: Dice): Buffer {
  const ask = line.asked.shift() ?? { itt: dice.whole(0, 40), ttt: dice.whole(0, 60), offset: 0, length: 512 }
  const out = head(0x05, dice.chance(0.9) ? 0x80 : 0, dice)
  out.writeUInt32BE(ask.itt, 16)
  out.writeUInt32BE(dice.chance(0.9) ? ask.ttt : 0xffffffff, 20)
  if (dice.chance(0.05)) out.writeUInt32BE(dice.pick(edges), 36)
  out.writeUInt32BE(dice.chance(0.95) ? ask.offset : dice.pick(edges), 40)
  return line.framed(out, bytes(dice, Math.min(65_536, dice.chance(0.8) ? ask.length : dice.whole(0, ask.length + 2000))), dice.chance(0.01))
}

/** NOPs, task management, texts, logouts, SNACKs, and what is none of them. */
export function other (line: Line, dice: Dice): Buffer {
  const opcode = dice.chance(0.9) ? dice.pick([0x00, 0x40, 0x02, 0x42, 0x04, 0x44, 0x10, 0x03, 0x06]) : dice.whole(0, 255)
  if ((opcode & 0x3f) === 0x06 && dice.chance(0.8)) return other(line, dice)
  const out = head(opcode, dice.chance(0.8) ? 0x80 | dice.whole(0, 15) : dice.whole(0, 255), dice)
  out[9] = dice.whole(0, 2)
  out.writeUInt32BE(dice.chance(0.7) ? 0xffffffff : dice.whole(0, 60), 20)
  return line.framed(numbered(out, line, dice), (opcode & 0x3f) === 0x04 ? text(dice) : dice.chance(0.2) ? bytes(dice, dice.whole(0, 300)) : Buffer.alloc(0), dice.chance(0.01))
}

const keys: readonly (readonly [string, readonly string[]])[] = [
  ['InitiatorName', [names.me, `${names.me}-2`, 'me', 'iqn.2030-01.org.example:' + 'x'.repeat(300)]], ['TargetName', [names.open, names.guarded, 'iqn.2030-01.org.example:none']], ['SessionType', ['Normal', 'Discovery', 'Other']],
  ['AuthMethod', ['None', 'CHAP', 'CHAP,None', 'KRB5', '']], ['CHAP_A', ['5', '7', '5,6,7,8', '99', 'x']], ['CHAP_N', ['alice', 'bob']], ['CHAP_R', ['0x00', `0x${'00'.repeat(16)}`, '0b', `0x${'f'.repeat(3000)}`]], ['CHAP_I', ['1', '256', '-1']], ['CHAP_C', ['0x01', '0x', '0bAAAA']],
  ['HeaderDigest', ['CRC32C', 'None', 'CRC32C,None', 'x']], ['DataDigest', ['CRC32C', 'None', 'None,CRC32C']], ['MaxRecvDataSegmentLength', ['512', '8192', '262144', '16777215', '0', '511', '99999999999999999999']], ['MaxBurstLength', ['512', '262144', '16777216']], ['FirstBurstLength', ['512', '65536', '262144', '-1']],
  ['InitialR2T', ['Yes', 'No', 'Maybe']], ['ImmediateData', ['Yes', 'No']], ['MaxOutstandingR2T', ['1', '8', '0', '65536']], ['MaxConnections', ['1', '4']], ['ErrorRecoveryLevel', ['0', '2', '3']], ['SendTargets', ['All', '', names.open]], ['X-org.example.key', ['x']], ['IFMarker', ['No', 'Yes']]
]
function text (dice: Dice): Buffer {
  const pairs = Array.from({ length: dice.whole(0, 12) }, () => { const [key, values] = dice.pick(keys); return [key, dice.pick(values)] as const })
  return dice.chance(0.9) ? formatText(pairs) : bytes(dice, dice.whole(0, 400))
}

/** One step of a login. */
export function login (line: Line, dice: Dice, good: boolean): Buffer {
  const out = head(0x43, good ? 0x87 : dice.chance(0.7) ? dice.pick([0x87, 0x81, 0x04, 0x00, 0x83, 0xc7, 0x44]) : dice.whole(0, 255), dice)
  out.writeUInt32BE(line.cmdSN, 24)
  out[8] = 0x40
  out.writeUInt16BE(dice.whole(0, 12), 12)
  if (dice.chance(0.05)) out.writeUInt16BE(dice.whole(0, 0xffff), 14)
  if (dice.chance(0.02)) out[3] = dice.whole(0, 255)
  const start: [string, string][] = [['InitiatorName', names.me], ['TargetName', dice.chance(0.9) ? names.open : names.guarded]]
  const chosen = keys.slice(9).filter(() => dice.chance(0.25)).map(([key, values]) => [key, dice.pick(values)] as const)
  return line.framed(out, good ? formatText([...start, ...chosen.filter(([key]) => key !== 'SendTargets')]) : dice.chance(0.4) ? formatText([...start, ...chosen]) : text(dice))
}

/** Some of it turned over, cut off, doubled or put elsewhere. */
export function mutated (bytesOf: Buffer, dice: Dice): Buffer {
  const out = Buffer.from(bytesOf)
  switch (dice.whole(0, 4)) {
    case 0: for (let turn = dice.whole(1, 4); turn > 0; turn--) out[dice.whole(0, out.length - 1)] = dice.whole(0, 255); return out
    case 1: out[dice.whole(0, Math.min(47, out.length - 1))] = dice.whole(0, 255); return out
    case 2: return out.subarray(0, dice.whole(0, out.length))
    case 3: return Buffer.concat([out, out])
    default: return Buffer.concat([out, bytes(dice, dice.whole(1, 100))])
  }
}
