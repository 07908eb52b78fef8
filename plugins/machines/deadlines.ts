/** The service that lets no machine stay in a passing state for ever: what is overdue fails, with a reason that tells the last thing heard. */
import { reasonOf } from '../../core/errors.ts'
import { degraded, off, running } from '../../core/health.ts'
import type { Clock, Database, Health, Logger, Service, Term } from '../../core/plugin.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Machine } from './manifest.ts'
import * as store from './store.ts'

interface Heard { readonly at: Date, readonly message: string }
const minutes = (ms: number): string => ms < 90_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`

/** Why a machine has failed by taking too long. Pure. */
export function overdueReason ({ status, since }: Pick<Machine, 'status' | 'since'>, heard: Heard | undefined, now: Date): string {
  const took = `Still ${status} after ${minutes(now.getTime() - since.getTime())}.`
  if (heard === undefined) return `${took} Nothing was heard of the machine in that time: look at its console, its power and its network boot.`
  return `${took} The last thing heard, ${minutes(Math.max(0, now.getTime() - heard.at.getTime()))} ago: ${heard.message.replace(/\.$/, '')}.`
}

const every = 5_000 // ms between two looks

export function createDeadlines ({ db, clock, log, lifecycle }: { readonly db: Database, readonly clock: Clock, readonly log: Logger, readonly lifecycle: Lifecycle }): Service {
  let life: { readonly controller: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve()
  let health: Health = off('Another region leads; this one stands by.')

  async function fail (term: Term, id: string): Promise<void> {
    await term.write(async tx => {
      const machine = await lifecycle.locked(tx, id)
      const now = new Date(clock.now())
      if (machine.deadline === null || machine.deadline > now) return // it got there meanwhile
      await lifecycle.act(tx, id, 'timeout', { reason: overdueReason(machine, await store.lastHeard(tx, id, machine.since), now) })
    })
  }

  async function run (term: Term, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for (const { id } of await store.overdue(db, new Date(clock.now()))) {
          if (signal.aborted) return
          await fail(term, id).catch((error: unknown) => { if (!signal.aborted) log.warn({ err: error, machine: id }, 'an overdue machine could not be failed') })
        }
        health = running
      } catch (error) {
        health = degraded(`The database does not answer: ${reasonOf(error)}`)
      }
      await clock.sleep(every, signal)
    }
  }

  return {
    name: 'deadlines',
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
    health: () => health
  }
}
