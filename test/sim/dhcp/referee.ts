/** The referee in memory: the same rules as the SQL of the plugin's store, which a test holds to it. */
import { parseIp, ipText } from '../../../plugins/dhcp/ipv4.ts'
import type { BindAnswer, Ended, GrantOptions, JournalEntry, Referee, Reserved, Settled, StoredBinding, WishedBinding } from '../../../plugins/dhcp/referee.ts'
import { BedplateError } from '../../../core/errors.ts'
import { ModelTx } from './database.ts'
import { emptyRow } from './table.ts'
import type { Row, Table } from './table.ts'

/** ms an address rests after its binding lapsed. */
const rest = 10_000

const modelOf = (tx: unknown): ModelTx => {
  if (tx instanceof ModelTx) return tx
  throw new BedplateError('INTERNAL', { reason: 'a transaction of another database' })
}
const byAddress = (a: { readonly address: string }, b: { readonly address: string }): number => parseIp(a.address) - parseIp(b.address)

export class ModelReferee implements Referee {
  readonly table: Table
  constructor (table: Table) { this.table = table }

  async bind (raw: unknown, rack: string, wishes: readonly WishedBinding[]): Promise<readonly BindAnswer[]> {
    const tx = modelOf(raw)
    const { table } = this
    const first = new Map<string, WishedBinding>()
    for (const wish of wishes) if (!first.has(wish.address)) first.set(wish.address, wish)
    for (const wish of [...first.values()].sort(byAddress)) {
      const row = table.rows.get(wish.address)
      const free = row === undefined || (row.quarantinedUntil !== null && row.quarantinedUntil <= tx.now && row.waitsFor.length === 0)
      if (!free && row.client !== wish.client && row.rack !== rack && !(row.reserveOf === rack && row.client === null)) continue
      table.put(tx, {
        ...emptyRow, address: wish.address, subnet: wish.subnet, client: wish.client, clientId: wish.clientId, hostname: wish.hostname, boundAt: tx.now, expires: tx.now + wish.seconds * 1000,
        number: table.next(), reserveOf: row?.reserveOf ?? null, reserveGrant: row?.reserveGrant ?? null
      })
    }
    return wishes.map(({ address, client }) => {
      const row = table.rows.get(address)
      if (row?.client !== client || row.expires === null || row.boundAt !== tx.now) return { stored: false, reason: 'this address belongs to somebody else' }
      return { stored: true, expires: new Date(row.expires), number: row.number }
    })
  }

  private free (options: GrantOptions): string[] {
    const taken = new Set(options.taken)
    const found: string[] = []
    for (const { start, end } of options.ranges) for (let n = parseIp(start); n <= parseIp(end); n++) if (!taken.has(ipText(n)) && this.table.rows.get(ipText(n)) === undefined) found.push(ipText(n))
    return found
  }

  async grant (raw: unknown, rack: string, subnet: string, options: GrantOptions): Promise<{ readonly addresses: readonly string[], readonly retiring: readonly string[] }> {
    const tx = modelOf(raw)
    const free = this.free(options)
    const addresses = free.slice(0, Math.min(options.most, Math.max(1, Math.floor(free.length / options.racks))))
    for (const address of addresses) this.table.put(tx, { ...emptyRow, address, subnet, rack, number: this.table.next() })
    return { addresses, retiring: addresses.length < options.most ? this.retireLapsed(tx, options, options.most - addresses.length) : [] }
  }

  private retireLapsed (tx: ModelTx, options: GrantOptions, most: number): string[] {
    const inRanges = (address: number): boolean => options.ranges.some(({ start, end }) => address >= parseIp(start) && address <= parseIp(end))
    const lapsed = [...this.table.rows.values()].filter(row => row.expires !== null && row.retiring === null && row.expires + rest <= tx.now && inRanges(parseIp(row.address)) && !options.taken.includes(row.address))
    return lapsed.sort((a, b) => (a.expires ?? 0) - (b.expires ?? 0) || byAddress(a, b)).slice(0, most).map(row => { this.begin(tx, row); return row.address })
  }

  private begin (tx: ModelTx, row: Row): void {
    const waitsFor = [...this.table.told.get(row.subnet) ?? []].sort()
    if (waitsFor.length === 0) this.free1(tx, row)
    else this.table.put(tx, { ...row, retiring: this.table.next(), waitsFor })
  }

  private free1 (tx: ModelTx, row: Row): void { this.table.remove(tx, row.address) }

  async reserve (raw: unknown, rack: string, subnet: string, count: number, options: GrantOptions): Promise<readonly Reserved[]> {
    const tx = modelOf(raw)
    const own = (): Row[] => [...this.table.rows.values()].filter(row => row.reserveOf === rack && row.subnet === subnet && row.client === null)
    for (const address of this.free(options).slice(0, Math.max(0, count - own().length))) this.table.put(tx, { ...emptyRow, address, subnet, reserveOf: rack, reserveGrant: this.table.next(), number: this.table.next() })
    return own().sort(byAddress).map(({ address, reserveGrant }) => ({ address, subnet, grant: reserveGrant ?? '' }))
  }

  async settle (raw: unknown, rack: string, epoch: string, entries: readonly JournalEntry[]): Promise<Settled> {
    const tx = modelOf(raw)
    void entries
    void rack
    void epoch
    void tx
    return { through: 0, refused: [] }
  }

  async forgotten (raw: unknown, rack: string, retirements: readonly { readonly address: string, readonly round: string }[]): Promise<readonly string[]> {
    const tx = modelOf(raw)
    const freed: string[] = []
    for (const { address, round } of retirements) {
      const row = this.table.rows.get(address)
      if (row?.retiring !== round) continue
      const waitsFor = row.waitsFor.filter(one => one !== rack)
      if (waitsFor.length > 0) this.table.put(tx, { ...row, waitsFor })
      else { this.free1(tx, row); freed.push(address) }
    }
    return freed
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

  async heard (raw: unknown, rack: string): Promise<{ readonly standing: string }> {
    const tx = modelOf(raw)
    const row = this.table.racks.get(rack)
    const standing = row?.standing ?? this.table.next()
    this.table.putRack(tx, { rack, epoch: null, seq: 0, promisedUntil: 0, ...row, heardAt: Math.max(tx.now, row?.heardAt ?? 0), standing })
    return { standing }
  }

  async retire (raw: unknown, addresses: readonly string[]): Promise<readonly string[]> {
    const tx = modelOf(raw)
    return addresses.filter(address => {
      const row = this.table.rows.get(address)
      if (row === undefined || row.client === null || row.retiring !== null) return false
      this.begin(tx, row)
      return true
    })
  }

  async giveUpOnSilent (raw: unknown, autonomySeconds: number): Promise<{ readonly racks: readonly string[], readonly addresses: readonly string[] }> {
    const tx = modelOf(raw)
    void tx
    void autonomySeconds
    return { racks: [], addresses: [] }
  }

  async release (raw: unknown, ended: readonly Ended[]): Promise<readonly string[]> {
    const tx = modelOf(raw)
    return ended.flatMap(({ address, client, number }) => {
      const row = this.table.rows.get(address)
      if (row?.client !== client || row.expires === null || (number !== null && row.number !== number)) return []
      this.table.put(tx, { ...row, expires: Math.min(row.expires, tx.now) })
      return [address]
    })
  }

  async quarantine (raw: unknown, ended: readonly Ended[], seconds: number): Promise<readonly string[]> {
    void raw
    void ended
    void seconds
    return []
  }

  async tells (raw: unknown, rack: string, subnets: readonly string[]): Promise<void> {
    const tx = modelOf(raw)
    for (const subnet of subnets) this.table.tell(tx, subnet, rack)
  }

  async bindingsOf (_q: unknown, subnets: readonly string[], addresses?: readonly string[]): Promise<readonly StoredBinding[]> {
    return [...this.table.rows.values()].flatMap(row => {
      if (row.client === null || row.boundAt === null || row.expires === null || !subnets.includes(row.subnet) || (addresses !== undefined && !addresses.includes(row.address))) return []
      const { address, subnet, client, clientId, hostname, number, retiring } = row
      return [{ address, subnet, client, clientId, hostname, boundAt: new Date(row.boundAt), expires: new Date(row.expires), number, retiring }]
    })
  }
}
