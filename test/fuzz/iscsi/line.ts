/** One connection to the target without a network: what is said goes straight into it, and what it answers is read again and held against what was said. */
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Assembler } from '../../../iscsi/assembler.ts'
import { Connection } from '../../../iscsi/connection.ts'
import type { ConnectionOptions } from '../../../iscsi/connection.ts'
import { crc32c } from '../../../iscsi/crc32c.ts'
import { parseText } from '../../../iscsi/text.ts'

export interface Answer { readonly opcode: number, readonly header: Buffer, readonly data: Buffer }
type Written = { readonly bytes: Buffer, readonly done: () => void }

/** As much of a socket as a connection uses. */
class FakeSocket extends EventEmitter {
  readonly remoteAddress = '192.0.2.1'
  readonly written: Written[] = []
  writableLength = 0
  gone = false
  setNoDelay (): void {}
  setKeepAlive (): void {}
  pause (): void {}
  resume (): void {}
  write (bytes: Buffer, done: () => void): void {
    this.written.push({ bytes: Buffer.from(bytes), done })
    this.writableLength += bytes.length
  }
  end (): void { this.destroy() }
  destroy (): void {
    if (this.gone) return
    this.gone = true
    this.writableLength = 0
    for (const { done } of this.written.splice(0)) done()
    this.emit('close')
  }
}

const digest = (bytes: Buffer): Buffer => { const out = Buffer.alloc(4); out.writeUInt32LE(crc32c(bytes)); return out }
const answers = new Map([[0x20, 'nop'], [0x21, 'response'], [0x22, 'task'], [0x23, 'login'], [0x24, 'text'], [0x25, 'data'], [0x26, 'logout'], [0x31, 'r2t'], [0x32, 'event'], [0x3f, 'reject']])

export class Line {
  readonly socket = new FakeSocket()
  readonly connection: Connection
  readonly heard: Answer[] = []
  /** What is wrong with an answer. */
  readonly faults: string[] = []
  readonly counts: Map<string, number>
  /** Asked for by the target, and not sent yet. */
  readonly asked: { readonly itt: number, readonly ttt: number, readonly offset: number, readonly length: number }[] = []
  loggedIn = false
  cmdSN: number
  private digests = { header: false, data: false }
  private statSN: number | undefined
  private expCmdSN: number | undefined
  private readonly assembler: Assembler

  constructor (options: Omit<ConnectionOptions, 'socket'>, counts: Map<string, number>, cmdSN: number) {
    this.counts = counts
    this.cmdSN = cmdSN
    this.connection = new Connection({ ...options, socket: this.socket as unknown as Socket })
    this.assembler = new Assembler({ longest: 1 << 24, take: (header, data, intact) => { this.judge({ opcode: (header[0] ?? 0) & 0x3f, header: Buffer.from(header), data: Buffer.from(data) }, intact) } })
  }

  get open (): boolean { return !this.socket.gone }

  /** Puts lengths in, and digests where they were agreed on. `broken`: one bit of them is wrong. */
  framed (header: Buffer, data: Buffer, broken = false): Buffer {
    header.writeUIntBE(data.length, 5, 3)
    header[4] = 0
    const padded = Buffer.concat([data, Buffer.alloc(-data.length & 3)])
    const sums = [this.digests.header ? digest(header) : Buffer.alloc(0), this.digests.data && data.length > 0 ? digest(padded) : Buffer.alloc(0)] as const
    if (broken) for (const sum of sums) if (sum.length > 0) sum[0] = (sum[0] ?? 0) ^ 1
    return Buffer.concat([header, sums[0], padded, sums[1]])
  }

  /** Says it; the answers that come at once are judged. */
  say (bytes: Buffer): void {
    if (this.open) this.socket.emit('data', bytes)
    this.hear()
  }

  /** Reads what was answered; `most` pieces, as an initiator that is slow. */
  hear (most = Infinity): void {
    for (let piece = 0; piece < most && this.socket.written.length > 0; piece++) {
      const { bytes, done } = this.socket.written.shift() as Written
      this.socket.writableLength -= this.socket.gone ? 0 : bytes.length
      try { this.assembler.push(bytes) } catch (error) { this.faults.push(`what it sent cannot be read: ${String(error)}`) }
      done()
      if (this.socket.written.length === 0 && this.open) this.socket.emit('drain')
    }
  }

  private judge (answer: Answer, intact: boolean): void {
    const { opcode, header, data } = answer
    const name = answers.get(opcode)
    this.count(`answered ${name ?? opcode}`)
    if (opcode === 0x21) this.count(header[3] === 0 ? 'good' : data.length < 18 ? `status ${(header[3] ?? 0).toString(16)}` : `sense ${((data[4] ?? 0) & 15).toString(16)} ${data.readUInt16BE(14).toString(16).padStart(4, '0')}`)
    if (name === undefined) this.faults.push(`answer ${opcode} is none`)
    if (!intact) this.faults.push('a digest of its own does not fit')
    this.numbers(answer)
    if (opcode === 0x23) {
      if (header.readUInt16BE(36) === 0 && ((header[1] ?? 0) & 0x83) === 0x83) {
        this.loggedIn = true
        const said = new Map([...this.agreed, ...parseText(data)])
        this.digests = { header: said.get('HeaderDigest') === 'CRC32C', data: said.get('DataDigest') === 'CRC32C' }
        this.assembler.headerDigest = this.digests.header
        this.assembler.dataDigest = this.digests.data
      } else this.agreed.push(...parseText(data))
    }
    if (opcode === 0x31) this.asked.push({ itt: header.readUInt32BE(16), ttt: header.readUInt32BE(20), offset: header.readUInt32BE(40), length: header.readUInt32BE(44) })
    this.heard.push(answer)
    if (this.heard.length > 64) this.heard.shift()
  }
  private readonly agreed: (readonly [string, string])[] = []

  private count (what: string): void { this.counts.set(what, (this.counts.get(what) ?? 0) + 1) }

  /** Each status has the number after the last one; the window never goes back. RFC 7143 section 4.2.2 */
  private numbers ({ opcode, header }: Answer): void {
    const counted = opcode === 0x25 ? ((header[1] ?? 0) & 1) !== 0 : opcode !== 0x31 && !(opcode === 0x20 && header.readUInt32BE(16) === 0xffffffff)
    const statSN = header.readUInt32BE(24)
    if (counted) {
      if (this.statSN !== undefined && statSN !== (this.statSN + 1) >>> 0) this.faults.push(`status ${statSN} after ${this.statSN}`)
      this.statSN = statSN
    }
    const expected = header.readUInt32BE(28)
    if (this.expCmdSN !== undefined && (expected - this.expCmdSN | 0) < 0) this.faults.push(`expects command ${expected} after ${this.expCmdSN}`)
    this.expCmdSN = expected
    if ((header.readUInt32BE(32) - expected + 1 | 0) < 0) this.faults.push('its window is closed beyond its edge')
  }
}
