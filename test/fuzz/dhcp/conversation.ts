/** Packets with a meaning: well-formed words of clients known and invented, true and forged, about addresses that matter. */
import type { Dice } from '../../sim/dice.ts'

export interface Cast {
  /** Who may speak: machines of the installation. */
  readonly macs: readonly string[]
  /** What they may speak about, as numbers. */
  readonly addresses: readonly number[]
  readonly servers: readonly number[]
  readonly relays: readonly number[]
}

const head = 240
const identity = Buffer.from('ff01020304', 'hex')
const types = [1, 1, 1, 1, 3, 3, 3, 3, 3, 4, 7, 8, 2, 5, 6, 9, 10, 13, 0]
const vendors = ['PXEClient:Arch:00000:UNDI:002001', 'PXEClient:Arch:00007:UNDI:003000', 'HTTPClient:Arch:00016:UNDI:003001', 'MSFT 5.0', 'udhcp 1.35.0', 'PXEClient', '', 'HTTPClient'].map(name => Buffer.from(name))
const parameters = [Buffer.from('0103060c0f1a1c2a42433c', 'hex'), Buffer.from('0179f91a', 'hex'), Buffer.alloc(255, 67), Buffer.from('018081828384858687', 'hex')]
const ipxe = [Buffer.from('b105011af41000eb0301000017010122010113010111010127010119010129010110010221010115010118010112', 'hex').subarray(0, 44), Buffer.of(), Buffer.of(0x13, 1, 1), Buffer.of(0x13, 200, 1)]

/** Writes into one buffer over and over: what comes out lasts until the next call. */
export class Speaker {
  private readonly cast: Cast
  private readonly room = Buffer.alloc(4096)
  private at = 0

  constructor (cast: Cast) { this.cast = cast }

  /** One message. `mac`: who sends it, one of the cast or an invented one when left out. */
  say (dice: Dice, type: number = dice.pick(types), mac: string | undefined = dice.chance(0.5) ? dice.pick(this.cast.macs) : undefined): Buffer {
    const { room, cast } = this
    const address = () => dice.chance(0.9) ? dice.pick(cast.addresses) : Math.floor(dice.random() * 0x100000000)
    room.fill(0, 0, head)
    room[0] = type === 2 || type === 5 || type === 6 ? 2 : 1
    room[1] = 1
    room[2] = 6
    room.writeUInt32BE(Math.floor(dice.random() * 0x100000000), 4)
    room.writeUInt16BE(dice.pick([0, 0, 4, 5, 9, 60, 65_535]), 8)
    room.writeUInt16BE(dice.pick([0, 0, 0x8000, 0xffff]), 10)
    const extends_ = type === 7 || type === 8 || (type === 3 && dice.chance(0.4))
    if (extends_ || dice.chance(0.02)) room.writeUInt32BE(address(), 12)
    const relayed = dice.chance(0.2)
    if (relayed) { room[3] = dice.whole(1, 17); room.writeUInt32BE(dice.chance(0.8) ? dice.pick(cast.relays) : address(), 24) }
    if (mac === undefined) { room[28] = 2; room.writeUInt32BE(Math.floor(dice.random() * 0x100000000), 29); room[33] = dice.random() * 256 } else room.write(mac.replaceAll(':', ''), 28, 'hex')
    room.writeUInt32BE(0x63825363, 236)
    this.at = head
    this.bytes(53, type)
    if (!extends_ && (type === 3 || type === 4 || dice.chance(0.3))) this.number(50, address())
    if ((type === 3 && !extends_ && dice.chance(0.6)) || type === 4 || type === 7 || dice.chance(0.02)) this.number(54, dice.pick(cast.servers))
    if (dice.chance(0.3)) this.value(61, dice.chance(0.7) ? room.subarray(28, 34) : dice.chance(0.5) ? identity : Buffer.alloc(dice.whole(0, 255), 7))
    if (dice.chance(0.3)) this.value(60, dice.pick(vendors))
    if (dice.chance(0.2)) this.bytes(93, 0, dice.pick([0, 7, 9, 16, 11, 255]))
    if (dice.chance(0.3)) this.value(55, dice.pick(parameters))
    if (dice.chance(0.2)) this.value(12, Buffer.from(dice.pick(['node-1', 'a.b', 'x'.repeat(64), '\0', 'MINWINPC'])))
    if (dice.chance(0.1)) this.bytes(57, ...dice.pick([[0, 0], [2, 64], [5, 220], [255, 255]]))
    if (dice.chance(0.1)) this.value(175, dice.pick(ipxe))
    if (dice.chance(0.1)) this.value(77, dice.pick([Buffer.from('iPXE'), Buffer.of(4, 105, 80, 88, 69), Buffer.of(255), Buffer.of(0)]))
    if (dice.chance(0.1)) this.bytes(80)
    if (dice.chance(0.1)) this.bytes(118, 10, 0, dice.whole(0, 3), 0)
    if (relayed ? dice.chance(0.8) : dice.chance(0.02)) this.relay(dice, address)
    room[this.at++] = 255
    return room.subarray(0, Math.max(300, this.at))
  }

  private relay (dice: Dice, address: () => number): void {
    const start = this.at
    this.bytes(82)
    this.bytes(1, dice.whole(0, 50), 3)
    if (dice.chance(0.5)) this.bytes(2, 0, dice.whole(0, 5))
    if (dice.chance(0.3)) this.number(5, address())
    if (dice.chance(0.2)) this.number(11, dice.chance(0.5) ? address() : dice.pick(this.cast.servers))
    this.room[start + 1] = this.at - start - 2
  }
  private bytes (code: number, ...values: readonly number[]): void {
    this.room[this.at++] = code
    this.room[this.at++] = values.length
    for (const value of values) this.room[this.at++] = value
  }
  private number (code: number, value: number): void {
    this.bytes(code, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
  }
  private value (code: number, value: Buffer): void {
    this.room[this.at++] = code
    this.room[this.at++] = value.length
    this.at += value.copy(this.room, this.at)
  }
}
