/** Calls each half's reconcile after start, when leadership is gained, and every few minutes; sooner after a failure. */
import type { Clock } from './clock.ts'
import { reasonOf } from './errors.ts'
import type { Logger } from './log.ts'

export interface Reconciler {
  add(name: string, reconcile: (signal: AbortSignal) => Promise<void>): void
  /** Runs all of them again soon. */
  kick(): void
  stop(): Promise<void>
}

/** `every` in ms (default five minutes). A failed run is logged and repeated after 1 s … 30 s. */
export function createReconciler ({ log, clock, every = 300_000, random = Math.random }: { log: Logger, clock: Clock, every?: number, random?: () => number }): Reconciler {
  const stopped = new AbortController()
  const loops: Promise<void>[] = []
  let wake = new AbortController()

  async function loop (name: string, reconcile: (signal: AbortSignal) => Promise<void>): Promise<void> {
    let failures = 0
    while (!stopped.signal.aborted) {
      const woken = wake.signal // taken before the run, so a kick during it is not missed
      let pause = every
      try {
        await reconcile(stopped.signal)
        failures = 0
      } catch (error) {
        if (stopped.signal.aborted) return
        pause = Math.min(30_000, 1_000 * 2 ** failures++)
        log.warn({ err: error, plugin: name }, `${name} could not reconcile (again in ${Math.round(pause / 1000)} s): ${reasonOf(error)}`)
      }
      const rest = AbortSignal.any([stopped.signal, woken])
      await clock.sleep(pause * (0.9 + 0.2 * random()), rest)
    }
  }
  return {
    add: (name, reconcile) => { loops.push(loop(name, reconcile)) },
    kick () { const old = wake; wake = new AbortController(); old.abort() },
    async stop () { stopped.abort(); await Promise.allSettled(loops) }
  }
}
