/** The elector: bids for leadership, keeps it while it can, and gives it up in time. */
import type { Clock } from '../clock.ts'
import type { Database } from '../database/database.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Health } from '../health.ts'
import { degraded, off, running } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Service } from '../plugin.ts'
import { channel, look, renew, resign, stand, take } from './lease.ts'
import { defaultPace, nextStep, trustedUntil } from './term.ts'
import type { Pace, Term } from './term.ts'

export interface ElectorOptions extends Partial<Pace> {
  readonly name: string // what is led: one leader a name
  readonly holder: string // the controller's id
  /** `listen` is used when there: then a leader that stops is followed at once, not when its lease has run out. */
  readonly db: Database & { listen?(channel: string, listener: (payload: string) => void): () => void | Promise<void> }
  readonly clock: Clock
  readonly log: Logger
  onGain(term: Term): void
  /** What it returns is waited for (as long as the lease may be trusted) before the lease is given up on a clean stop. */
  onLoss(term: Term): void | Promise<void>
}
export interface Elector extends Service {
  /** The term this process leads in; undefined while it does not. */
  current(): Term | undefined
}

interface Leading { readonly term: Term, readonly lost: AbortController, attempt: number }
const grace = 1000 // ms a stop waits for the answer to a bid
const busy = 200 // ms until the next bid while the last leader's final write is still being committed

export function createElector ({ name, holder, db, clock, log: parent, onGain, onLoss, ...own }: ElectorOptions): Elector {
  const pace: Pace = { ttl: own.ttl ?? defaultPace.ttl, renew: own.renew ?? defaultPace.renew, margin: own.margin ?? defaultPace.margin }
  const log = parent.child({ leader: name })
  let health: Health = off('not started')
  let leading: Leading | undefined
  let work: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve() // one loop at a time: a start that races with a stop waits its turn

  function lead (number: bigint, attempt: number): Leading {
    const lost = new AbortController()
    const gone = (): BedplateError => new BedplateError('TERM_LOST', { term: number })
    const mine: Leading = {
      lost,
      attempt,
      term: {
        number,
        signal: lost.signal,
        valid: () => !lost.signal.aborted && clock.monotonic() < trustedUntil(mine.attempt, pace),
        write: work => db.tx(async tx => {
          if (!mine.term.valid()) throw gone()
          if (!await stand(tx, { name, holder, term: number }, pace.ttl)) {
            lost.abort()
            throw gone()
          }
          return await work(tx)
        })
      }
    }
    return mine
  }

  /** One bid: gives how long to wait before the next, or the term that was won. */
  async function bid (): Promise<Leading | number> {
    const attempt = clock.monotonic()
    const seen = await look(db, name)
    if (seen && seen.remaining > 0) return Math.min(seen.remaining + Math.random() * busy, pace.ttl)
    const number = await take(db, { name, holder }, pace.ttl)
    if (number === undefined) return busy
    if (clock.monotonic() < trustedUntil(attempt, pace)) return lead(number, attempt)
    await resign(db, { name, holder, term: number }) // the answer took too long to be worth anything
    return busy
  }

  /** Keeps the term until it is lost or `signal` aborts. Gives the reason for the loss. */
  async function keep (mine: Leading, signal: AbortSignal): Promise<string> {
    const either = AbortSignal.any([signal, mine.lost.signal])
    let wait = 0
    for (;;) {
      if (signal.aborted) return 'stopped'
      if (mine.lost.signal.aborted) return 'another region took it'
      const now = clock.monotonic()
      const next = nextStep(now, mine.attempt, pace)
      if (next.step === 'lost') return 'it could not be renewed in time'
      if (next.step === 'wait' || wait > 0) {
        const rest = trustedUntil(mine.attempt, pace) - now
        await clock.sleep(Math.min(next.step === 'wait' ? next.for : wait, rest), either)
        wait = 0
        continue
      }
      // The answer may take longer than the lease may be trusted: then it does not count, whatever it says.
      const over = new AbortController()
      const answer = await Promise.race([
        renew(db, { name, holder, term: mine.term.number }, pace.ttl).then(kept => kept ? 'kept' as const : 'gone' as const, (error: unknown) => error instanceof Error ? error : new BedplateError('UNAVAILABLE', { reason: reasonOf(error) })),
        clock.sleep(trustedUntil(mine.attempt, pace) - now, AbortSignal.any([either, over.signal])).then(() => 'late' as const)
      ])
      over.abort()
      if (answer === 'kept') { mine.attempt = now; health = running } else if (answer === 'gone') return 'another region may have it by now'
      else if (answer !== 'late') { health = degraded(`the lease cannot be renewed: ${answer.message}`); wait = Math.min(500, pace.renew) }
    }
  }

  async function end (mine: Leading, reason: string): Promise<void> {
    leading = undefined
    const until = trustedUntil(mine.attempt, pace)
    mine.lost.abort()
    log.info({ term: mine.term.number.toString(), reason }, 'no longer leader')
    let letting: void | Promise<void> = undefined
    try { letting = onLoss(mine.term) } catch (error) { log.error({ err: error }, 'onLoss threw') }
    const over = new AbortController()
    const patience = (ms: number): Promise<void> => clock.sleep(Math.max(0, ms), over.signal)
    if (letting) await Promise.race([letting.catch((error: unknown) => { log.error({ err: error }, 'onLoss failed') }), patience(until - clock.monotonic())])
    const resigned = resign(db, { name, holder, term: mine.term.number }).catch((error: unknown) => { log.debug({ reason: reasonOf(error) }, 'the lease was not given up; it runs out by itself') })
    await Promise.race([resigned, patience(pace.margin)])
    over.abort()
  }

  /** A bid that a stop does not wait for when the database is gone: undefined then, and what it wins too late is given up. */
  async function bidUntil (signal: AbortSignal): Promise<Leading | number | undefined> {
    const answered = new AbortController()
    const bidding = bid()
    bidding.finally(() => { answered.abort() }).catch(() => {})
    const patience = async (): Promise<undefined> => {
      const either = AbortSignal.any([signal, answered.signal])
      if (!either.aborted) await new Promise(resolve => { either.addEventListener('abort', resolve, { once: true }) })
      await clock.sleep(grace, answered.signal)
    }
    const result = await Promise.race([bidding, patience()])
    if (result === undefined) bidding.then(late => typeof late === 'number' ? undefined : resign(db, { name, holder, term: late.term.number })).catch(() => {})
    return result
  }

  async function run (signal: AbortSignal): Promise<void> {
    let wake = new AbortController()
    const unlisten = db.listen?.(channel, payload => { if (payload === name) wake.abort() })
    while (!signal.aborted) {
      let wait: number
      wake = new AbortController()
      try {
        const result = await bidUntil(signal)
        if (result === undefined) break
        health = running
        if (typeof result !== 'number') {
          leading = result
          log.info({ term: result.term.number.toString() }, 'leader')
          try { onGain(result.term) } catch (error) { log.error({ err: error }, 'onGain threw') }
          await end(result, await keep(result, signal))
          wait = busy
        } else wait = result
      } catch (error) {
        health = degraded(`no bid for leadership is possible: ${reasonOf(error)}`)
        wait = Math.min(1000, pace.renew)
      }
      if (!signal.aborted) await clock.sleep(wait, AbortSignal.any([signal, wake.signal]))
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
