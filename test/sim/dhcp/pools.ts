/** Blocks and reserves in the model: what is free goes to racks, and what has lapsed begins to retire. */
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { GrantOptions } from '../../../plugins/dhcp/referee.ts'
import type { ModelTx } from './database.ts'
import { byAddress, emptyRow, isFree, lapsed } from './table.ts'
import type { Table } from './table.ts'

type Begin = (tx: ModelTx, addresses: readonly string[]) => readonly { readonly address: string, readonly free: boolean }[]

export class ModelPools {
  private readonly table: Table
  private readonly begin: Begin

  constructor (table: Table, begin: Begin) {
    this.table = table
    this.begin = begin
  }

  grant (tx: ModelTx, rack: string, subnet: string, options: GrantOptions): { addresses: string[], retiring: string[] } {
    const give = (addresses: readonly string[]): string[] => {
      for (const address of addresses) this.table.put(tx, { ...emptyRow, address, subnet, rack, number: this.table.next() })
      return [...addresses].sort((a, b) => parseIp(a) - parseIp(b))
    }
    const unused = this.unused(options)
    if (unused.length > 0) return { addresses: give(unused), retiring: [] }
    let open = 0
    const look = (): string[] => {
      const free = this.free(tx, options).sort((a, b) => parseIp(a) - parseIp(b))
      open = free.length
      return give(free.slice(0, Math.min(options.most, Math.max(1, Math.floor(free.length / options.racks)))))
    }
    const addresses = look()
    const begun = this.retireLapsed(tx, options, options.most - open)
    if (addresses.length === 0 && begun.some(({ free }) => free)) addresses.push(...look())
    return { addresses, retiring: begun.map(({ address }) => address) }
  }

  reserve (tx: ModelTx, rack: string, subnet: string, count: number, options: GrantOptions): { retiring: string[] } {
    const have = [...this.table.rows.values()].filter(row => row.reserveOf === rack && row.subnet === subnet && row.client === null).length
    const wanted = count - have
    if (wanted <= 0) return { retiring: [] }
    const fill = (most: number): number => {
      const found = this.free(tx, options).slice(0, most)
      for (const address of found) this.table.put(tx, { ...emptyRow, address, subnet, reserveOf: rack, reserveGrant: this.table.next(), number: this.table.next() })
      return found.length
    }
    const given = fill(wanted)
    const begun = this.retireLapsed(tx, options, wanted - given)
    if (begun.some(({ free }) => free)) fill(wanted - given)
    return { retiring: begun.map(({ address }) => address) }
  }

  /** Addresses of the ranges that nobody has a claim on. */
  free (tx: { readonly now: number }, { ranges, taken }: Pick<GrantOptions, 'ranges' | 'taken'>): string[] {
    const found: string[] = []
    for (const { start, end } of ranges) {
      for (let n = parseIp(start); n <= parseIp(end); n++) {
        const address = ipText(n)
        if (!taken.includes(address) && isFree(this.table.rows.get(address), tx.now)) found.push(address)
      }
    }
    return found
  }

  /** Addresses above the highest that was ever given, if there are enough for every rack. */
  private unused ({ ranges, taken, racks, most }: GrantOptions): string[] {
    const tails = ranges.map(({ start, end }) => {
      const [low, high] = [parseIp(start), parseIp(end)]
      const used = [...this.table.rows.keys()].map(parseIp).filter(address => address >= low && address <= high)
      return { low: used.length === 0 ? low : Math.max(...used) + 1, high }
    })
    if (tails.reduce((sum, { low, high }) => sum + Math.max(0, high - low + 1), 0) < most * racks + taken.length) return []
    const found: string[] = []
    for (const { low, high } of tails) for (let n = 0; n <= Math.min(high - low, most + taken.length); n++) if (!taken.includes(ipText(low + n))) found.push(ipText(low + n))
    return found.slice(0, most)
  }

  private retireLapsed (tx: ModelTx, { ranges, taken }: GrantOptions, most: number): readonly { readonly address: string, readonly free: boolean }[] {
    if (most <= 0) return []
    const inside = [...this.table.rows.values()].filter(({ address }) => { const n = parseIp(address); return ranges.some(({ start, end }) => n >= parseIp(start) && n <= parseIp(end)) })
    const already = inside.filter(({ retiring, expires }) => retiring !== null && expires !== null && expires <= tx.now).length
    const found = inside.filter(row => row.client !== null && row.retiring === null && row.reserveOf === null && lapsed(row, tx.now) && !taken.includes(row.address))
    return this.begin(tx, found.sort((a, b) => (a.expires ?? 0) - (b.expires ?? 0) || byAddress(a, b)).slice(0, Math.max(0, most - already)).map(({ address }) => address))
  }
}
