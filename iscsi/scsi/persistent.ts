/** Persistent reservations of one unit: SPC-4 sections 5.13, 6.15 and 6.16. Kept in memory: a target that starts anew has none (PTPL is not offered). */
import { done, give } from './command.ts'
import type { Done, Give } from './command.ts'
import { Failure, sense, status } from './sense.ts'
import type { Sense } from './sense.ts'

/** Types of reservations: SPC-4 section 6.15.3.3. */
const kind = { writeExclusive: 1, exclusiveAccess: 3, writeExclusiveRegistrants: 5, exclusiveAccessRegistrants: 6, writeExclusiveAll: 7, exclusiveAccessAll: 8 } as const
const kinds: ReadonlySet<number> = new Set(Object.values(kind))
const ofAll = (type: number): boolean => type === kind.writeExclusiveAll || type === kind.exclusiveAccessAll
const ofRegistrants = (type: number): boolean => type === kind.writeExclusiveRegistrants || type === kind.exclusiveAccessRegistrants
const ofWrites = (type: number): boolean => type === kind.writeExclusive || type === kind.writeExclusiveRegistrants || type === kind.writeExclusiveAll

const action = { register: 0, reserve: 1, release: 2, clear: 3, preempt: 4, preemptAndAbort: 5, registerAndIgnore: 6 } as const
const listLength = 24
const mostRegistrations = 256

export interface PersistentOptions {
  /** The nexus is told at its next command. */
  readonly attend: (nexus: string, sense: Sense) => void
  /** Ends what the nexus has under way. */
  readonly abort: (nexus: string) => void
  readonly portalGroup: number
}

export class Persistent {
  private readonly options: PersistentOptions
  private generation = 0
  private readonly keys = new Map<string, bigint>() // by nexus
  private reservation: { holder: string, type: number } | undefined // of an "all registrants" type the holder is whoever is registered

  constructor (options: PersistentOptions) { this.options = options }

  get registered (): boolean { return this.keys.size > 0 }

  /** Whether a command of the nexus conflicts: section 5.13.1 table 69. */
  conflicts (nexus: string, access: 'read' | 'write'): boolean {
    if (this.reservation === undefined || this.holds(nexus)) return false
    const { type } = this.reservation
    if (ofRegistrants(type) && this.keys.has(nexus)) return false
    return access === 'write' || !ofWrites(type)
  }

  private holds (nexus: string): boolean {
    if (this.reservation === undefined) return false
    return ofAll(this.reservation.type) ? this.keys.has(nexus) : this.reservation.holder === nexus
  }

  /** PERSISTENT RESERVE IN. */
  in (cdb: Buffer): Give {
    const allocated = cdb.readUInt16BE(7)
    switch ((cdb[1] ?? 0) & 0x1f) {
      case 0: return give(this.headed([...this.keys.values()].map(keyBytes)), allocated)
      case 1: return give(this.headed(this.reservation === undefined ? [] : [this.descriptor(this.reservation)]), allocated)
      case 2: return give(Buffer.of(0, 8, 0x04, 0x80, 0xea, 0x01, 0, 0), allocated) // ATP_C; type mask valid: all six
      case 3: return give(this.headed([...this.keys].map(([nexus, key]) => this.full(nexus, key))), allocated)
      default: throw new Failure(sense.invalidField(1))
    }
  }

  private headed (parts: readonly Buffer[]): Buffer {
    const body = Buffer.concat(parts)
    const head = Buffer.alloc(8)
    head.writeUInt32BE(this.generation, 0)
    head.writeUInt32BE(body.length, 4)
    return Buffer.concat([head, body])
  }

  private descriptor ({ holder, type }: NonNullable<Persistent['reservation']>): Buffer {
    const bytes = Buffer.alloc(16)
    if (!ofAll(type)) keyBytes(this.keys.get(holder) ?? 0n).copy(bytes)
    bytes[13] = type
    return bytes
  }

  /** With the transport's name of the initiator's port: section 7.6.4.6. */
  private full (nexus: string, key: bigint): Buffer {
    const name = Buffer.from(`${nexus}\0`)
    const id = Buffer.concat([Buffer.of(0x45, 0, 0, 0), name, Buffer.alloc(Math.max(0, 20 - name.length) + (-Math.max(20, name.length) & 3))])
    id.writeUInt16BE(id.length - 4, 2)
    const bytes = Buffer.alloc(24)
    keyBytes(key).copy(bytes)
    if (this.reservation !== undefined && this.holds(nexus)) { bytes[12] = 1; bytes[13] = this.reservation.type }
    bytes.writeUInt16BE(this.options.portalGroup, 18)
    bytes.writeUInt32BE(id.length, 20)
    return Buffer.concat([bytes, id])
  }

  /** PERSISTENT RESERVE OUT with its parameter list. */
  out (cdb: Buffer, list: Buffer, nexus: string): Done {
    const [what, scope, type] = [(cdb[1] ?? 0) & 0x1f, (cdb[2] ?? 0) >> 4, (cdb[2] ?? 0) & 0x0f]
    if (list.length !== listLength || cdb.readUInt32BE(5) !== listLength) throw new Failure(sense.parameterListLength)
    const [key, serviceKey, flags] = [list.readBigUInt64BE(0), list.readBigUInt64BE(8), list[20] ?? 0]
    // SPEC_I_PT and APTPL are not offered; ALL_TG_PT is, since there is one port.
    if ((flags & 0x09) !== 0) throw new Failure(sense.invalidInParameters(20))
    if (what === action.register || what === action.registerAndIgnore) return this.register(nexus, key, serviceKey, what === action.registerAndIgnore)
    if (this.keys.get(nexus) !== key) throw new Failure(status.reservationConflict)
    const typed = (): void => { if (scope !== 0 || !kinds.has(type)) throw new Failure(sense.invalidField(2)) }
    switch (what) {
      case action.reserve: typed(); return this.reserve(nexus, type)
      case action.release: return this.release(nexus, scope, type)
      case action.clear: return this.clear(nexus)
      case action.preempt:
      case action.preemptAndAbort: typed(); return this.preempt(nexus, serviceKey, type, what === action.preemptAndAbort)
      default: throw new Failure(sense.invalidField(1))
    }
  }

  private register (nexus: string, key: bigint, serviceKey: bigint, ignore: boolean): Done {
    const known = this.keys.get(nexus)
    if (!ignore && key !== (known ?? 0n)) throw new Failure(status.reservationConflict)
    if (serviceKey !== 0n) {
      if (known === undefined && this.keys.size >= mostRegistrations) throw new Failure({ key: 5, code: 0x5504 }) // insufficient registration resources
      this.keys.set(nexus, serviceKey)
    } else if (known !== undefined) this.unregister(nexus)
    this.generation++
    return done
  }

  private unregister (nexus: string): void {
    const { reservation } = this
    const held = this.holds(nexus)
    this.keys.delete(nexus)
    if (reservation === undefined || !held || (ofAll(reservation.type) && this.keys.size > 0)) return
    this.reservation = undefined
    if (ofRegistrants(reservation.type)) this.tell(this.keys.keys(), sense.reservationsReleased, nexus)
  }

  private reserve (nexus: string, type: number): Done {
    if (this.reservation === undefined) this.reservation = { holder: nexus, type }
    else if (!this.holds(nexus) || this.reservation.type !== type) throw new Failure(status.reservationConflict)
    return done
  }

  private release (nexus: string, scope: number, type: number): Done {
    const { reservation } = this
    if (reservation === undefined || !this.holds(nexus)) return done
    if (scope !== 0 || type !== reservation.type) throw new Failure(sense.invalidRelease)
    this.reservation = undefined
    if (ofRegistrants(type) || ofAll(type)) this.tell(this.keys.keys(), sense.reservationsReleased, nexus)
    return done
  }

  private clear (nexus: string): Done {
    this.tell(this.keys.keys(), sense.reservationsPreempted, nexus)
    this.keys.clear()
    this.reservation = undefined
    this.generation++
    return done
  }

  /** Section 5.13.11.4. */
  private preempt (nexus: string, key: bigint, type: number, abort: boolean): Done {
    const { reservation } = this
    const all = reservation !== undefined && ofAll(reservation.type)
    if (key === 0n && !all) throw new Failure(sense.invalidInParameters(8))
    const gone = [...this.keys].filter(([one, its]) => all && key === 0n ? one !== nexus : its === key).map(([one]) => one)
    const takes = reservation !== undefined && (all ? key === 0n : this.keys.get(reservation.holder) === key)
    if (gone.length === 0 && !takes) throw new Failure(status.reservationConflict)
    for (const one of gone) {
      if (one !== nexus) this.keys.delete(one)
      if (abort) this.options.abort(one)
    }
    this.tell(gone, sense.registrationsPreempted, nexus)
    if (takes) {
      if (reservation.type !== type && (ofRegistrants(reservation.type) || all)) this.tell([...this.keys.keys()], sense.reservationsReleased, nexus)
      this.reservation = { holder: nexus, type }
    }
    this.generation++
    return done
  }

  private tell (whom: Iterable<string>, what: Sense, but: string): void {
    for (const one of whom) if (one !== but) this.options.attend(one, what)
  }
}

const keyBytes = (key: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(key)
  return bytes
}
