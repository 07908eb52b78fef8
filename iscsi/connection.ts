/** One connection of an initiator, from its login to its end; over 300 lines, since every PDU of the full feature phase passes through it. RFC 7143 sections 4, 7 and 11. */
import type { Socket } from 'node:net'
import { Assembler, headerLength, StreamError } from './assembler.ts'
import { Login } from './login.ts'
import type { Established } from './login.ts'
import { agree, defaults, settle, wished } from './negotiate.ts'
import type { Parameters } from './negotiate.ts'
import { bit, logoutOutcome, logoutReason, loginStatus, rejectReason, request, reservedTag, taskFunction, taskOutcome } from './opcode.ts'
import { longestSegment, Outgoing } from './outgoing.ts'
import * as pdu from './pdu.ts'
import { lunList, portalGroup } from './portal.ts'
import type { Portal, Session } from './portal.ts'
import type { Traffic } from './traffic.ts'
import { give } from './scsi/command.ts'
import type { Accept, Give, Result } from './scsi/command.ts'
import { inquiry } from './scsi/inquiry.ts'
import { Failure, sense, senseData, status } from './scsi/sense.ts'
import { failureOf } from './scsi/unit.ts'
import type { LogicalUnit } from './scsi/unit.ts'
import { formatText, parseText, TextError } from './text.ts'
import { Transfer } from './transfer.ts'

export interface ConnectionOptions {
  readonly socket: Socket
  readonly portal: Portal
  /** Of all connections together. */
  readonly traffic: Traffic
  /** As initiators are told to reach the targets: each `address:port`, this connection's own first. */
  readonly addresses: () => readonly string[]
  readonly log: Log
  readonly loggedIn?: () => void
  /** Hears of sessions with a target. Must not throw. */
  readonly told?: ((event: SessionEvent) => void) | undefined
}
export type Log = (level: 'debug' | 'info' | 'warn', words: Readonly<Record<string, unknown>>, message: string) => void
/** A session with a target began, or it ended. `read` and `written` are bytes of media, as the initiator sees it; `why` is null when it has logged out. */
export type SessionEvent = { readonly initiator: string, readonly target: string, /** The initiator's. */ readonly address: string } & ({ readonly kind: 'begun' } | { readonly kind: 'ended', readonly read: number, readonly written: number, readonly milliseconds: number, readonly why: string | null })

/** Commands an initiator may have under way. */
const window = 128
/** Bytes of writes that wait for their data; a command beyond that, or beyond the window, is told to come again. */
const mostWaiting = 64 << 20
/** Bytes a command that waits for its data costs besides them, so that all connections together cannot have any number of short ones. */
const upkeep = 2048
/** Bytes of commands that came ahead of their turn; over one TCP connection none ever does, but for a fault of the initiator. */
const mostHeld = 1 << 20
/** ms: a login that takes longer is given up. */
const loginPatience = 15_000
/** The longest data segment before the login has said otherwise. 13.12 */
const loginSegment = 8192
const signed = (value: number): number => value | 0 // sequence numbers are compared as RFC 1982 has it
const sequence = (value: number): number => value >>> 0

/** A command's data on its way to the initiator. `from`: how much has been sent. */
interface Reading {
  readonly itt: number
  readonly expected: number
  readonly available: number
  readonly length: number
  readonly unit: LogicalUnit | undefined
  /** May throw; then none of its PDU is sent. */
  readonly fill: (at: number, into: Buffer, from: number, length: number) => void
  from: number
  dataSN: number
  burstLeft: number
}

export class Connection {
  private readonly options: ConnectionOptions
  private readonly assembler: Assembler
  private readonly outgoing: Outgoing
  private readonly login: Login
  private session: Session | undefined
  private parameters: Parameters = defaults
  private statSN = 1
  private expCmdSN = 0
  private readonly held = new Map<number, { readonly header: Buffer, readonly data: Buffer, readonly intact: boolean }>() // ahead of their turn
  private heldBytes = 0
  private readonly transfers = new Map<number, Transfer>() // by initiator task tag
  private readonly unitOf = new Map<number, LogicalUnit>()
  private waiting = 0 // bytes of all transfers
  private lastTag = 0
  private text: { readonly pieces: Buffer[], readonly left: Buffer, readonly ttt: number } | undefined
  private loginSteps = 0
  private reading: Reading | undefined // a read that waits until the initiator has taken in what it was sent
  private stalled = false // no further commands are taken
  private readonly moved = { read: 0, written: 0, since: 0 }
  private over = false
  private closing = false
  private readonly timer: NodeJS.Timeout
  /** Monotonic ms: when something was last heard, and when it was asked whether anybody is there. */
  heard = performance.now()
  private pinged: number | undefined
  private accepted = performance.now() // when the kernel last took bytes, or had none to take

  constructor (options: ConnectionOptions) {
    this.options = options
    const { socket, portal } = options
    this.assembler = new Assembler({ longest: loginSegment, take: (header, data, intact) => { this.take(header, data, intact) } })
    this.outgoing = new Outgoing((bytes, done) => {
      if (this.over) { done(); return }
      const { traffic } = options
      if (socket.writableLength === 0) this.accepted = performance.now()
      traffic.queued += bytes.length
      socket.write(bytes, () => {
        traffic.queued -= bytes.length
        this.accepted = performance.now()
        done()
      })
    })
    this.login = new Login({ admit: (initiator, target) => portal.admit(initiator, target), portalGroup, hasSession: tsih => portal.hasSession(tsih) })
    this.timer = setTimeout(() => { this.end('the login took too long') }, options.traffic.loginPatience ?? loginPatience)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.on('data', (chunk: Buffer) => { this.receive(chunk) })
    socket.on('drain', () => { this.flowing() })
    socket.on('error', error => { this.end(error.message) })
    socket.on('close', () => { this.end(this.closing ? null : 'the initiator has closed the connection') })
  }

  private get from (): string { return (this.options.socket.remoteAddress ?? '').replace(/^::ffff:/, '') }
  /** Closes the connection and ends its session. `why` is null after a logout. May be called again. */
  end (why: string | null): void {
    if (this.over) return
    this.over = true
    clearTimeout(this.timer)
    const { session, options: { log, told, portal, socket }, moved } = this
    log(session === undefined ? 'debug' : 'info', { initiator: session?.initiator, target: session?.target?.name, why: why ?? 'logout' }, 'a connection has ended')
    for (const itt of [...this.transfers.keys()]) this.drop(itt)
    this.held.clear()
    this.reading = undefined
    if (session !== undefined) portal.ended(session)
    if (session?.target !== undefined) told?.({ kind: 'ended', initiator: session.initiator, target: session.target.name, address: this.from, read: moved.read, written: moved.written, milliseconds: Math.round(performance.now() - moved.since), why })
    socket.destroy()
  }

  /** Asks whether anybody is there when nothing was heard for `quiet` ms, and gives up when that is not answered in as many. To be called now and then. */
  watch (now: number, quiet: number): void {
    if (this.over || this.session === undefined) return
    if (this.options.socket.writableLength > 0 && now - this.accepted >= quiet) { this.end('the initiator does not read what it is sent'); return }
    if (now - this.heard < quiet) return
    if (this.pinged !== undefined && this.pinged >= this.heard) {
      if (now - this.pinged >= quiet) this.end('the initiator does not answer')
      return
    }
    this.pinged = now
    this.guarded(() => {
      pdu.nopIn(this.place(0), { itt: reservedTag, ttt: this.tag() }, this.numbers())
      this.sent(0)
    })
  }

  private receive (chunk: Buffer): void {
    this.heard = performance.now()
    this.guarded(() => { this.assembler.push(chunk) })
  }

  /** What the initiator was sent has gone: on with what waits for that. */
  private flowing (): void {
    if (!this.stalled || this.over) return
    this.guarded(() => {
      this.stalled = false
      if (this.reading !== undefined) this.proceed(this.reading)
      if (this.congested()) { this.stall(); return }
      this.catchUp()
      if (this.stalled) return
      this.assembler.resume()
      if (!this.stalled) this.options.socket.resume()
    })
  }

  /** What comes over the network costs at most its own connection. */
  private guarded (work: () => void): void {
    try {
      work()
      this.outgoing.flush()
    } catch (error) {
      if (!(error instanceof StreamError)) this.options.log('warn', { err: error }, 'a connection failed inside the target')
      this.end(error instanceof StreamError ? error.message : 'a fault of the target')
    }
    if (this.closing && !this.over) this.options.socket.end()
  }

  private congested (): boolean { return this.reading !== undefined || this.options.socket.writableLength + this.outgoing.waiting > this.options.traffic.backlog }
  /** Takes nothing more in until what was sent has gone. An initiator that does not read what it asked for asks for no more. */
  private stall (): void {
    if (this.stalled) return
    this.stalled = true
    this.outgoing.flush()
    this.assembler.pause()
    this.options.socket.pause()
  }

  private numbers (): pdu.Numbers { return { statSN: this.statSN, expCmdSN: this.expCmdSN, maxCmdSN: sequence(this.expCmdSN + window - 1) } }
  /** The same, taking a status number. */
  private counted (): pdu.Numbers {
    const numbers = this.numbers()
    this.statSN = sequence(this.statSN + 1)
    return numbers
  }
  private present: ReturnType<Outgoing['reserve']> | undefined
  private place (data: number): ReturnType<Outgoing['reserve']> { return this.present = this.outgoing.reserve(data) }
  private sent (data: number): void { if (this.present !== undefined) this.outgoing.commit(this.present, data) }
  private tag (): number { return this.lastTag = this.lastTag >= 0x7ffffffe ? 1 : this.lastTag + 1 }

  private take (header: Buffer, data: Buffer, intact: boolean): void {
    if (this.over || this.closing) return
    const opcode = (header[0] ?? 0) & 0x3f
    if (this.session === undefined) {
      if (opcode === request.login) this.step(header, data)
      else this.end(`PDU ${opcode} before the login`)
      return
    }
    if (opcode === request.dataOut) { this.dataOut(header, data, intact); return }
    if (opcode === request.snack) { this.reject(header, rejectReason.snack); return } // error recovery level 0
    const cmdSN = header.readUInt32BE(24)
    if (((header[0] ?? 0) & bit.immediate) !== 0) { this.carryOut(opcode, header, data, intact); return }
    const ahead = signed(cmdSN - this.expCmdSN)
    if (ahead < 0 || ahead >= window) return // outside the window: as if it had never come. 4.2.2.1
    if (ahead > 0) { this.hold(cmdSN, header, data, intact); return }
    this.expCmdSN = sequence(cmdSN + 1)
    this.carryOut(opcode, header, data, intact)
    if (this.held.size > 0) this.catchUp()
  }

  private hold (cmdSN: number, header: Buffer, data: Buffer, intact: boolean): void {
    if (this.held.has(cmdSN) || this.heldBytes + data.length > mostHeld) return
    this.heldBytes += data.length
    this.held.set(cmdSN, { header: Buffer.from(header), data: Buffer.from(data), intact })
  }

  /** Those whose turn has come. */
  private catchUp (): void {
    for (let next = this.held.get(this.expCmdSN); next !== undefined && !this.stalled && !this.over && !this.closing; next = this.held.get(this.expCmdSN)) {
      this.held.delete(this.expCmdSN)
      this.heldBytes -= next.data.length
      this.expCmdSN = sequence(this.expCmdSN + 1)
      this.carryOut((next.header[0] ?? 0) & 0x3f, next.header, next.data, next.intact)
    }
  }

  private carryOut (opcode: number, header: Buffer, data: Buffer, intact: boolean): void {
    if (!intact) { this.reject(header, rejectReason.dataDigest); return }
    switch (opcode) {
      case request.command: this.command(header, data); break
      case request.nop: this.nop(header, data); break
      case request.task: this.task(header); break
      case request.text: this.texts(header, data); break
      case request.logout: this.logout(header); break
      default: this.reject(header, opcode === request.login ? rejectReason.protocol : rejectReason.unsupported)
    }
    if (!this.over && this.congested()) this.stall()
  }

  private step (header: Buffer, data: Buffer): void {
    const flags = header[1] ?? 0
    const [isid, itt, tsih] = [Buffer.from(header.subarray(8, 14)), header.readUInt32BE(16), header.readUInt16BE(14)]
    if (this.loginSteps++ === 0) this.expCmdSN = header.readUInt32BE(24)
    const reply = this.login.step({ transit: (flags & bit.transit) !== 0, continued: (flags & bit.continue) !== 0, current: flags >> 2 & 3, next: flags & 3, versionMin: header[3] ?? 0, tsih, text: data })
    let [code, reason] = [reply.status, reply.reason]
    if (reply.established !== undefined && code === loginStatus.success) {
      try {
        this.begin(reply.established, isid)
      } catch (error) {
        [code, reason] = [loginStatus.targetError, error instanceof Error ? error.message : String(error)]
      }
    }
    const failed = code !== loginStatus.success
    const text = failed ? Buffer.alloc(0) : reply.text
    const place = this.place(text.length)
    text.copy(place.bytes, place.data)
    pdu.loginResponse(place, { transit: reply.transit && !failed, current: reply.current, next: reply.next, isid, tsih: this.session?.tsih ?? tsih, itt, status: code }, this.counted())
    this.sent(text.length)
    this.outgoing.flush()
    if (failed) {
      this.options.log('warn', { from: this.options.socket.remoteAddress, status: code.toString(16), reason }, 'a login was refused')
      this.closing = true
    } else if (this.session !== undefined) {
      // Digests begin with the first PDU of the full feature phase.
      this.assembler.headerDigest = this.outgoing.headerDigest = this.parameters.headerDigest
      this.assembler.dataDigest = this.outgoing.dataDigest = this.parameters.dataDigest
      this.assembler.longest = wished.receiveSegmentLength
    }
  }

  private begin ({ initiator, target: name, parameters }: Established, isid: Buffer): void {
    const { portal, log } = this.options
    const target = name === undefined ? undefined : portal.targetOf(name)
    this.parameters = parameters
    this.session = portal.begin(initiator, isid.toString('hex'), target, own => ({
      ...own, initiator, target,
      end: why => { this.end(why) },
      abort: unit => {
        for (const [itt, of] of this.unitOf) if (of === unit) this.drop(itt)
        if (this.reading?.unit === unit) this.reading = undefined
      }
    }))
    clearTimeout(this.timer)
    this.options.loggedIn?.()
    this.moved.since = performance.now()
    log('info', { initiator, target: name ?? 'discovery', from: this.from }, 'an initiator has logged in')
    if (name !== undefined) this.options.told?.({ kind: 'begun', initiator, target: name, address: this.from })
  }

  private nop (header: Buffer, data: Buffer): void {
    const itt = header.readUInt32BE(16)
    if (itt === reservedTag) return // the answer to a question of ours
    const length = Math.min(data.length, this.parameters.sendSegmentLength, longestSegment)
    const place = this.place(length)
    data.copy(place.bytes, place.data, 0, length)
    pdu.nopIn(place, { itt, ttt: reservedTag }, this.counted())
    this.sent(length)
  }

  private command (header: Buffer, data: Buffer): void {
    const { session } = this
    const flags = header[1] ?? 0
    const itt = header.readUInt32BE(16)
    if (session?.target === undefined) { this.reject(header, rejectReason.protocol); return } // a discovery session
    if (this.transfers.has(itt)) { this.reject(header, rejectReason.taskInProgress); return }
    const expected = (flags & (bit.read | bit.write)) === 0 ? 0 : header.readUInt32BE(20)
    const cdb = header.subarray(32, headerLength)
    const lun = pdu.lunOf(header)
    const unit = lun === undefined ? undefined : session.units.get(lun)
    try {
      const result = unit === undefined ? this.withoutUnit(cdb, session) : cdb[0] === 0xa0 ? reportLuns(cdb, session) : unit.run(cdb, session.nexus)
      this.finish(header, itt, expected, result, data, unit)
    } catch (error) {
      this.failed(itt, expected, error)
    }
  }

  /** What can be asked of a LUN that does not exist: SPC-4 section 4.6.1. */
  private withoutUnit (cdb: Buffer, session: Session): Result {
    if (cdb[0] === 0xa0) return reportLuns(cdb, session)
    if (cdb[0] === 0x12) return inquiry(cdb, undefined)
    if (cdb[0] === 0x03) return give(senseData(sense.noUnit), cdb[4] ?? 0)
    throw new Failure(sense.noUnit)
  }

  private finish (header: Buffer, itt: number, expected: number, result: Result, data: Buffer, unit: LogicalUnit | undefined): void {
    const writes = ((header[1] ?? 0) & bit.write) !== 0
    switch (result.kind) {
      case 'done': this.respond(itt, result.status ?? status.good, pdu.residualOf(0, expected), undefined); break
      case 'give': this.give(itt, expected, result.data.length, unit, (at, into, from, length) => { result.data.copy(into, at, from, from + length) }); break
      case 'read':
        this.moved.read += Math.min(result.length, expected)
        this.give(itt, expected, result.length, unit, (at, into, from, length) => { unit?.disk.read(result.offset + from, into, at, length) })
        break
      case 'accept': {
        if (!writes && expected > 0) throw new Failure(sense.invalidInParameters())
        if (result.exact === true && expected !== result.length) throw new Failure(sense.invalidField())
        this.accept(header, itt, expected, result, data, unit)
      }
    }
  }

  /** Data-In PDUs: as large as the initiator takes them, the last one with the status. */
  private give (itt: number, expected: number, available: number, unit: LogicalUnit | undefined, fill: Reading['fill']): void {
    const length = Math.min(available, expected)
    if (length === 0) this.respond(itt, status.good, pdu.residualOf(available, expected), undefined)
    else this.proceed({ itt, expected, available, length, unit, fill, from: 0, dataSN: 0, burstLeft: this.parameters.maxBurstLength })
  }

  /** Sends the next of it, as far as the initiator takes it in. */
  private proceed (reading: Reading): void {
    const { itt, expected, available, length, fill } = reading
    const { sendSegmentLength, maxBurstLength } = this.parameters
    const most = Math.min(sendSegmentLength, longestSegment)
    const residual = pdu.residualOf(available, expected)
    this.reading = undefined
    for (; reading.from < length; reading.dataSN++) {
      if (reading.from > 0 && this.congested()) { this.reading = reading; return }
      const { from, dataSN } = reading
      const piece = Math.min(most, length - from, reading.burstLeft)
      const place = this.place(piece)
      try {
        fill(place.data, place.bytes, from, piece)
      } catch (error) {
        this.failed(itt, expected, failureOf(error, false), dataSN)
        return
      }
      const last = from + piece === length
      reading.burstLeft -= piece
      pdu.dataIn(place, { final: last || reading.burstLeft === 0, status: last, itt, dataSN, offset: from, residual }, last ? this.counted() : this.numbers())
      this.sent(piece)
      if (reading.burstLeft === 0) reading.burstLeft = maxBurstLength
      reading.from += piece
    }
  }

  private accept (header: Buffer, itt: number, expected: number, accept: Accept, data: Buffer, unit: LogicalUnit | undefined): void {
    const { immediateData, firstBurstLength, maxBurstLength, maxOutstandingR2T, initialR2T } = this.parameters
    const final = ((header[1] ?? 0) & bit.final) !== 0
    if ((data.length > 0 && !immediateData) || (!final && initialR2T) || data.length > Math.min(expected, firstBurstLength)) throw new Failure(sense.unexpectedData)
    const wanted = Math.min(expected, accept.length)
    if (final && data.length >= wanted) { this.store(itt, expected, accept, data.subarray(0, wanted)); return }
    const { traffic } = this.options
    // MaxCmdSN goes on with what is received, and immediate commands pass it by: the window alone does not bound those that wait.
    if (this.transfers.size >= window || this.waiting + wanted > mostWaiting || traffic.waiting + wanted + upkeep > traffic.mostWaiting) throw new Failure(status.taskSetFull)
    const transfer = new Transfer({ itt, lun: Buffer.from(header.subarray(8, 16)), expected, accept, firstBurstLength, maxBurstLength, maxOutstandingR2T, unsolicited: !final }, data)
    this.transfers.set(itt, transfer)
    if (unit !== undefined) this.unitOf.set(itt, unit)
    this.waiting += wanted
    traffic.waiting += wanted + upkeep
    this.ask(transfer)
  }

  private ask (transfer: Transfer): void {
    const { itt, lun } = transfer.options
    for (const ask of transfer.asks(() => this.tag())) {
      pdu.readyToTransfer(this.place(0), { lun, itt, ...ask }, this.numbers())
      this.sent(0)
    }
  }

  private dataOut (header: Buffer, data: Buffer, intact: boolean): void {
    const [itt, ttt] = [header.readUInt32BE(16), header.readUInt32BE(20)]
    const transfer = this.transfers.get(itt)
    if (transfer === undefined) return // of a command that has ended: what comes after is let pass
    const fault = intact ? transfer.take(ttt === reservedTag ? undefined : ttt, header.readUInt32BE(36), header.readUInt32BE(40), ((header[1] ?? 0) & bit.final) !== 0, data) : 'digest'
    const { expected, accept } = transfer.options
    if (fault !== undefined) {
      if (fault === 'digest') this.reject(header, rejectReason.dataDigest)
      this.drop(itt)
      this.failed(itt, expected, new Failure(fault === 'digest' ? sense.digest : fault === 'unexpected' ? sense.unexpectedData : sense.wrongAmount))
      return
    }
    if (!transfer.complete) { this.ask(transfer); if (!transfer.complete) return }
    this.drop(itt)
    this.store(itt, expected, accept, transfer.data)
  }

  private store (itt: number, expected: number, accept: Accept, data: Buffer): void {
    try {
      const result = accept.take(data)
      this.moved.written += data.length
      const residual = pdu.residualOf(accept.length, expected)
      this.respond(itt, result.kind === 'done' ? result.status ?? status.good : status.good, residual, undefined)
    } catch (error) {
      this.failed(itt, expected, failureOf(error, true))
    }
  }

  /** The command has nothing under way any more. */
  private drop (itt: number): void {
    const transfer = this.transfers.get(itt)
    if (transfer !== undefined) {
      this.waiting -= transfer.data.length
      this.options.traffic.waiting -= transfer.data.length + upkeep
      this.transfers.delete(itt)
    }
    this.unitOf.delete(itt)
  }

  private failed (itt: number, expected: number, error: unknown, expDataSN = 0): void {
    if (!(error instanceof Failure)) {
      this.options.log('warn', { err: error }, 'a command failed inside the target')
      error = new Failure({ key: 4, code: 0x4400 }) // internal target failure
    }
    const { status: code, sense: why } = error as Failure
    this.respond(itt, code, pdu.residualOf(0, expected), why === undefined ? undefined : senseData(why), expDataSN)
  }

  private respond (itt: number, code: number, residual: pdu.Residual, sensed: Buffer | undefined, expDataSN = 0): void {
    const length = sensed === undefined ? 0 : sensed.length + 2
    const place = this.place(length)
    if (sensed !== undefined) {
      place.bytes.writeUInt16BE(sensed.length, place.data)
      sensed.copy(place.bytes, place.data + 2)
    }
    pdu.scsiResponse(place, { itt, status: code, residual, expDataSN }, this.counted())
    this.sent(length)
  }

  /** Commands run to their end at once, so that only writes that wait for their data can be found under way. 11.5 */
  private task (header: Buffer): void {
    const what = (header[1] ?? 0) & 0x7f
    const [itt, referenced] = [header.readUInt32BE(16), header.readUInt32BE(20)]
    const { session } = this
    const lun = pdu.lunOf(header)
    const unit = lun === undefined ? undefined : session?.units.get(lun)
    const outcome = session === undefined ? taskOutcome.rejected : this.manage(what, referenced, unit, session)
    pdu.taskResponse(this.place(0), itt, outcome, this.counted())
    this.sent(0)
    if (what === taskFunction.targetColdReset && session?.target !== undefined) {
      // All sessions of the target end, this one after it has heard that they do.
      this.outgoing.flush()
      const others = [...session.units.values()].flatMap(one => this.affected(one, session))
      for (const one of new Set(others)) if (one !== session) one.end('the target was reset')
      this.closing = true
    }
  }

  private manage (what: number, referenced: number, unit: LogicalUnit | undefined, session: Session): number {
    switch (what) {
      case taskFunction.abortTask:
        if (unit === undefined) return taskOutcome.noUnit
        if (this.transfers.has(referenced)) { this.drop(referenced); return taskOutcome.complete }
        return taskOutcome.noTask // answered already
      case taskFunction.abortTaskSet:
        if (unit === undefined) return taskOutcome.noUnit
        session.abort(unit)
        return taskOutcome.complete
      case taskFunction.clearTaskSet:
        if (unit === undefined) return taskOutcome.noUnit
        for (const one of this.affected(unit, session)) one.abort(unit)
        return taskOutcome.complete
      case taskFunction.logicalUnitReset:
        if (unit === undefined) return taskOutcome.noUnit
        this.reset(unit, session)
        return taskOutcome.complete
      case taskFunction.targetWarmReset:
      case taskFunction.targetColdReset:
        for (const one of session.units.values()) this.reset(one, session)
        return taskOutcome.complete
      case taskFunction.queryTask: return this.transfers.has(referenced) ? taskOutcome.succeeded : taskOutcome.complete
      case taskFunction.queryTaskSet: return [...this.unitOf.values()].some(one => one === unit) ? taskOutcome.succeeded : taskOutcome.complete
      case taskFunction.nexusReset:
        for (const one of session.units.values()) { session.abort(one); one.lost(session.nexus.id) }
        return taskOutcome.complete
      case taskFunction.queryAsyncEvent: return taskOutcome.complete
      case taskFunction.taskReassign: return taskOutcome.reassignUnsupported
      default: return taskOutcome.unsupported
    }
  }

  private reset (unit: LogicalUnit, session: Session): void {
    const affected = this.affected(unit, session)
    for (const one of affected) one.abort(unit)
    unit.reset(affected.map(({ nexus }) => nexus.id))
  }

  /** Whom a reset of the unit concerns. What can only be read has no state that one initiator could have to clear for another, and is shared by strangers: each resets its own. */
  private affected (unit: LogicalUnit, session: Session): Session[] { return unit.readOnly ? [session] : this.options.portal.sharing(unit) }

  /** Text requests: names of targets, and what may be negotiated anew. 11.10 */
  private texts (header: Buffer, data: Buffer): void {
    const flags = header[1] ?? 0
    const [itt, ttt] = [header.readUInt32BE(16), header.readUInt32BE(20)]
    if (ttt !== reservedTag && ttt === this.text?.ttt && this.text.left.length > 0) { this.tell(itt, this.text.left); return }
    const pieces = ttt !== reservedTag && ttt === this.text?.ttt ? this.text.pieces : []
    if (pieces.reduce((sum, piece) => sum + piece.length, data.length) > 64 << 10) { this.reject(header, rejectReason.outOfResources); return }
    if ((flags & bit.continue) !== 0) {
      this.text = { pieces: [...pieces, Buffer.from(data)], left: Buffer.alloc(0), ttt: this.tag() }
      pdu.textResponse(this.place(0), { itt, ttt: this.text.ttt, final: false, continued: false }, this.counted())
      this.sent(0)
      return
    }
    try {
      const pairs = parseText(Buffer.concat([...pieces, data]))
      const answers: (readonly [string, string])[] = pairs.flatMap(([key, value]) => key === 'SendTargets' ? this.targets(value) : [])
      const { answers: agreed, change } = agree(pairs.filter(([key]) => key !== 'SendTargets'), { discovery: this.session?.target === undefined, settled: new Set(), fullFeature: true })
      this.parameters = settle(this.parameters, change)
      this.tell(itt, formatText([...answers, ...agreed]))
    } catch (error) {
      if (!(error instanceof TextError)) throw error
      this.reject(header, rejectReason.protocol)
    }
  }

  /** As much of an answer as the initiator takes at once; it asks for the rest. */
  private tell (itt: number, answer: Buffer): void {
    const length = Math.min(answer.length, this.parameters.sendSegmentLength, longestSegment)
    const left = answer.subarray(length)
    const ttt = left.length === 0 ? reservedTag : this.tag()
    this.text = left.length === 0 ? undefined : { pieces: [], left, ttt }
    const place = this.place(length)
    answer.copy(place.bytes, place.data, 0, length)
    pdu.textResponse(place, { itt, ttt, final: left.length === 0, continued: left.length > 0 }, this.counted())
    this.sent(length)
  }

  /** SendTargets: section 13.3 and appendix C. `All` in a discovery session, or one name; nothing asks for the own target. */
  private targets (asked: string): (readonly [string, string])[] {
    const { portal, addresses } = this.options
    const own = this.session?.target?.name
    const names = portal.visible(this.session?.initiator ?? '').filter(name => asked === 'All' ? own === undefined || name === own : asked === '' ? name === own : name === asked.toLowerCase())
    return names.flatMap(name => [['TargetName', name], ...addresses().map(address => ['TargetAddress', `${address},${portalGroup}`] as const)] as const)
  }

  private logout (header: Buffer): void {
    const reason = (header[1] ?? 0) & 0x7f
    const itt = header.readUInt32BE(16)
    const outcome = reason === logoutReason.recovery ? logoutOutcome.recoveryUnsupported : logoutOutcome.done
    for (const open of [...this.transfers.keys()]) this.drop(open)
    pdu.logoutResponse(this.place(0), itt, outcome, this.counted())
    this.sent(0)
    this.outgoing.flush()
    if (outcome === logoutOutcome.done) this.closing = true
  }

  private reject (header: Buffer, reason: number): void {
    const place = this.place(headerLength)
    header.copy(place.bytes, place.data, 0, headerLength)
    pdu.reject(place, reason, this.counted())
    this.sent(headerLength)
  }
}

function reportLuns (cdb: Buffer, { units }: Session): Give {
  const [what, allocated] = [cdb[2] ?? 0, cdb.readUInt32BE(6)]
  if (what > 2) throw new Failure(sense.invalidField(2))
  if (allocated < 16) throw new Failure(sense.invalidField(6))
  return give(lunList(what === 1 ? [] : units.keys()), allocated) // 1: well known units alone
}
