/** Bindings on their way to the region: a batch leaves when a call returns, or beside one when there is enough for it (group commit, no timer). What no region answers in time, the rack decides alone where it may. */
import type { Decided } from '../alone/alone.ts'
import type { Answer, Wish } from '../manifest.ts'

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
/** Wishes that are worth a batch beside one that is under way: a batch of one costs as much as ten wishes in one of fifty. */
const enough = 16
/** ms a region has to answer before the rack decides alone. */
export const patience = 1000
/**
 * ms of boot time after which a request is not answered any more, nor a batch: a lease runs from when it was stored, and its client counts from when it hears of it. However
 * lately the client asked again: this process may have stood still in between, and read its repetition before the region's answer (docs/dhcp-availability.md section 7).
 */
export const stale = 3_000

const keyOf = ({ address, client }: Wish): string => `${address} ${client}`

export class Wishes {
  private readonly options: WishesOptions
  // By address and client, so that a retransmission joins the wish it repeats. A map for each batch, dropped whole: one that is emptied and filled for ever leaves
  // a trail of old tables, and V8 keeps what those point at (requests, replies) until it cleans the whole heap.
  private waiting = new Map<string, Waiting>()
  private readonly flying = new Set<Map<string, Waiting>>()
  private carrying = 0 // how many batches are under way
  private leaving = false // the next one is being filled
  private stamp = 0 // when the last batch left: what comes meanwhile is taken to be as old, so that the clock is read once a batch

  constructor (options: WishesOptions) { this.options = options }

  /** Wishes for a binding. Repeated before it is answered, the newest `settle` alone hears the answer; one for a longer lease is stored itself, since the answer to the shorter would promise too much. */
  ask (wish: Wish, settle: Settle): void {
    const key = keyOf(wish)
    const known = this.flown(key, wish.seconds) ?? this.waiting.get(key)
    if (known !== undefined && known.wish.seconds >= wish.seconds) {
      known.settle = settle
      known.since = this.options.alone?.boot() ?? 0
      return
    }
    if (this.carrying === 0 && !this.leaving) this.stamp = this.options.alone?.boot() ?? 0
    this.waiting.set(key, { wish, settle, since: this.stamp })
    if (this.worthwhile(this.carrying) && !this.leaving) void this.carry()
  }

  /** How many wait for an answer, sent or not. */
  get size (): number {
    let size = this.waiting.size
    for (const batch of this.flying) size += batch.size
    return size
  }

  /** Whether what waits should leave while so many batches are under way. */
  private worthwhile (others: number): boolean { return this.waiting.size > 0 && (others === 0 || (others < abreast && this.waiting.size >= enough)) }

  /** The wish under way under this key that is for as long a lease. */
  private flown (key: string, seconds: number): Waiting | undefined {
    for (const batch of this.flying) {
      const found = batch.get(key)
      if (found !== undefined && found.wish.seconds >= seconds) return found
    }
    return undefined
  }

  /** Sends what waits, batch after batch, while fewer than `abreast` are under way: while PostgreSQL syncs one, the next is made. */
  private async carry (): Promise<void> {
    const { alone } = this.options
    this.carrying++
    this.leaving = true
    await undefined // what comes in the same turn, out of one reading of the socket, goes together
    this.leaving = false
    try {
      for (let first = true; this.worthwhile(this.carrying - 1); first = false) {
        if (alone?.cut() === true) await alone.sleep(0) // what comes at the same time is synced at once
        const batch = new Map<string, Waiting>()
        const own: Waiting[] = []
        const taken = this.waiting
        this.waiting = new Map()
        for (const [key, waiting] of taken) {
          if (batch.size + own.length === largest) this.waiting.set(key, waiting)
          else if (alone !== undefined && (alone.cut() || alone.own(waiting.wish))) own.push(waiting)
          else batch.set(key, waiting)
        }
        if (!first) this.stamp = alone?.boot() ?? 0
        if (batch.size > 0) this.flying.add(batch)
        if (own.length > 0) this.decide(own)
        if (batch.size > 0) await this.fly(batch)
      }
    } finally {
      this.carrying--
    }
  }

  /** Resolves when the next batch may leave: the region has answered, or had its time. */
  private async fly (flown: Map<string, Waiting>): Promise<void> {
    const { alone, monotonic, batched, call } = this.options
    const begun = monotonic()
    const departed = this.stamp
    const batch = [...flown.values()]
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
      this.flying.delete(flown)
      if (failure !== undefined && alone !== undefined) { this.decide(waiting.filter(one => one !== undefined)); return }
      const now = alone?.boot() ?? 0
      waiting.forEach((one, index) => { one?.settle(now - Math.min(departed, one.since) > stale ? undefined : answers[index]) })
    }
    if (alone === undefined) { ended(await flight, batch); return }
    const timer = new AbortController()
    const first = await Promise.race([flight, alone.sleep(patience, timer.signal)])
    timer.abort('answered') // without a reason an error is made each time, with its stack
    if (first !== undefined) { ended(first, batch); return }
    alone.heard(new TypeError(`no region answered within ${patience / 1000} s`))
    // What the rack has a right to is decided now; for the rest, a late answer still counts.
    const outcomes = alone.decide(batch.map(({ wish }) => wish))
    const now = alone.boot()
    const left = batch.map((one, index) => {
      const outcome = outcomes[index]
      if (outcome === undefined) return one
      flown.delete(keyOf(one.wish))
      this.settle(one, outcome, now)
      return undefined
    })
    void flight.then(late => { ended(late, left) })
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
