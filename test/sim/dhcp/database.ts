/** The database as the regions see it: one transaction at a time, whole or not at all; its clock is its own; what it was told to change is in a log. */
import { BedplateError } from '../../../core/errors.ts'
import type { Change, Database, Tx } from '../../../core/plugin.ts'
import type { Dice } from '../dice.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'
import { epochOf } from './host.ts'

/** A transaction of the model. `now` is its beginning, as now() is in PostgreSQL. */
export class ModelTx implements Tx {
  readonly now: number
  readonly changes: { readonly topic: string, readonly id: string }[] = []
  readonly undo: (() => void)[] = []
  constructor (now: number) { this.now = now }
  async query<Row>(): Promise<Row[]> { throw new BedplateError('INTERNAL', { reason: 'the model of the database takes no SQL' }) }
  async changed (topic: string, id: string): Promise<void> { this.changes.push({ topic, id }) }
}

/** ms by which the clocks of two servers differ at most. */
export const clocksDiffer = 2_500

export class SimDatabase {
  /** Faults that keep it down. */
  downs = 0
  /** ms its clock is ahead of true time. */
  offset = 0
  failovers = 0
  /** Nothing goes wrong any more. */
  healed = false
  readonly cutOff = new Map<string, number>() // regions that do not reach it → how many faults do it
  readonly log: Change[] = []
  commits = 0
  lostCommits = 0
  /** Heard after each commit. */
  committed: (() => void) | undefined
  /** What a row is like now, for the story. */
  shows: ((topic: string, id: string) => string) | undefined
  /** How slow its answers are, ms at most. */
  slow = 0
  since = 0
  private last = 0
  private readonly world: World
  private readonly dice: Dice

  constructor (world: World, dice: Dice) {
    this.world = world
    this.dice = dice
  }

  /** Its clock may step back, and then the same moment comes twice; in one server now() steps, too. */
  now (): number { return epochOf + this.world.now + this.offset }
  reached (region: string): boolean { return this.downs === 0 && !this.cutOff.has(region) }

  /** A server that lost nothing takes over; its clock differs. `by`: -1 to 1, of what the protocol assumes at most. */
  failOver (by: number): void {
    this.failovers++
    this.offset = by * clocksDiffer / 2
    this.since = this.world.now
  }

  /** As one process reaches it. */
  from (name: string, process: Process): Database {
    const wait = async (ms: number): Promise<void> => { await process.clock.sleep(ms) }
    const reach = async (): Promise<void> => {
      if (this.reached(name)) return
      await wait(this.dice.between(1, 2_000))
      throw new BedplateError('DATABASE_UNREACHABLE', { hosts: 'the model', reason: 'no answer' })
    }
    const tx = async <T>(work: (tx: Tx) => Promise<T>): Promise<T> => {
      await reach()
      const begun = this.now()
      // It waits for a connection, and for the locks of others; now() does not.
      await wait(this.dice.between(0.1, 1) + (this.slow > 0 ? this.dice.between(0, this.slow) : 0))
      await reach()
      const model = new ModelTx(begun)
      let result: T
      try {
        result = await work(model)
      } catch (error) {
        this.rollBack(model)
        throw error
      }
      if (!this.reached(name)) { this.rollBack(model); throw new BedplateError('TRANSACTION_ABORTED', { reason: 'the connection broke' }) }
      this.commit(model, name)
      if (this.slow > 0 && this.dice.chance(0.3)) await wait(this.dice.between(0, this.slow))
      if (!this.healed && this.dice.chance(0.002)) { this.lostCommits++; throw new BedplateError('TRANSACTION_UNKNOWN', { reason: 'the connection broke at the commit' }) }
      return result
    }
    const noSql = async (): Promise<never> => { throw new BedplateError('INTERNAL', { reason: 'the model of the database takes no SQL' }) }
    return { tx, query: noSql, once: noSql }
  }

  /** A transaction of the world's own. */
  async instantly (work: (tx: ModelTx) => Promise<unknown>): Promise<void> {
    const tx = new ModelTx(this.now())
    await work(tx)
    this.commit(tx, 'world')
  }

  private commit (tx: ModelTx, by: string): void {
    this.commits++
    const seen = new Set<string>()
    for (const { topic, id } of tx.changes) {
      if (seen.has(`${topic} ${id}`)) continue
      seen.add(`${topic} ${id}`)
      this.world.note(() => `${by} changed ${topic} ${id}: ${this.shows?.(topic, id) ?? ''}`)
      this.log.push({ seq: String(++this.last), topic, id })
    }
    this.committed?.()
  }

  private rollBack (tx: ModelTx): void { for (const undo of tx.undo.reverse()) undo() }
}
