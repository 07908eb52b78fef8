/** Watches the embedded PostgreSQL and starts it again when it has died: by the kernel's out-of-memory killer, say. What was committed is in its log. */
import type { Clock } from '../clock.ts'
import { dead, off, running } from '../health.ts'
import type { Health } from '../health.ts'
import type { Service } from '../plugin.ts'
import { inTurn } from '../rpc/in-turn.ts'
import type { Embedded } from './embedded.ts'

interface WatchOptions { readonly server: Pick<Embedded, 'alive' | 'data'>, readonly start: () => Promise<unknown>, readonly clock: Clock, readonly every?: number }

/** The supervisor does the restarting. Its stop leaves the server running: that one stops last, after the pool. `every`: ms between looks, default 1,000. */
export function createServerWatch ({ server, start, clock, every = 1000 }: WatchOptions): Service {
  let health: Health = off('Not started yet.')
  let work: { readonly stop: AbortController, readonly done: Promise<void> } | undefined

  async function watch (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(every, signal)
      if (signal.aborted) return
      if (!await server.alive() && !signal.aborted) {
        health = dead(`The embedded PostgreSQL has died and is started again. Why it died is in ${server.data}/log, or, if it was killed for want of memory, in "dmesg".`)
        return
      }
    }
  }
  return inTurn({
    name: 'database-server',
    async start () {
      if (work !== undefined) return
      if (!await server.alive()) await start()
      health = running
      const stop = new AbortController()
      work = { stop, done: watch(stop.signal) }
    },
    async stop () {
      const ending = work
      work = undefined
      ending?.stop.abort()
      await ending?.done
      health = off('Stopped.')
    },
    health: () => health
  })
}
