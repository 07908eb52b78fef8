/** A service that looks at something now and then, and soon after it was woken; one look at a time. */
import { reasonOf } from '../../core/errors.ts'
import { degraded, off, running } from '../../core/health.ts'
import type { Clock, Health, Logger, Service, Term } from '../../core/plugin.ts'

export interface Periodic extends Service {
  /** Something happened: look soon. */
  wake(): void
}
export interface PeriodicOptions {
  readonly name: string, readonly on?: 'leader', readonly clock: Clock, readonly log: Logger
  readonly every: number // ms
  readonly settle?: number // ms from a wake to the look, default 100: what happens together is looked at together
  /** `trouble` begins the reason while looks fail: what does not work meanwhile. */
  readonly trouble: string
  look(signal: AbortSignal, term: Term | undefined): Promise<void> | void
  /** Once after the last look of a life. */
  end?(): void
}

export function periodic ({ name, on, clock, log, every, settle = 100, trouble, look, end }: PeriodicOptions): Periodic {
  let life: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve() // a start that races with a stop waits its turn
  let health: Health = off('Not started.')
  let rest = new AbortController()

  async function run (signal: AbortSignal, term: Term | undefined): Promise<void> {
    while (!signal.aborted) {
      rest = new AbortController()
      try {
        await look(signal, term)
        health = running
      } catch (error) {
        if (!signal.aborted) {
          health = degraded(`${trouble}: ${reasonOf(error)}`)
          log.warn({ err: error }, `${name} failed; it tries again`)
        }
      }
      if (signal.aborted) break
      await clock.sleep(every, AbortSignal.any([signal, rest.signal]))
      if (rest.signal.aborted) await clock.sleep(settle, signal)
    }
    end?.()
  }

  return {
    name,
    ...(on === undefined ? {} : { on }),
    async start (signal, term) {
      if (life !== undefined || signal.aborted || (on === 'leader' && term === undefined)) return
      const stop = new AbortController()
      const until = term === undefined ? stop.signal : AbortSignal.any([stop.signal, term.signal])
      health = running
      life = { stop, done: ended.then(() => run(until, term)) }
      ended = life.done
    },
    async stop () {
      const ending = life
      life = undefined
      ending?.stop.abort()
      await ended
      if (life === undefined) health = off('Stopped.')
    },
    health: () => health,
    wake () { rest.abort() }
  }
}
