/** What connections share: the targets offered, the sessions there are, and the logical units with their state. RFC 7143 sections 4.4 and 6.3. */
import { createHash, randomBytes } from 'node:crypto'
import { loginStatus } from './opcode.ts'
import type { Admission } from './login.ts'
import { LogicalUnit } from './scsi/unit.ts'
import { lunField } from './pdu.ts'
import type { ChapOptions } from './chap.ts'
import type { Log } from './connection.ts'
import type { Target } from './target.ts'

export const portalGroup = 1

/** A session as the portal sees it. */
export interface Session {
  readonly tsih: number
  readonly nexus: { readonly id: string }
  readonly initiator: string
  readonly target: Target | undefined
  readonly units: ReadonlyMap<number, LogicalUnit>
  /** Ends it: its connection is closed, what it has under way is dropped. */
  end(why: string): void
  /** Drops what it has under way at a unit, of one nexus or of any. */
  abort(unit: LogicalUnit): void
}
interface Opened { readonly unit: LogicalUnit, users: number }

export interface PortalOptions {
  /** Who must prove to be whom before targets are named; absent: nobody. */
  readonly discoveryChap?: Omit<ChapOptions, 'random'>
  readonly log?: Log
}

export class Portal {
  private readonly options: PortalOptions
  private targets = new Map<string, Target>()
  private readonly sessions = new Map<number, Session>()
  private readonly opened = new Map<string, Opened>()
  private lastTsih = 0

  constructor (options: PortalOptions = {}) { this.options = options }

  /** What is offered from now on. Sessions of a target that is not among them any more are ended, and those of one that changed as well, unless it lets them linger. */
  offer (targets: readonly Target[]): void {
    const next = new Map(targets.map(target => [target.name, target]))
    for (const session of [...this.sessions.values()]) if (session.target !== undefined && session.target.lingers !== true && next.get(session.target.name) !== session.target) session.end('its target is not offered any more')
    this.targets = next
  }

  get sessionCount (): number { return this.sessions.size }
  hasSession (tsih: number): boolean { return this.sessions.has(tsih) }
  targetOf (name: string): Target | undefined { return this.targets.get(name) }

  /** Names of the targets the initiator may log in to. */
  visible (initiator: string): string[] { return [...this.targets.values()].filter(target => admits(target, initiator)).map(({ name }) => name) }

  admit (initiator: string, name: string | undefined): Admission {
    if (name === undefined) return { status: loginStatus.success, ...this.options.discoveryChap === undefined ? {} : { chap: { ...this.options.discoveryChap, random: randomBytes } } }
    const target = this.targets.get(name)
    if (target === undefined) return { status: loginStatus.notFound }
    if (!admits(target, initiator)) return { status: loginStatus.forbidden }
    return {
      status: loginStatus.success, ...target.alias === undefined ? {} : { alias: target.alias },
      ...target.chap === undefined ? {} : { chap: { initiators: target.chap.initiators, target: target.chap.self, random: randomBytes } }
    }
  }

  /** Opens a session: another one of the same initiator port at the same target is ended first (reinstatement, 6.3.5). `make` gets what is its own. */
  begin (initiator: string, isid: string, target: Target | undefined, make: (own: Pick<Session, 'tsih' | 'nexus' | 'units'>) => Session): Session {
    const nexus = { id: `${initiator},i,0x${isid}` }
    for (const old of [...this.sessions.values()]) if (old.nexus.id === nexus.id && old.target?.name === target?.name) old.end('the initiator has logged in anew')
    const units = new Map<number, LogicalUnit>()
    try {
      for (const lun of target?.units.keys() ?? []) units.set(lun, this.open(target as Target, lun, initiator))
    } catch (error) {
      for (const unit of units.values()) this.leave(unit)
      throw error
    }
    do this.lastTsih = this.lastTsih % 0xffff + 1; while (this.sessions.has(this.lastTsih))
    const session = make({ tsih: this.lastTsih, nexus, units })
    this.sessions.set(session.tsih, session)
    return session
  }

  /** A session is over. */
  ended (session: Session): void {
    if (!this.sessions.delete(session.tsih)) return
    for (const unit of session.units.values()) {
      unit.lost(session.nexus.id)
      this.leave(unit)
    }
  }

  /** Every session that has the unit. */
  sharing (unit: LogicalUnit): Session[] { return [...this.sessions.values()].filter(({ units }) => [...units.values()].includes(unit)) }

  /** Closes all that is open. */
  close (): void { for (const session of [...this.sessions.values()]) session.end('the target is stopping') }

  private open (target: Target, lun: number, initiator: string): LogicalUnit {
    const offered = target.units.get(lun)
    if (offered === undefined) throw new TypeError(`no LUN ${lun}`)
    const key = `${target.name} ${lun}${offered.shared ? '' : ` ${initiator}`}`
    const known = this.opened.get(key)
    if (known !== undefined) { known.users++; return known.unit }
    // Of a medium of its own the initiator must not be told that it is another's.
    const serial = offered.shared ? offered.serial : createHash('sha256').update(`${offered.serial} ${initiator}`).digest('hex').slice(0, 32)
    const unit: LogicalUnit = new LogicalUnit({
      identity: { target: target.name, portalGroup, serial, thin: offered.thin, blockLength: offered.blockLength }, disk: offered.open(initiator), readOnly: offered.readOnly,
      abort: nexus => { for (const session of this.sharing(unit)) if (session.nexus.id === nexus) session.abort(unit) }
    })
    this.opened.set(key, { unit, users: 1 })
    return unit
  }

  private leave (unit: LogicalUnit): void {
    for (const [key, one] of this.opened) {
      if (one.unit !== unit || --one.users > 0) continue
      // Persistent reservations outlive a session; so does the unit while there are any.
      if (unit.persistent.registered) continue
      this.opened.delete(key)
      // Whoever ends a session, other sessions among them, can do nothing about a disk that is full.
      try { unit.disk.close() } catch (error) { this.options.log?.('warn', { err: error, unit: key }, 'a disk could not be closed in order; what was written since its last flush may be lost') }
    }
  }
}

const admits = (target: Target, initiator: string): boolean => target.initiators === undefined || target.initiators.includes(initiator)

/** REPORT LUNS: SPC-4 section 6.33. */
export const lunList = (luns: Iterable<number>): Buffer => {
  const list = [...luns].sort((left, right) => left - right).map(lunField)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(8 * list.length, 0)
  return Buffer.concat([head, ...list])
}
