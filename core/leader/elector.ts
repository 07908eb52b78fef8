/** The elector: bids for leadership, keeps it while it can, and gives it up in time. */
import type { Clock } from '../clock.ts'
import type { Database } from '../database/database.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Health } from '../health.ts'
import { degraded, off, running } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Service } from '../plugin.ts'
import { channel, sqlLease } from './lease.ts'
import type { Lease } from './lease.ts'
import { defaultPace, failoverWait, nextStep, trustedUntil } from './term.ts'
import type { Pace, Term } from './term.ts'

export interface ElectorOptions extends Partial<Pace> {
  readonly name: string // what is led: one leader a name
  readonly holder: string // the controller's id
  /** `listen` is used when there: then a leader that stops is followed at once, not when its lease has run out. */
  readonly db: Pick<Database, 'query' | 'tx'> & { listen?(channel: string, listener: (payload: string) => void): () => void | Promise<void> }
  readonly lease?: Lease
  readonly clock: Clock
  readonly log: Logger
  readonly random?: () => number // 0 ≤ x < 1; all chance there is, so that a seed repeats a run
  /** False: does not bid, and gives up what it holds. Asked every 200 ms at least; by default always true. */
  ready?(): boolean
  onGain(term: Term): void
  /** After the gain and after each renewal: until which moment of the monotonic clock the term may be trusted now. */
  onKept?(term: Term, trustedUntil: number): void
  /** What it returns is waited for (as long as the lease may be trusted) before the lease is given up on a clean stop. */
  onLoss(term: Term): void | Promise<void>
}
export interface Elector extends Service {
  /** The term this process leads in; undefined while it does not. */
  current(): Term | undefined
}

interface Leading { readonly term: Term, readonly lost: AbortController, attempt: number, over: boolean }
const grace = 1000 // ms a stop waits for the answer to a bid
const busy = 200 // ms until the next bid while the last leader's final write is still being committed; also how often readiness is asked for
const most = 3 // renewals under way at once: one whose answer is slow must not cost the term, and those that hang must not cost the pool

export function createElector ({ name, holder, db, lease = sqlLease, clock, log: parent, random = Math.random, ready, onGain, onKept, onLoss, ...own }: ElectorOptions): Elector {
  const pace: Pace = { ttl: own.ttl ?? defaultPace.ttl, renew: own.renew ?? defaultPace.renew, margin: own.margin ?? defaultPace.margin }
  const log = parent.child({ leader: name })
  let health: Health = off('not started')
  let met = { timeline: 1, at: 0 } // the server's timeline, and when it was first seen
  let leading: Leading | undefined
  let work: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve() // one loop at a time: a start that races with a stop waits its turn

  function lead (number: bigint, attempt: number): Leading {
    const lost = new AbortController()
    const gone = (): BedplateError => new BedplateError('TERM_LOST', { term: number })
    const mine: Leading = {
      lost,
      attempt,
      over: false,
      term: {
        number,
        signal: lost.signal,
        valid: () => !lost.signal.aborted && clock.monotonic() < trustedUntil(mine.attempt, pace),
        write: work => db.tx(async tx => {
          if (!mine.term.valid()) throw gone()
          if (!await lease.stand(tx, { name, holder, term: number }, pace.ttl)) {
            lost.abort()
            throw gone()
          }
          return await work(tx)
        })
      }
    }
    return mine
  }

  function kept (mine: Leading): void {
    health = running
    try { onKept?.(mine.term, trustedUntil(mine.attempt, pace)) } catch (error) { log.error({ err: error }, 'onKept threw') }
  }

  /** The answer, or undefined when it is not there after `ms`, or within `after` ms of a stop. */
  async function answered<T> (asked: Promise<T>, ms: number, stop: AbortSignal, after: number): Promise<T | undefined> {
    const there = new AbortController()
    const over = new AbortController()
    const end = (): void => { over.abort() }
    stop.addEventListener('abort', end, { once: true })
    asked.finally(() => { there.abort(); end() }).catch(() => {})
    const patience = async (): Promise<undefined> => {
      if (!stop.aborted) await clock.sleep(ms, over.signal)
      if (stop.aborted && after > 0) await clock.sleep(after, there.signal)
    }
    try { return await Promise.race([asked, patience()]) } finally { stop.removeEventListener('abort', end) }
  }

  /** One bid: gives how long to wait before the next, or the term that was won. Neither a stop nor a database that does not answer holds it up. */
  async function bid (stop: AbortSignal): Promise<Leading | number> {
    const none = (): BedplateError => new BedplateError('UNAVAILABLE', { reason: 'the database does not answer' })
    const seen = await answered(lease.look(db, name), pace.renew * 2 / 3, stop, 0)
    if (seen === undefined) throw none()
    if (seen.timeline !== met.timeline) met = { timeline: seen.timeline, at: clock.monotonic() }
    if (seen.remaining > 0) return Math.min(seen.remaining + random() * busy, pace.renew) // by then it may have been given up without our hearing of it
    const attempt = clock.monotonic()
    const unsure = failoverWait(attempt, met.at, seen.timeline, seen.term, pace)
    if (unsure > 0 || stop.aborted) return Math.min(unsure, pace.renew)
    const giveBack = async (term: bigint | undefined): Promise<void> => { if (term !== undefined) await lease.resign(db, { name, holder, term }) }
    const taking = lease.take(db, { name, holder }, pace.ttl, seen.timeline)
    const taken = await answered(taking.then(term => ({ term })), pace.ttl - pace.margin, stop, grace)
    if (taken === undefined) {
      taking.then(giveBack).catch(() => {}) // what it wins too late
      throw none()
    }
    if (taken.term === undefined) return busy
    if (clock.monotonic() < trustedUntil(attempt, pace)) return lead(taken.term, attempt)
    await answered(giveBack(taken.term), grace, stop, 0)
    return busy
  }

  /** Keeps the term until it is lost or `signal` aborts. Gives the reason for the loss. */
  async function keep (mine: Leading, signal: AbortSignal): Promise<string> {
    let asking = 0
    let notBefore = 0
    let news = new AbortController()
    const wake = (): void => { news.abort() }
    signal.addEventListener('abort', wake, { once: true })
    mine.lost.signal.addEventListener('abort', wake, { once: true })
    /** An answer counts from when it was asked for, and only while the term is still trusted. */
    const ask = async (asked: number): Promise<void> => {
      asking++
      notBefore = asked + pace.renew / 2 // a slow answer is asked for again, over another connection
      try {
        const stands = await lease.renew(db, { name, holder, term: mine.term.number }, pace.ttl)
        if (mine.over || !mine.term.valid()) return
        if (!stands) { mine.lost.abort(); return }
        if (asked <= mine.attempt) return
        mine.attempt = asked
        notBefore = 0
        kept(mine)
      } catch (error) {
        if (mine.over) return
        health = degraded(`the lease cannot be renewed: ${reasonOf(error)}`)
        notBefore = clock.monotonic() + Math.min(500, pace.renew)
      } finally {
        asking--
        wake()
      }
    }
    try {
      for (;;) {
        if (signal.aborted) return 'stopped'
        if (mine.lost.signal.aborted) return 'another region may have it by now'
        if (ready?.() === false) return 'not ready'
        const now = clock.monotonic()
        const next = nextStep(now, mine.attempt, pace)
        if (next.step === 'lost') return 'it could not be renewed in time'
        if (next.step === 'renew' && asking < most && now >= notBefore) { void ask(now); continue }
        const rest = trustedUntil(mine.attempt, pace) - now
        const due = next.step === 'wait' ? next.for : asking < most ? notBefore - now : rest
        news = new AbortController()
        await clock.sleep(Math.min(due, rest, ready ? busy : rest), news.signal)
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  async function end (mine: Leading, reason: string): Promise<void> {
    leading = undefined
    mine.over = true
    const until = trustedUntil(mine.attempt, pace)
    mine.lost.abort()
    log.info({ term: mine.term.number.toString(), reason }, 'no longer leader')
    let letting: void | Promise<void> = undefined
    try { letting = onLoss(mine.term) } catch (error) { log.error({ err: error }, 'onLoss threw') }
    const over = new AbortController()
    const patience = (ms: number): Promise<void> => clock.sleep(Math.max(0, ms), over.signal)
    if (letting) await Promise.race([letting.catch((error: unknown) => { log.error({ err: error }, 'onLoss failed') }), patience(until - clock.monotonic())])
    const resigned = lease.resign(db, { name, holder, term: mine.term.number }).catch((error: unknown) => { log.debug({ reason: reasonOf(error) }, 'the lease was not given up; it runs out by itself') })
    await Promise.race([resigned, patience(pace.margin)])
    over.abort()
  }

  async function run (signal: AbortSignal): Promise<void> {
    let wake = new AbortController()
    signal.addEventListener('abort', () => { wake.abort() }, { once: true })
    const unlisten = db.listen?.(channel, payload => { if (payload === name) wake.abort() })
    while (!signal.aborted) {
      let wait: number
      wake = new AbortController()
      try {
        const result = ready?.() === false ? busy : await bid(signal)
        health = running
        wait = typeof result === 'number' ? result : busy
        if (typeof result !== 'number') {
          leading = result
          log.info({ term: result.term.number.toString() }, 'leader')
          try { onGain(result.term) } catch (error) { log.error({ err: error }, 'onGain threw') }
          kept(result)
          await end(result, await keep(result, signal))
        }
      } catch (error) {
        health = degraded(`no bid for leadership is possible: ${reasonOf(error)}`)
        wait = Math.min(500, pace.renew)
      }
      if (!signal.aborted) await clock.sleep(wait, wake.signal)
    }
    await unlisten?.()
  }

  return {
    name: `elector-${name}`,
    async start () {
      if (work) return
      const stop = new AbortController()
      health = running
      ended = ended.then(() => run(stop.signal))
      work = { stop, done: ended }
    },
    async stop () {
      const ending = work
      work = undefined
      ending?.stop.abort()
      await ending?.done
      if (!work) health = off('stopped')
    },
    health: () => health,
    current: () => leading?.term.valid() ? leading.term : undefined
  }
}
