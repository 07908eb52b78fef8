/** Applies, on the leader, the contracts that waited for other regions, as soon as those are upgraded or gone: nobody has to restart anything for it. */
import type { Clock } from '../clock.ts'
import { orAborted } from '../deadline.ts'
import { reasonOf } from '../errors.ts'
import { degraded, off, running } from '../health.ts'
import type { Health } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Service } from '../plugin.ts'
import type { Migrated } from './migrate.ts'

/**
 * `migrate` may run anywhere, any number of times: the leader does it only so that one region asks, not all. It therefore needs no term.
 * One that does not know a contract need not ask for it either: it is itself what the contract waits for. `every`: ms between two looks.
 */
export function createContraction ({ clock, log, migrate, every = 15_000 }: { readonly clock: Clock, readonly log: Logger, readonly migrate: () => Promise<Migrated>, readonly every?: number }): Service {
  let health: Health = off('Not started yet.')
  let work: { readonly stop: AbortController, readonly done: Promise<void> } | undefined

  async function run (until: AbortSignal): Promise<void> {
    let said = ''
    while (!until.aborted) {
      try {
        const migrated = await orAborted(migrate(), until)
        if (migrated === undefined) return
        const { applied, waiting, failed } = migrated
        health = failed.length === 0 ? running : degraded(`The database could not be tidied up: ${failed.join('; ')}`)
        if (applied.length > 0) log.info({ applied }, 'migrations that waited for other regions were applied')
        const now = [...waiting, ...failed].join('; ')
        if (now !== said && now !== '') log.info({ reason: now }, 'migrations are put off')
        said = now
        if (now === '') return // nothing is left; whoever brings a new one tries it at its start, and is followed by a new leader or becomes it
      } catch (error) {
        if (until.aborted) return
        health = degraded(`Migrations that wait for other regions cannot be tried: ${reasonOf(error)}`)
        log.warn({ err: error }, 'migrations that wait could not be tried; they are tried again')
      }
      await clock.sleep(every, until)
    }
  }

  return {
    name: 'contraction',
    on: 'leader',
    async start (signal, term) {
      if (work !== undefined || term === undefined || signal.aborted) return
      const stop = new AbortController()
      health = running
      work = { stop, done: run(AbortSignal.any([stop.signal, term.signal])) }
    },
    async stop () {
      const ending = work
      work = undefined
      ending?.stop.abort()
      await ending?.done
      if (work === undefined) health = off('Stopped.')
    },
    health: () => health
  }
}
