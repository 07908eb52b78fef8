/** Bindings on their way to the region: the next batch leaves when the previous call returns (group commit, no timer). What no region answers in time, the rack decides alone where it may. */
import type { Decided } from './alone.ts'
import type { Answer, Wish } from './manifest.ts'

/** What a rack does about wishes by itself. */
export interface AloneRights {
  /** Decides what no region answers, and has it on disk when it returns. */
  decide(wishes: readonly Wish[]): readonly (Decided | undefined)[]
  /** Is about an address no region may decide on: this rack's reserve. */
  own(wish: Wish): boolean
  /** Whether no region answers at present: then none is asked. */
  cut(): boolean
  /** A region answered, or (with a failure) did not in time. */
  heard(failure: unknown): void
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** ms of boot time: goes on while the host sleeps. */
  boot(): number
}
export interface WishesOptions {
  readonly call: (wishes: readonly Wish[]) => Promise<readonly Answer[]>
  readonly batched?: (count: number, seconds: number, failure: unknown) => void
  readonly monotonic: () => number
  /** Left out: nothing is decided without a region. */
  readonly alone?: AloneRights
}
/** Gets the answer and, when it is not the region's, for how long it was promised; `undefined` when there was none and nothing may be promised. */
export type Settle = (answer: Answer | undefined, seconds?: number) => void

interface Waiting { readonly wish: Wish, settle: Settle, since: number }
type Flight = { readonly answers: readonly Answer[], readonly failure: unknown }

const largest = 500
/** Batches under way at once: with one, rack and region would wait for the disk, and the clients for both. */
const abreast = 2
/** ms a region has to answer before the rack decides alone. */
export const patience = 1000
/** ms of boot time after which a request is not answered any more: its client counts its lease from then. */
export const stale = 10_000

export class Wishes {
  private readonly options: WishesOptions
  private waiting = new Map<string, Waiting>() // by address and client, so that a retransmission joins the wish it repeats
  private flying = new Map<string, Waiting>()
  private carrying = 0 // how many batches are under way
  private leaving = false // the next one is being filled
  private stamp = 0 // when the batch under way left: what comes meanwhile is taken to be as old, so that the clock is read once a batch

  constructor (options: WishesOptions) { this.options = options }

  /** Wishes for a binding. Repeated before it is answered, the newest `settle` alone hears the answer; one for a longer lease is stored itself, since the answer to the shorter would promise too much. */
  ask (wish: Wish, settle: Settle): void {
    const key = `${wish.address} ${wish.client}`
    const flying = this.flying.get(key)
    const known = flying !== undefined && flying.wish.seconds >= wish.seconds ? flying : this.waiting.get(key)
    if (known !== undefined && known.wish.seconds >= wish.seconds) {
      known.settle = settle
      known.since = this.options.alone?.boot() ?? 0
      return
    }
    this.waiting.set(key, { wish, settle, since: this.carrying > 0 ? this.stamp : this.options.alone?.boot() ?? 0 })
    if (this.carrying < abreast && !this.leaving) void this.carry()
  }

  /** How many wait for an answer, sent or not. */
  get size (): number { return this.waiting.size + this.flying.size }

  /** Sends what waits, batch after batch, while fewer than `abreast` are under way: while PostgreSQL syncs one, the next is made. */
  private async carry (): Promise<void> {
    const { alone } = this.options
    this.carrying++
    this.stamp = alone?.boot() ?? 0
    this.leaving = true
    await undefined // what comes in the same turn, out of one reading of the socket, goes together
    this.leaving = false
    while (this.waiting.size > 0) {
      if (alone?.cut() === true) await alone.sleep(0) // what comes at the same time is synced at once
      const batch: Waiting[] = []
      const own: Waiting[] = []
      for (const [key, waiting] of this.waiting) {
        this.waiting.delete(key)
        if (alone !== undefined && (alone.cut() || alone.own(waiting.wish))) own.push(waiting)
        else { this.flying.set(key, waiting); batch.push(waiting) }
        if (batch.length + own.length === largest) break
      }
      this.stamp = alone?.boot() ?? 0
      if (own.length > 0) this.decide(own)
      if (batch.length > 0) await this.fly(batch)
    }
    this.carrying--
  }

  /** Resolves when the next batch may leave: the region has answered, or had its time. */
  private async fly (batch: readonly Waiting[]): Promise<void> {
    const { alone, monotonic, batched, call } = this.options
    const begun = monotonic()
    const flight = (async (): Promise<Flight> => {
      try {
        return { answers: await call(batch.map(({ wish }) => wish)), failure: undefined }
      } catch (error) {
        return { answers: [], failure: error ?? 'no reason' }
      }
    })()
    const ended = ({ answers, failure }: Flight, waiting: readonly (Waiting | undefined)[]): void => {
      batched?.(batch.length, (monotonic() - begun) / 1000, failure)
      alone?.heard(failure)
      for (const one of batch) this.landed(one)
      if (failure !== undefined && alone !== undefined) { this.decide(waiting.filter(one => one !== undefined)); return }
      const now = alone?.boot() ?? 0
      waiting.forEach((one, index) => { one?.settle(now - one.since > stale ? undefined : answers[index]) })
    }
    if (alone === undefined) { ended(await flight, batch); return }
    const timer = new AbortController()
    const first = await Promise.race([flight, alone.sleep(patience, timer.signal)])
    timer.abort()
    if (first !== undefined) { ended(first, batch); return }
    alone.heard(new TypeError(`no region answered within ${patience / 1000} s`))
    // What the rack has a right to is decided now; for the rest, a late answer still counts.
    const outcomes = alone.decide(batch.map(({ wish }) => wish))
    const now = alone.boot()
    const left = batch.map((one, index) => {
      const outcome = outcomes[index]
      if (outcome === undefined) return one
      this.landed(one)
      this.settle(one, outcome, now)
      return undefined
    })
    void flight.then(late => { ended(late, left) })
  }

  /** Under the same key a wish for a longer lease may have left since. */
  private landed (one: Waiting): void {
    const key = `${one.wish.address} ${one.wish.client}`
    if (this.flying.get(key) === one) this.flying.delete(key)
  }

  private decide (list: readonly Waiting[]): void {
    const { alone } = this.options
    const outcomes = alone?.decide(list.map(({ wish }) => wish)) ?? []
    const now = alone?.boot() ?? 0
    list.forEach((one, index) => { this.settle(one, outcomes[index], now) })
  }

  private settle (one: Waiting, outcome: Decided | undefined, now: number): void {
    if (outcome === undefined || now - one.since > stale) one.settle(undefined)
    else one.settle(outcome.answer, outcome.seconds)
  }
}
