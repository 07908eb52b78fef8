/** A simulated PostgreSQL with one row of core.leader: statements, row locks, transactions, a clock of its own, crashes, and a standby that may have missed the end. */
import { BedplateError } from '../../core/errors.ts'
import type { Held } from '../../core/leader/lease.ts'
import type { Dice } from './dice.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

export interface Row { readonly holder: string, readonly term: bigint, readonly expires: number }
/** What may be taken out of it, to see that the simulation notices. */
export interface Flaws { readonly noKeyShare?: boolean, readonly noTimelines?: boolean }
/** The way between one process and the server. */
export interface Path { cut: boolean, slow: number, loss: number }
export interface Transaction { readonly by: string, readonly process: Process, over: boolean, last: number, term: bigint | undefined }
type Reply<T> = (value: T) => void
type Refuse = (why: string) => void

/** Committed writes of leaders, as the present primary knows them. */
export interface Written { readonly at: number, readonly term: bigint, readonly by: string }

export class Server {
  row: Row | undefined
  timeline = 1
  up = true
  paused = false
  commitDelay = 0 // up to so many ms between a statement's effect and its commit
  notifyLoss = 0
  offset = 0
  troubles = 0
  since = 0 // healthy since
  lastGrant = 0 // when a lease was last taken or renewed
  lastLock = 0 // when the row was last held by somebody
  resigned: { readonly at: number, readonly by: string, readonly told: Set<string> } | undefined
  written: Written[] = []
  afterTake: ((holder: string) => void) | undefined
  readonly shares = new Set<Transaction>()
  readonly granted = new Map<bigint, string>() // every term ever, lost ones included
  private readonly listeners = new Set<{ readonly process: Process, readonly path: Path, hear(name: string): void }>()
  private readonly pending = new Set<() => void>()
  private history: { readonly at: number, readonly row: Row | undefined }[] = [{ at: 0, row: undefined }]
  private lock: 'key' | 'other' | undefined
  private waiting: (() => void)[] = []
  private backlog: (() => void)[] = []
  private life = 0
  private readonly world: World
  private readonly dice: Dice
  private readonly rate: number
  private readonly flaws: Flaws

  constructor (world: World, dice: Dice, rate: number, flaws: Flaws) {
    this.world = world
    this.dice = dice
    this.rate = rate
    this.flaws = flaws
  }

  clock (): number { return this.offset + this.world.now * this.rate }
  get locked (): boolean { return this.lock !== undefined || this.shares.size > 0 }

  /** A question over a connection of its own. It may be lost, or its answer, and the client told so at once, late, or after half a minute. */
  request<T> (from: Process, path: Path, run: (reply: Reply<T>, refuse: Refuse) => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const fail = (reason: string) => { from.enter(() => { reject(new BedplateError('UNAVAILABLE', { reason })) }) }
    const lost = () => { this.world.after(this.dice.chance(0.5) ? this.dice.between(1, 50) : this.dice.between(2_000, 35_000), () => { fail('connection lost') }) }
    const delay = () => path.slow > 0 && this.dice.chance(0.6) ? this.dice.between(0, path.slow) : this.dice.between(0.2, 5)
    const dropped = () => path.cut || (path.loss > 0 && this.dice.chance(path.loss))
    const life = this.life
    if (dropped()) { lost(); return promise }
    this.world.after(delay(), () => {
      if (path.cut || !this.up || life !== this.life) { lost(); return }
      const execute = () => {
        let answered = false
        const crash = () => { if (!answered) { answered = true; lost() } }
        this.pending.add(crash)
        const answer = (deliver: () => void) => {
          if (answered) return
          answered = true
          this.pending.delete(crash)
          if (dropped()) { lost(); return }
          this.world.after(delay(), () => { if (path.cut) lost(); else deliver() })
        }
        run(value => { answer(() => { from.enter(() => { resolve(value) }) }) }, why => { answer(() => { fail(why) }) })
      }
      this.whenRunning(execute)
    })
    return promise
  }

  private whenRunning (happen: () => void): void {
    if (this.paused) this.backlog.push(happen)
    else happen()
  }

  /** Holds a lock from the statement's effect to its commit. */
  private commit (lock: 'key' | 'other', row: Row, then: () => void): void {
    const { life } = this
    const done = () => {
      if (life !== this.life) return
      this.row = row
      this.history.push({ at: this.world.now, row })
      this.lock = undefined
      const next = this.waiting
      this.waiting = []
      then()
      for (const again of next) again()
    }
    if (this.commitDelay === 0 || this.dice.chance(0.5)) { done(); return }
    this.lock = lock
    this.world.after(this.dice.between(0, this.commitDelay), () => { this.whenRunning(done) })
  }

  look (reply: Reply<{ term: bigint, remaining: number, timeline: number }>): void {
    reply({ term: this.row?.term ?? 0n, remaining: this.row === undefined ? 0 : this.row.expires - this.clock(), timeline: this.flaws.noTimelines ? 1 : this.timeline })
  }

  take (holder: string, ttl: number, timeline: number, reply: Reply<bigint | undefined>): void {
    const here = this.flaws.noTimelines ? 1 : this.timeline
    const open = this.flaws.noKeyShare || this.shares.size === 0
    if (timeline !== here || this.lock !== undefined || !open || (this.row !== undefined && this.row.expires > this.clock())) { reply(undefined); return }
    const floor = BigInt(here - 1) << 32n
    const last = this.row?.term ?? 0n
    const term = (last > floor ? last : floor) + 1n
    this.commit('key', { holder, term, expires: this.clock() + ttl }, () => {
      this.lastGrant = this.world.now
      this.resigned = undefined
      this.world.tell(`database: term ${term} is ${holder}'s`)
      const other = this.granted.get(term)
      if (other !== undefined) this.world.violated(`term ${term} was given twice: to ${other} and to ${holder}`)
      this.granted.set(term, holder)
      reply(term)
      this.afterTake?.(holder)
    })
  }

  private stands ({ holder, term }: Held): boolean { return this.row?.holder === holder && this.row.term === term && this.row.expires > this.clock() }

  renew (held: Held, ttl: number, reply: Reply<boolean>): void {
    if (this.lock !== undefined) { this.waiting.push(() => { this.renew(held, ttl, reply) }); return }
    if (!this.stands(held)) { reply(false); return }
    this.commit('other', { holder: held.holder, term: held.term, expires: this.clock() + ttl }, () => { this.lastGrant = this.world.now; reply(true) })
  }

  resign (held: Held, name: string, reply: Reply<void>): void {
    if (this.lock !== undefined) { this.waiting.push(() => { this.resign(held, name, reply) }); return }
    if (!this.stands(held)) { reply(); return }
    this.commit('other', { holder: held.holder, term: held.term, expires: this.clock() }, () => {
      this.world.tell(`database: ${held.holder} gives term ${held.term} up`)
      const told = new Set<string>()
      this.resigned = { at: this.world.now, by: held.holder, told }
      for (const one of this.listeners) {
        if (one.path.cut || this.dice.chance(this.notifyLoss)) continue
        this.world.after(this.dice.between(0.2, 5), () => { one.process.enter(() => { told.add(one.process.name); one.hear(name) }) })
      }
      reply()
    })
  }

  stand (tx: Transaction, held: Held, ttl: number, reply: Reply<boolean>, refuse: Refuse): void {
    if (tx.over) { refuse('the transaction is over'); return }
    if (this.lock === 'key') { this.waiting.push(() => { this.stand(tx, held, ttl, reply, refuse) }); return }
    if (!this.stands(held)) { reply(false); return }
    this.shares.add(tx)
    const idle = () => {
      if (tx.over) return
      const rest = tx.last + ttl / this.rate - this.world.now
      if (rest > 0.5 || this.paused) this.world.after(Math.max(rest, 20), idle)
      else { this.world.tell(`database: ${tx.by}'s transaction was idle for too long`); this.abort(tx) }
    }
    this.world.after(ttl / this.rate, idle)
    reply(true)
  }

  abort (tx: Transaction): void {
    tx.over = true
    this.shares.delete(tx)
  }

  /** COMMIT of a leader's transaction. */
  end (tx: Transaction, reply: Reply<void>, refuse: Refuse): void {
    if (tx.over) { refuse('the transaction is over'); return }
    if (tx.term !== undefined) {
      const { term, by } = tx
      const last = this.written.at(-1)
      this.world.tell(`database: ${by} commits a write of term ${term}`)
      if (last !== undefined && last.term > term) this.world.violated(`a write of term ${term} (${by}) was committed after one of term ${last.term} (${last.by})`)
      if (last !== undefined && last.term === term && last.by !== by) this.world.violated(`two committed writes in term ${term}: ${last.by} and ${by}`)
      if (this.row?.term !== term) this.world.violated(`a write of term ${term} (${by}) was committed while term ${this.row?.term} stood`)
      this.written.push({ at: this.world.now, term, by })
    }
    this.abort(tx)
    reply()
  }

  listen (process: Process, path: Path, hear: (name: string) => void): () => void {
    const one = { process, path, hear }
    this.listeners.add(one)
    return () => { this.listeners.delete(one) }
  }

  pause (): void { this.paused = true }
  resume (): void {
    this.paused = false
    const queue = this.backlog
    this.backlog = []
    for (const happen of queue) happen()
  }

  /** The server dies; what it had not answered, it may have done or not. */
  crash (): void {
    this.up = false
    this.life++
    this.lock = undefined
    this.waiting = []
    this.backlog = []
    this.paused = false
    for (const tx of this.shares) tx.over = true
    this.shares.clear()
    for (const crash of [...this.pending]) crash()
    this.pending.clear()
  }

  /** The standby goes on from where it had got to, `lag` ms before the crash, by its own clock. */
  promote (crashed: number, lag: number, offset: number): void {
    const known = crashed - lag
    this.history = this.history.filter(({ at }) => at <= known)
    this.row = this.history.at(-1)?.row
    this.written = this.written.filter(({ at }) => at <= known)
    this.resigned = undefined
    this.offset = offset
    this.timeline++
    this.up = true
  }
}
