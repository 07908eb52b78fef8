/** Deletes, on the leader, what the core keeps only for a while: the change log (an hour) and answers under Idempotency-Keys (a day). */
import type { Clock } from './clock.ts'
import { orAborted } from './deadline.ts'
import { pruneChanges } from './database/feed.ts'
import { pruneKeys } from './database/idempotency.ts'
import { degraded, off, running } from './health.ts'
import type { Health } from './health.ts'
import { reasonOf } from './errors.ts'
import type { Logger } from './log.ts'
import type { Service } from './plugin.ts'

export function createHousekeeping ({ clock, log, every = 300_000 }: { clock: Clock, log: Logger, every?: number }): Service {
  let health: Health = off('Not started yet.')
  let work: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  return {
    name: 'housekeeping',
    on: 'leader',
    async start (signal, term) {
      if (work !== undefined || term === undefined || signal.aborted) return
      const stop = new AbortController()
      const until = AbortSignal.any([stop.signal, term.signal])
      health = running
      const loop = async (): Promise<void> => {
        while (!until.aborted) {
          try {
            await orAborted(term.write(async tx => { await pruneChanges(tx); await pruneKeys(tx) }), until)
            health = running
          } catch (error) {
            if (until.aborted) break
            health = degraded(`Old rows could not be deleted: ${reasonOf(error)}`)
            log.warn({ err: error }, 'housekeeping failed; it tries again')
          }
          await clock.sleep(every, until)
        }
      }
      work = { stop, done: loop() }
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
