/** TFTP packets made from nothing and from other packets: what firmware says, and what a broken or hostile sender might. */
import { encode } from '../../../plugins/boot/tftp/packet.ts'
import type { Dice } from '../../sim/dice.ts'

const names = ['loader.efi', 'small.bin', 'empty.bin', '/loader.efi', '//small.bin', 'missing', 'grub.cfg-01-52-54-00-00-00-07', 'slow.bin', 'broken.bin', '', '.', '..', '../secret', '/../../secret', '..\\secret', 'sub/../secret', './loader.efi', 'loader.efi/', '%2e%2e/secret', '__proto__', 'constructor', 'loader.efi\u0001', '\u00ff\u00fe', 'a'.repeat(511), 'a'.repeat(2_000)]
const optionNames = ['blksize', 'BLKSIZE', 'windowsize', 'tsize', 'timeout', 'utimeout', 'multicast', 'rollover', '', 'blksize2', '__proto__', 'x'.repeat(300)]
const values = ['0', '1', '7', '8', '16', '64', '512', '1428', '1468', '8192', '65464', '65465', '65535', '65536', '4294967296', '-1', '1e3', '0x10', ' 8', '8 ', '', 'no', '9'.repeat(20), '\u00ff']

export function random (dice: Dice, length: number): Buffer {
  const data = Buffer.allocUnsafe(length)
  for (let index = 0; index < length; index++) data[index] = dice.random() * 256
  return data
}
/** A request, lawful more often than not. */
export function request (dice: Dice): Buffer {
  const options = new Map<string, string>()
  for (let left = dice.chance(0.3) ? 0 : dice.whole(1, dice.chance(0.1) ? 20 : 4); left > 0; left--) options.set(dice.pick(dice.chance(0.7) ? optionNames.slice(0, 5) : optionNames), dice.pick(values))
  const bytes = encode({ op: dice.chance(0.9) ? 'read' : 'write', name: dice.pick(dice.chance(0.6) ? names.slice(0, 5) : names), mode: dice.pick(['octet', 'octet', 'octet', 'OCTET', 'netascii', 'mail', '', 'x'.repeat(600)]), options })
  return dice.chance(0.1) ? Buffer.concat([bytes, Buffer.alloc(dice.whole(1, 900))]) : bytes
}
/** What a client says within a transfer. `near`: the blocks it was sent last. */
export function reply (dice: Dice, near: number): Buffer {
  switch (dice.whole(0, 9)) {
    case 0: return encode({ op: 'error', code: dice.whole(0, 9), message: dice.pick(['', 'no', 'x'.repeat(200)]) })
    case 1: return encode({ op: 'data', block: near & 0xffff, data: random(dice, dice.whole(0, 600)) })
    case 2: return encode({ op: 'oack', options: new Map([[dice.pick(optionNames), dice.pick(values)]]) })
    case 3: return encode({ op: 'ack', block: dice.whole(0, 65535) })
    case 4: return request(dice)
    case 5: case 6: return encode({ op: 'ack', block: near + dice.whole(-70, 2) & 0xffff })
    default: return encode({ op: 'ack', block: near & 0xffff })
  }
}

type Mutator = (data: Buffer, dice: Dice, other: Buffer) => Buffer
const mutators: readonly Mutator[] = [
  function flip (data, dice) { const at = Math.floor(dice.random() * data.length); data[at] = (data[at] ?? 0) ^ (1 << dice.whole(0, 7)); return data },
  function set (data, dice) { data[Math.floor(dice.random() * data.length)] = dice.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 46, 47, 48, 92, 127, 128, 255]); return data },
  function opcode (data, dice) { if (data.length > 1) data[1] = dice.whole(0, 8); return data },
  function shorten (data, dice) { return data.subarray(0, dice.whole(0, data.length)) },
  function extend (data, dice) { return Buffer.concat([data, dice.chance(0.5) ? Buffer.alloc(dice.whole(1, 1_500)) : random(dice, dice.whole(1, 1_500))]) },
  function splice (data, dice, other) { return Buffer.concat([data.subarray(0, dice.whole(0, data.length)), other.subarray(dice.whole(0, other.length))]) },
  function insert (data, dice) { const at = dice.whole(0, data.length); return Buffer.concat([data.subarray(0, at), random(dice, dice.whole(1, 8)), data.subarray(at)]) },
  function zeros (data, dice) { const at = dice.whole(0, data.length); data.fill(0, at, Math.min(data.length, at + dice.whole(1, 16))); return data },
  function noZeros (data) { return Buffer.from(data.map((byte, index) => index > 1 && byte === 0 ? 65 : byte)) },
  function again (data, dice) { const at = dice.whole(2, Math.max(2, data.length)); return Buffer.concat([data, ...Array.from({ length: dice.whole(1, 40) }, () => data.subarray(at))]) },
  function noise (_data, dice) { return random(dice, dice.whole(0, 700)) }
]

/** A packet like `seed`, and not. */
export function mutate (seed: Buffer, other: Buffer, dice: Dice): Buffer {
  let data: Buffer = Buffer.from(seed)
  for (let steps = dice.chance(0.6) ? 1 : dice.whole(2, 5); steps > 0 && data.length > 0; steps--) data = dice.pick(mutators)(data, dice, other)
  return data.subarray(0, 65_507)
}
