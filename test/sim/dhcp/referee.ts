/** The referee in memory: the same rules as the SQL of the plugin's store, statement by statement; a test holds the one to the other. */
import { BedplateError } from '../../../core/errors.ts'
import type { Database } from '../../../core/plugin.ts'
import type { BindAnswer, Ended, GrantOptions, JournalEntry, Referee, Reserved, Retirement, Settled, StoredBinding, WishedBinding } from '../../../plugins/dhcp/referee.ts'
import { ModelTx } from './database.ts'
import { ModelPools } from './pools.ts'
import { settle } from './settling.ts'
import { byAddress, emptyRow, isFree, lapsed, waitingFor } from './table.ts'
import type { Row, Table } from './table.ts'

const modelOf = (tx: unknown): ModelTx => {
  if (tx instanceof ModelTx) return tx
  throw new BedplateError('INTERNAL', { reason: 'a transaction of another database' })
}

const answerOf = (stored: ReadonlyMap<string, Row>, { address, client }: WishedBinding): BindAnswer | undefined => {
  const row = stored.get(address)
  return row?.client === client ? { stored: true, expires: new Date(row.expires ?? 0), number: row.number } : undefined
}

export class ModelReferee implements Referee {
  readonly table: Table
  private readonly pools: ModelPools

  constructor (table: Table) {
    this.table = table
    this.pools = new ModelPools(table, (tx, addresses) => this.begin(tx, addresses, true))
  }

  async bindAtOnce (db: Database, rack: string, wishes: readonly WishedBinding[]): Promise<readonly (BindAnswer | undefined)[]> {
    return await db.tx(async tx => {
      const stored = this.store(modelOf(tx), rack, wishes)
      for (const address of stored.keys()) await tx.changed('dhcp.binding', address)
      return wishes.map(wish => answerOf(stored, wish))
    })
  }

  async bind (raw: unknown, rack: string, wishes: readonly WishedBinding[]): Promise<readonly BindAnswer[]> {
    const tx = modelOf(raw)
    const { rows } = this.table
    const stored = this.store(tx, rack, wishes)
    const answers = wishes.map(wish => answerOf(stored, wish))
    const refused = wishes.filter((_, index) => answers[index] === undefined)
    const begun = this.begin(tx, refused.map(({ address }) => address).filter(address => !stored.has(address)), true)
    const open = new Set(begun.flatMap(({ address, free }) => free ? [address] : []))
    for (const [address, row] of this.store(tx, rack, refused.filter(({ address }) => open.has(address)))) stored.set(address, row)
    return wishes.map((wish, index) => answers[index] ?? answerOf(stored, wish) ?? {
      stored: false, reason: 'this address belongs to somebody else', quiet: rows.get(wish.address)?.reserveOf != null, retiring: begun.some(({ address }) => address === wish.address)
    })
  }

  /** Of two wishes for one address in a batch the first counts. */
  private store (tx: ModelTx, rack: string, wishes: readonly WishedBinding[]): Map<string, Row> {
    const stored = new Map<string, Row>()
    const seen = new Set<string>()
    for (const { address, subnet, client, clientId, hostname, seconds } of wishes) {
      if (seen.has(address)) continue
      seen.add(address)
      const row = this.table.rows.get(address)
      const own = row !== undefined && row.client === client && row.subnet === subnet && row.reserveOf === null
      if (!own && row?.rack !== rack && !isFree(row, tx.now)) continue
      const expires = tx.now + seconds * 1000
      const bound = { ...emptyRow, address, subnet, client, clientId, hostname, boundAt: tx.now, expires: row?.client === client ? Math.max(row.expires ?? 0, expires) : expires, number: this.table.next() }
      this.table.put(tx, bound)
      stored.set(address, bound)
    }
    return stored
  }

  async grant (raw: unknown, rack: string, subnet: string, options: GrantOptions) { return this.pools.grant(modelOf(raw), rack, subnet, options) }
  async reserve (raw: unknown, rack: string, subnet: string, count: number, options: GrantOptions) { return this.pools.reserve(modelOf(raw), rack, subnet, count, options) }

  async reservesOf (_q: unknown, rack: string): Promise<readonly Reserved[]> {
    return [...this.table.rows.values()].filter(row => row.reserveOf === rack).sort(byAddress).map(({ address, subnet, reserveGrant }) => ({ address, subnet, grant: reserveGrant ?? '' }))
  }

  async settle (raw: unknown, rack: string, epoch: string, entries: readonly JournalEntry[]): Promise<Settled> { return settle(this.table, modelOf(raw), rack, epoch, entries) }

  /** `lapsed`: only those whose lease ended and has rested, and those of no reserve. `free`: nobody is waited for. */
  private begin (tx: ModelTx, addresses: readonly string[], onlyLapsed: boolean): { readonly address: string, readonly free: boolean }[] {
    return [...new Set(addresses)].flatMap(address => {
      const row = this.table.rows.get(address)
      if (row === undefined || row.client === null || row.retiring !== null || (onlyLapsed && (row.reserveOf !== null || !lapsed(row, tx.now)))) return []
      const retiring = { ...row, retiring: this.table.next(), waitsFor: waitingFor(this.table, row.subnet) }
      this.table.put(tx, retiring)
      return [{ address, free: isFree(retiring, tx.now) }]
    })
  }

  /** As `claim` of the plugin's store: an address set aside has a row that says so, as if its client had had it. */
  async claim (raw: unknown, claims: readonly { readonly address: string, readonly subnet: string, readonly client: string }[]): Promise<string[]> {
    const tx = modelOf(raw)
    const { rows } = this.table
    const others = claims.filter(({ address, subnet, client }) => { const row = rows.get(address); return row !== undefined && row.client !== null && row.retiring === null && (row.client !== client || row.subnet !== subnet) })
    const changed = this.begin(tx, others.map(({ address }) => address), false).map(({ address }) => address)
    for (const { address, subnet, client } of claims) {
      const row = rows.get(address)
      if (row !== undefined && row.rack === null && !isFree(row, tx.now)) continue
      this.table.put(tx, { ...emptyRow, address, subnet, client, boundAt: tx.now, expires: tx.now, number: this.table.next() })
      changed.push(address)
    }
    return changed
  }

  async forgotten (raw: unknown, rack: string, retirements: readonly { readonly address: string, readonly round: string }[]): Promise<readonly string[]> {
    const tx = modelOf(raw)
    const gone: string[] = []
    for (const { address, round } of retirements) {
      const row = this.table.rows.get(address)
      if (row?.retiring !== round || !row.waitsFor.includes(rack)) continue
      this.table.put(tx, { ...row, waitsFor: row.waitsFor.filter(one => one !== rack) })
      gone.push(address)
    }
    return gone
  }

  async returned (raw: unknown, rack: string, reserves: readonly { readonly address: string, readonly grant: string }[]): Promise<void> {
    const tx = modelOf(raw)
    for (const { address, grant } of reserves) {
      const row = this.table.rows.get(address)
      if (row?.reserveOf !== rack || row.reserveGrant !== grant) continue
      if (row.client === null) this.table.remove(tx, address)
      else this.table.put(tx, { ...row, reserveOf: null, reserveGrant: null })
    }
  }

  async heard (raw: unknown, rack: string, autonomySeconds = 0): Promise<{ readonly standing: string }> {
    const tx = modelOf(raw)
    const row = this.table.rackRow(rack, tx.now)
    this.table.putRack(tx, { ...row, heardAt: Math.max(tx.now, row.heardAt), promisedUntil: Math.max(row.promisedUntil, tx.now + autonomySeconds * 1000) })
    return { standing: row.standing }
  }

  async retire (raw: unknown, addresses: readonly string[]): Promise<readonly string[]> { return this.begin(modelOf(raw), addresses, false).map(({ address }) => address) }

  async giveUpOnSilent (raw: unknown, autonomySeconds: number): Promise<{ readonly racks: readonly string[], readonly addresses: readonly string[] }> {
    const tx = modelOf(raw)
    const { table } = this
    const racks: string[] = []
    for (const row of [...table.racks.values()]) {
      if (row.heardAt + autonomySeconds * 1000 > tx.now || row.promisedUntil > tx.now || ![...table.rows.values()].some(({ waitsFor }) => waitsFor.includes(row.rack))) continue
      racks.push(row.rack)
      table.putRack(tx, { ...row, standing: table.next() })
    }
    const waiting = racks.length === 0 ? [] : [...table.rows.values()].filter(({ waitsFor }) => waitsFor.some(rack => racks.includes(rack)))
    for (const row of waiting) table.put(tx, { ...row, waitsFor: row.waitsFor.filter(rack => !racks.includes(rack)) })
    return { racks, addresses: waiting.map(({ address }) => address) }
  }

  private ended (tx: ModelTx, ended: readonly Ended[], change: (row: Row) => Row): string[] {
    return ended.flatMap(({ address, client, number }) => {
      const row = this.table.rows.get(address)
      if (row === undefined || row.client !== client || row.reserveOf !== null || (number !== null && row.number !== number)) return []
      this.table.put(tx, change(row))
      return [address]
    })
  }

  async release (raw: unknown, ended: readonly Ended[]): Promise<readonly string[]> {
    const tx = modelOf(raw)
    return this.ended(tx, ended, row => ({ ...row, expires: Math.min(row.expires ?? 0, tx.now) }))
  }

  async quarantine (raw: unknown, ended: readonly Ended[], seconds: number): Promise<readonly string[]> {
    const tx = modelOf(raw)
    return this.ended(tx, ended, ({ address, subnet, number }) => ({
      ...emptyRow, address, subnet, number, quarantinedUntil: tx.now + seconds * 1000, retiring: this.table.next(), waitsFor: waitingFor(this.table, subnet)
    }))
  }

  async tells (raw: unknown, rack: string, subnets: readonly string[]): Promise<void> {
    const tx = modelOf(raw)
    if (subnets.every(subnet => this.table.told.get(subnet)?.has(rack) === true)) return
    if (!this.table.racks.has(rack)) this.table.putRack(tx, this.table.rackRow(rack, tx.now))
    for (const subnet of subnets) this.table.tell(tx, subnet, rack)
  }

  private rowsOf (addresses: readonly string[] | undefined): readonly Row[] {
    return addresses === undefined ? [...this.table.rows.values()] : addresses.flatMap(address => this.table.rows.get(address) ?? [])
  }

  async bindingsOf (_q: unknown, subnets: readonly string[], addresses?: readonly string[]): Promise<readonly StoredBinding[]> {
    const found: StoredBinding[] = []
    for (const { address, subnet, client, clientId, expires, number, retiring, reserveOf } of this.rowsOf(addresses)) {
      if (client !== null && expires !== null && reserveOf === null && subnets.includes(subnet)) found.push({ address, subnet, client, clientId, expires: new Date(expires), number, retiring })
    }
    return found
  }

  async retirementsOf (_q: unknown, rack: string, addresses?: readonly string[]): Promise<readonly Retirement[]> {
    return this.rowsOf(addresses).flatMap(({ address, subnet, retiring, waitsFor }) => retiring !== null && waitsFor.includes(rack) ? [{ address, subnet, round: retiring }] : []).sort(byAddress)
  }

  async standingOf (_q: unknown, rack: string): Promise<string | undefined> { return this.table.racks.get(rack)?.standing }
}
