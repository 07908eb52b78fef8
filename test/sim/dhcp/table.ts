/** dhcp's tables in the model: the same rows as in PostgreSQL; what a transaction changed is put back when it fails. */
import { parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { restSeconds } from '../../../plugins/dhcp/referee.ts'
import type { ModelTx } from './database.ts'

/** A row of dhcp.address. Times in ms by the database's clock, numbers as text as the referee gives them. */
export interface Row {
  readonly address: string, readonly subnet: string
  readonly client: string | null, readonly clientId: string | null, readonly hostname: string | null, readonly boundAt: number | null, readonly expires: number | null
  readonly rack: string | null, readonly quarantinedUntil: number | null
  readonly number: string
  readonly reserveOf: string | null, readonly reserveGrant: string | null
  readonly retiring: string | null, readonly waitsFor: readonly string[]
}
/** A row of dhcp.rack. */
export interface RackRow { readonly rack: string, readonly heardAt: number, readonly promisedUntil: number, readonly standing: string, readonly epoch: string | null, readonly seq: number }

export const emptyRow = { client: null, clientId: null, hostname: null, boundAt: null, expires: null, rack: null, quarantinedUntil: null, reserveOf: null, reserveGrant: null, retiring: null, waitsFor: [] } as const

const rest = restSeconds * 1000
/** The lease has ended, and rested. */
export const lapsed = (row: Row, now: number): boolean => row.expires !== null && row.expires + rest <= now
/** No row, or one on which nobody has a claim and for whose last client no rack may still act. */
export const isFree = (row: Row | undefined, now: number): boolean =>
  row === undefined || (row.reserveOf === null && row.rack === null && row.waitsFor.length === 0 && ((row.retiring !== null && lapsed(row, now)) || (row.quarantinedUntil !== null && row.quarantinedUntil <= now)))
export const waitingFor = (table: Table, subnet: string): readonly string[] => [...table.told.get(subnet) ?? []].sort()
interface Addressed { readonly address: string }
export const byAddress = (a: Addressed, b: Addressed): number => parseIp(a.address) - parseIp(b.address)

export class Table {
  readonly rows = new Map<string, Row>()
  readonly racks = new Map<string, RackRow>()
  readonly told = new Map<string, Set<string>>() // subnet → racks
  readonly formerJournals = new Set<string>()
  /** An entry of a journal that was taken in a second time. */
  takenTwice: string | undefined
  private readonly taken = new Set<string>()
  private sequence = 0

  /** nextval: what is drawn in a transaction that fails is not drawn again. */
  next (): string { return String(++this.sequence) }

  put (tx: ModelTx, row: Row): void {
    const before = this.rows.get(row.address)
    tx.undo.push(() => { if (before === undefined) this.rows.delete(row.address); else this.rows.set(row.address, before) })
    this.rows.set(row.address, row)
  }

  remove (tx: ModelTx, address: string): void {
    const before = this.rows.get(address)
    if (before === undefined) return
    tx.undo.push(() => { this.rows.set(address, before) })
    this.rows.delete(address)
  }

  /** The rack's row, or as it would be made now. */
  rackRow (rack: string, now: number): RackRow { return this.racks.get(rack) ?? { rack, heardAt: now, promisedUntil: now, standing: this.next(), epoch: null, seq: 0 } }

  putRack (tx: ModelTx, row: RackRow): void {
    const before = this.racks.get(row.rack)
    tx.undo.push(() => { if (before === undefined) this.racks.delete(row.rack); else this.racks.set(row.rack, before) })
    this.racks.set(row.rack, row)
  }

  tell (tx: ModelTx, subnet: string, rack: string): void {
    let racks = this.told.get(subnet)
    if (racks === undefined) this.told.set(subnet, racks = new Set())
    if (racks.has(rack)) return
    racks.add(rack)
    tx.undo.push(() => { racks.delete(rack) })
  }

  /** An entry of a journal was taken in: once, in all the life of the database. */
  takeIn (tx: ModelTx, entry: string): void {
    if (this.taken.has(entry)) this.takenTwice ??= entry
    else tx.undo.push(() => { this.taken.delete(entry) })
    this.taken.add(entry)
  }

  formerJournal (tx: ModelTx, rack: string, epoch: string): void {
    const key = `${rack} ${epoch}`
    if (this.formerJournals.has(key)) return
    this.formerJournals.add(key)
    tx.undo.push(() => { this.formerJournals.delete(key) })
  }
}
