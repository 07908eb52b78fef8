/** An initiator for tests, as small as it can be: sends the very PDUs it is told to and gives what comes back, one by one. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Assembler } from '../../iscsi/assembler.ts'
import { crc32c } from '../../iscsi/crc32c.ts'
import { formatText, parseText } from '../../iscsi/text.ts'

export interface Heard { readonly opcode: number, readonly flags: number, readonly header: Buffer, readonly data: Buffer }
export interface Initiator {
  readonly socket: Socket
  cmdSN: number
  /** The next PDU; rejects when the connection ends before. */
  next(): Promise<Heard>
  /** Resolves when the target has closed the connection. */
  readonly ended: Promise<void>
  /** Sends a PDU of these bytes; lengths and digests are filled in. */
  send(header: Buffer, data?: Buffer): void
  login(pairs: readonly (readonly [string, string])[], isid?: string): Promise<Map<string, string>>
  /** One step of a login; rejects with the status when it is refused. Without `next` it asks for no other stage. */
  negotiate(pairs: readonly (readonly [string, string])[], step: LoginStep): Promise<Map<string, string>>
  /** A command to its end: its data, its status, its sense as hexadecimal (`key code`), how much too little or too much. */
  command(cdb: string | Buffer, more?: CommandOptions): Promise<Done>
  /** Only sends it; gives its tag. */
  start(cdb: string | Buffer, more?: CommandOptions): number
  finish(itt: number, data?: Buffer): Promise<Done>
  close(): void
}
export interface LoginStep { readonly stage: 0 | 1, readonly next?: 1 | 3, readonly isid?: string, readonly tsih?: number }
export interface CommandOptions { readonly read?: number, readonly write?: Buffer, /** How much is said to be sent, when that is not what is. */ readonly expected?: number, readonly lun?: number, /** How much of it goes with the command. */ readonly immediate?: number, readonly unsolicited?: boolean, readonly cmdSN?: number }
export interface Done { readonly status: number, readonly data: Buffer, readonly sense: string, readonly residual: number }

const digest = (bytes: Buffer): Buffer => { const out = Buffer.alloc(4); out.writeUInt32LE(crc32c(bytes)); return out }
export const header = (opcode: number, flags: number, fields: Readonly<Record<number, number>> = {}): Buffer => {
  const bytes = Buffer.alloc(48)
  bytes[0] = opcode
  bytes[1] = flags
  for (const [at, value] of Object.entries(fields)) bytes.writeUInt32BE(value >>> 0, Number(at))
  return bytes
}

export async function openInitiator (port: number, host = '127.0.0.1'): Promise<Initiator> {
  const socket = connect({ port, host, noDelay: true })
  await new Promise<void>((resolve, reject) => { socket.once('connect', resolve); socket.once('error', reject) })
  const heard: Heard[] = []
  const waiting: PromiseWithResolvers<Heard>[] = []
  let digests = { header: false, data: false }
  let over = false
  let lastTag = 0
  const ended = Promise.withResolvers<void>()
  const assembler = new Assembler({ longest: 1 << 24, take (head, data) {
    const one = { opcode: (head[0] ?? 0) & 0x3f, flags: head[1] ?? 0, header: Buffer.from(head), data: Buffer.from(data) }
    const first = waiting.shift()
    if (first === undefined) heard.push(one)
    else first.resolve(one)
  } })
  socket.on('data', (chunk: Buffer) => { assembler.push(chunk) })
  socket.on('error', () => {})
  socket.on('close', () => { over = true; ended.resolve(); for (const one of waiting.splice(0)) one.reject(new TypeError('the target has closed the connection')) })

  const initiator: Initiator = {
    socket,
    cmdSN: 1,
    ended: ended.promise,
    next () {
      const first = heard.shift()
      if (first !== undefined) return Promise.resolve(first)
      if (over) return Promise.reject(new TypeError('the target has closed the connection'))
      const one = Promise.withResolvers<Heard>()
      waiting.push(one)
      return one.promise
    },
    send (head, data = Buffer.alloc(0)) {
      head.writeUIntBE(data.length, 5, 3)
      const padded = Buffer.concat([data, Buffer.alloc(-data.length & 3)])
      socket.write(Buffer.concat([head, ...digests.header ? [digest(head)] : [], padded, ...digests.data && data.length > 0 ? [digest(padded)] : []]))
    },
    async negotiate (pairs, { stage, next, isid = '400001370000', tsih = 0 }) {
      const head = header(0x43, next === undefined ? stage << 2 : 0x80 | stage << 2 | next, { 16: ++lastTag, 24: initiator.cmdSN })
      head.write(isid, 8, 'hex')
      head.writeUInt16BE(tsih, 14)
      initiator.send(head, formatText(pairs))
      const reply = await initiator.next()
      if (reply.header.readUInt16BE(36) !== 0) throw new TypeError(`the login was refused: ${reply.header.readUInt16BE(36).toString(16)}`)
      return new Map(parseText(reply.data))
    },
    async login (pairs, isid) {
      const said = await initiator.negotiate(pairs, { stage: 1, next: 3, ...isid === undefined ? {} : { isid } })
      digests = { header: said.get('HeaderDigest') === 'CRC32C', data: said.get('DataDigest') === 'CRC32C' }
      assembler.headerDigest = digests.header
      assembler.dataDigest = digests.data
      return said
    },
    start (cdb, { read, write, expected, lun = 1, immediate, unsolicited = false, cmdSN } = {}) {
      const itt = ++lastTag
      const now = write?.subarray(0, immediate ?? write.length) ?? Buffer.alloc(0)
      const head = header(0x01, (unsolicited ? 0 : 0x80) | (read === undefined ? 0 : 0x40) | (write === undefined ? 0 : 0x20), { 16: itt, 20: expected ?? read ?? write?.length ?? 0, 24: cmdSN ?? initiator.cmdSN })
      head[9] = lun
      ;(typeof cdb === 'string' ? Buffer.from(cdb.replaceAll(' ', ''), 'hex') : cdb).copy(head, 32)
      if (cmdSN === undefined) initiator.cmdSN++
      initiator.send(head, now)
      return itt
    },
    async finish (itt, data) {
      const pieces: Buffer[] = []
      for (;;) {
        const one = await initiator.next()
        if (one.header.readUInt32BE(16) !== itt) throw new TypeError(`PDU ${one.opcode} is of another task`)
        if (one.opcode === 0x31) {
          const [offset, length] = [one.header.readUInt32BE(40), one.header.readUInt32BE(44)]
          const out = header(0x05, 0x80, { 16: itt, 20: one.header.readUInt32BE(20), 40: offset })
          initiator.send(out, data?.subarray(offset, offset + length) ?? Buffer.alloc(length))
          continue
        }
        const residual = one.header.readUInt32BE(44) * ((one.flags & 4) !== 0 ? 1 : -1)
        if (one.opcode === 0x25) {
          if (one.header.readUInt32BE(40) !== pieces.reduce((sum, piece) => sum + piece.length, 0)) throw new TypeError('data has come out of order')
          pieces.push(one.data)
          if ((one.flags & 1) !== 0) return { status: one.header[3] ?? 0, data: Buffer.concat(pieces), sense: '', residual: residual || 0 }
          continue
        }
        if (one.opcode !== 0x21) throw new TypeError(`PDU ${one.opcode} instead of an answer`)
        const sense = one.data.length === 0 ? '' : `${((one.data[4] ?? 0) & 15).toString(16)} ${one.data.readUInt16BE(14).toString(16).padStart(4, '0')}`
        return { status: one.header[3] ?? 0, data: Buffer.concat(pieces), sense, residual: residual || 0 }
      }
    },
    command: (cdb, more) => initiator.finish(initiator.start(cdb, more), more?.write),
    close () { socket.destroy() }
  }
  return initiator
}
