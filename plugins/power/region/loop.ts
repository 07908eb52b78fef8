/** A leader's service that looks again and again: at once when woken, and every so often because hints get lost. */
import { reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Clock, Health, Logger, Service, Term } from '../../../core/plugin.ts'

export interface Loop extends Service { wake(): void }
export interface LoopOptions {
  readonly name: string, readonly every: number /* ms */, readonly clock: Clock, readonly log: Logger
  /** One look. May leave work running that `signal` ends; what it returns is waited for at stop. */
  look(term: Term, signal: AbortSignal): Promise<void>
  /** Resolves when nothing a look has begun is still running. */
  idle(): Promise<void>
}

export function createLoop ({ name, every, clock, log, look, idle }: LoopOptions): Loop {
  let life: { readonly controller: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve()
  let nudge = new AbortController()
  let health: Health = off('Another region leads; this one stands by.')

  async function run (term: Term, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      nudge = new AbortController()
      try {
        await look(term, signal)
        health = running
      } catch (error) {
        health = degraded(`It could not look at what there is to do: ${reasonOf(error)}`)
        if (!signal.aborted) log.warn({ err: error, service: name }, 'a look failed; there will be another')
      }
      await clock.sleep(every, AbortSignal.any([signal, nudge.signal]))
    }
    await idle()
  }

  return {
    name,
    on: 'leader',
    async start (signal, term) {
      if (term === undefined || life !== undefined || signal.aborted) return
      const controller = new AbortController()
      health = running
      life = { controller, done: ended.then(() => run(term, AbortSignal.any([controller.signal, term.signal]))) } // never two at once
    },
    async stop () {
      life?.controller.abort()
      ended = life?.done ?? ended
      life = undefined
      await ended
      if (life === undefined) health = off('Stopped.')
    },
    health: () => health,
    wake: () => { nudge.abort() }
  }
}
