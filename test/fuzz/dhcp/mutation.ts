/** Packets made from packets: what a broken or hostile sender might do to one, from a flipped bit to options that never end. */
import type { Dice } from '../../sim/dice.ts'

const head = 240
const interesting = [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 50, 52, 53, 54, 61, 82, 127, 128, 253, 254, 255]
const fields = [0, 1, 2, 3, 8, 10, 12, 16, 20, 24, 28, 44, 108, 236] // where the fields of the header begin
const words = [0, 1, 0xff, 0x0a000000, 0x0a000001, 0x0a000002, 0x0a000064, 0x0a0000ff, 0x0a000200, 0x7f000001, 0xe0000001, 0xffffffff, 0xffff, 0x80000000]

type Mutator = (data: Buffer, dice: Dice, other: Buffer) => Buffer

const behind = (data: Buffer, dice: Dice): number => data.length <= head ? Math.max(0, data.length - 1) : head + Math.floor(dice.random() * (data.length - head))
/** The start of a random option, if the options can be walked. */
function anOption (data: Buffer, dice: Dice): number | undefined {
  let [at, chosen, seen]: [number, number | undefined, number] = [head, undefined, 0]
  while (at + 1 < data.length) {
    const code = data[at] as number
    if (code === 255) break
    if (code === 0) { at++; continue }
    if (dice.random() * ++seen < 1) chosen = at
    at += 2 + (data[at + 1] as number)
  }
  return chosen
}
function withOption (data: Buffer, at: number, code: number, value: Buffer): Buffer {
  return Buffer.concat([data.subarray(0, at), Buffer.of(code, Math.min(255, value.length)), value, data.subarray(at)])
}
function random (dice: Dice, length: number): Buffer {
  const data = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) data[i] = dice.random() * 256
  return data
}

const mutators: readonly Mutator[] = [
  function flip (data, dice) { const at = Math.floor(dice.random() * data.length); data[at] = (data[at] ?? 0) ^ (1 << Math.floor(dice.random() * 8)); return data },
  function set (data, dice) { data[Math.floor(dice.random() * data.length)] = dice.pick(interesting); return data },
  function setOption (data, dice) { data[behind(data, dice)] = dice.pick(interesting); return data },
  function field (data, dice) { const at = dice.pick(fields); if (at + 4 <= data.length) data.writeUInt32BE(dice.pick(words), at); return data },
  function truncate (data, dice) { return data.subarray(0, behind(data, dice)) },
  function shorten (data, dice) { return data.subarray(0, Math.floor(dice.random() * data.length)) },
  function extend (data, dice) { return Buffer.concat([data, random(dice, Math.floor(dice.random() * 1200))]) },
  function splice (data, dice, other) { return Buffer.concat([data.subarray(0, behind(data, dice)), other.subarray(behind(other, dice))]) },
  function lengthOf (data, dice) { const at = anOption(data, dice); if (at !== undefined) data[at + 1] = dice.pick(interesting); return data },
  function codeOf (data, dice) { const at = anOption(data, dice); if (at !== undefined) data[at] = dice.random() * 256; return data },
  function twice (data, dice) { const at = anOption(data, dice); return at === undefined ? data : Buffer.concat([data.subarray(0, at), data.subarray(at, at + 2 + (data[at + 1] as number)), data.subarray(at)]) },
  function valueOf (data, dice) { const at = anOption(data, dice); if (at !== undefined) random(dice, data[at + 1] as number).copy(data, at + 2); return data },
  function insert (data, dice) { return data.length < head ? data : withOption(data, head, Math.floor(dice.random() * 256), random(dice, Math.floor(dice.random() * 40))) },
  function noEnd (data) { const end = data.lastIndexOf(255); return end > head ? data.subarray(0, end) : data },
  /** The options go on in file and sname, or say so without doing it; in them the overload option again. */
  function overload (data, dice) {
    if (data.length < head) return data
    const [from, to] = dice.chance(0.5) ? [108, 236] : [44, 108]
    random(dice, to - from).copy(data, from)
    if (dice.chance(0.7)) data.set([52, 1, dice.whole(0, 4), 53, 1, dice.whole(0, 9), 255], from)
    return withOption(data, head, 52, Buffer.of(dice.whole(0, 255)))
  },
  /** One code over and over: long options that never end (RFC 3396). */
  function endless (data, dice) {
    const [code, length] = [dice.pick([1, 12, 43, 53, 55, 61, 77, 82, 93, 175]), dice.pick([0, 1, 2, 255])]
    const part = Buffer.concat([Buffer.of(code, length), random(dice, length)])
    return Buffer.concat([data.subarray(0, head), ...Array.from({ length: dice.whole(1, Math.min(300, Math.floor(8000 / part.length))) }, () => part), data.subarray(head)])
  },
  /** What encapsulates holds what encapsulates. */
  function nested (data, dice) {
    let value = random(dice, dice.whole(0, 8))
    for (let depth = dice.whole(1, 40); depth > 0 && value.length < 250; depth--) value = Buffer.concat([Buffer.of(dice.pick([1, 2, 5, 11, 43, 82, 175]), value.length + dice.whole(-1, 1) & 255), value])
    return data.length < head ? data : withOption(data, head, dice.pick([43, 77, 82, 124, 125, 175]), value)
  },
  function zeros (data, dice) { const at = behind(data, dice); data.fill(0, at, Math.min(data.length, at + 64)); return data },
  function ones (data, dice) { const at = behind(data, dice); data.fill(255, at, Math.min(data.length, at + 8)); return data },
  function mac (data, dice) { if (data.length >= 34) { data[28] = dice.random() * 256; data.writeUInt32BE(Math.floor(dice.random() * 0x100000000), 29) } return data },
  function noise (_data, dice) { return random(dice, Math.floor(dice.random() * 700)) }
]

/** A packet like `seed`, and not. At most 65,507 bytes, as UDP carries them. */
export function mutate (seed: Buffer, other: Buffer, dice: Dice): Buffer {
  let data: Buffer = Buffer.from(seed)
  for (let steps = dice.chance(0.6) ? 1 : dice.whole(2, 6); steps > 0 && data.length > 0; steps--) data = dice.pick(mutators)(data, dice, other)
  return data.length > 65_507 ? data.subarray(0, 65_507) : data
}
