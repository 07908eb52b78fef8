/**
 * Ends what acts when this process stood still. Whoever was stopped, or starved, for longer than this may have been given up meanwhile, and another rack may be at the same machine;
 * the link does not tell at once, for it does not hold a pause of its own process against the other end (core/rpc/link.ts).
 */
import type { Clock } from '../../../core/plugin.ts'

export interface Standing {
  /** Runs `work` with a signal that aborts with `signal`, or when this process stood still meanwhile. */
  guard<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>
}

/** ms between two looks at the clock, and ms late from which on it stood still: well within region/handover.ts' `notice`. */
const beat = 250
export const limit = 1_500

export function createStanding (clock: Clock): Standing {
  const acting = new Set<AbortController>()
  let watching = false

  async function watch (): Promise<void> {
    watching = true
    for (let before = clock.monotonic(); acting.size > 0; before = clock.monotonic()) {
      await clock.sleep(beat)
      if (clock.monotonic() - before > limit) for (const one of acting) one.abort()
    }
    watching = false
  }

  return {
    async guard (signal, work) {
      const own = new AbortController()
      acting.add(own)
      if (!watching) void watch()
      try { return await work(AbortSignal.any([signal, own.signal])) } finally { acting.delete(own) }
    }
  }
}
