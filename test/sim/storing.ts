/** Simulated regions that store facts: the real fact store, on a database whose cursor they take turns at. */
import type { ActiveRegion } from '../../core/active.ts'
import type { Database, Tx } from '../../core/database/database.ts'
import { BedplateError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import type { Fact, Manifest } from '../../core/plugin.ts'
import { createFactStore } from '../../core/state/facts.ts'
import type { FactStore } from '../../core/state/facts.ts'
import type { Dice } from './dice.ts'
import { numberOf } from './disk.ts'
import { createProcess } from './process.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

const log = createLogger('silent')
const metrics = createMetrics()

/** core.fact_cursor and the plugin's table, as all regions see them. */
export class FactTable {
  up = true
  readonly cutOff = new Set<string>() // regions that do not reach it
  readonly stored: number[] = []
  readonly known = new Set<number>()
  readonly rejected = new Set<number>()
  readonly poison = new Set<number>()
  private readonly cursors = new Map<string, number>()
  private readonly last = new Map<string, number>() // order is promised within one life of the outbox: what a region still held of a disk that is gone may come late
  private readonly world: World
  private readonly dice: Dice
  private locked = false
  private queue: (() => void)[] = []

  constructor (world: World, dice: Dice) {
    this.world = world
    this.dice = dice
  }

  private commit (by: string, epoch: string, cursor: number | undefined, facts: readonly number[], rejected: readonly number[]): void {
    if (cursor !== undefined) this.cursors.set(epoch, cursor)
    if (facts.length + rejected.length > 0) this.world.tell(`${by}: stores ${facts.join(' ')}${rejected.length > 0 ? `, sets aside ${rejected.join(' ')}` : ''}`)
    for (const n of facts) {
      const last = this.last.get(epoch) ?? -1
      if (this.known.has(n)) this.world.violated(`fact ${n} is stored twice`)
      else if (n < last) this.world.violated(`fact ${n} is stored after fact ${last}`)
      this.last.set(epoch, n)
      this.known.add(n)
      this.stored.push(n)
    }
    for (const n of rejected) this.rejected.add(n)
  }

  private release (): void {
    const next = this.queue.shift()
    if (next === undefined) this.locked = false
    else next() // the lock goes from hand to hand
  }

  /** The table over one process's connections. A transaction of a process that dies ends with it. */
  database (process: Process): Database {
    const tx = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
      let holding = false
      let over = false
      let epoch = ''
      let cursor: number | undefined
      const facts: number[] = []
      const rejected: number[] = []
      const end = () => { over = true; if (holding) { holding = false; this.release() } }
      const gone = () => { if (over) return; if (!process.alive) end(); else this.world.after(20, gone) }
      this.world.after(20, gone)
      const wait = async (): Promise<void> => {
        await process.clock.sleep(this.dice.between(0.1, 3))
        if (!this.up || over || this.cutOff.has(process.name)) throw new BedplateError('UNAVAILABLE', { reason: 'connection lost' })
      }
      const query = async (text: string, values: readonly unknown[] = []): Promise<unknown[]> => {
        await wait()
        if (text.startsWith('select seq')) {
          epoch = String(values[1])
          if (this.locked) await new Promise<void>(resolve => { this.queue.push(() => { if (!process.alive || over) this.release(); else { holding = true; process.enter(resolve) } }) })
          this.locked = holding = true
          return [{ seq: String(this.cursors.get(epoch) ?? 0) }]
        }
        if (text.startsWith('update core.fact_cursor')) cursor = Number(values[2])
        if (text === 'store') facts.push(...values as number[])
        if (text.startsWith('insert into core.fact_rejected')) rejected.push(numberOf({ body: JSON.parse(String(values[5])) as unknown }))
        return []
      }
      try {
        const value = await work({ query: async <Row>(text: string, values?: readonly unknown[]) => await query(text, values) as Row[], changed: async () => {} })
        await wait()
        this.commit(process.name, epoch, cursor, facts, rejected)
        end()
        if (this.dice.chance(0.05)) { await process.clock.sleep(this.dice.between(1, 2_000)); throw new BedplateError('TRANSACTION_UNKNOWN') }
        await process.clock.sleep(this.dice.between(0.1, 3))
        return value
      } finally {
        end()
      }
    }
    return { tx, once: async () => [], query: async () => [] }
  }

  /** The plugin: it takes facts in, but for those it cannot stand. */
  async take (tx: Tx, batch: readonly Fact[]): Promise<void> {
    const numbers = batch.map(numberOf)
    if (numbers.some(n => this.poison.has(n))) throw new TypeError('poison')
    await tx.query('store', numbers)
  }
}

export interface StoringRegion { readonly name: string, process: Process, facts: FactStore }

export function createStoringRegion (world: World, dice: Dice, table: FactTable, manifest: Manifest, name: string): StoringRegion {
  const process = createProcess(world, dice, name, 1)
  const halves: readonly ActiveRegion[] = [{ manifest, running: { provides: {}, rpc: {}, services: [], facts: (tx, _rack, batch) => table.take(tx, batch) } }]
  return { name, process, facts: createFactStore({ db: table.database(process), halves: () => halves, clock: process.clock, log, metrics }) }
}
