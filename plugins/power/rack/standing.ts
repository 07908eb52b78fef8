/**
 * Ends what acts when this process stood still. Whoever was stopped, or starved, for longer than this may have been given up meanwhile, and another rack may be at the same machine;
 * the link does not tell at once, for it does not hold a pause of its own process against the other end (core/rpc/link.ts).
 */
import type { Clock } from '../../../core/plugin.ts'

export interface Standing {
  /**
   * Runs `work` with a signal that aborts with `signal`, or when this process stood still meanwhile. Its clock looks at that as each sleep ends: of the timers that are due after a pause the
   * oldest fires first, and that may be the one before a driver's next packet. The signal looks at it whenever it is asked whether it is aborted: an answer that waited in the socket is read
   * before any timer fires, and a driver's next packet would follow it.
   */
  guard<T>(signal: AbortSignal, work: (signal: AbortSignal, clock: Clock) => Promise<T>): Promise<T>
}

/** ms between two looks at the clock, and ms late from which on it stood still: well within region/handover.ts' `notice`. */
const beat = 250
export const limit = 1_500

export function createStanding (clock: Clock): Standing {
  const acting = new Set<AbortController>()
  let watching = false
  let seen = 0 // monotonic ms of the last look

  function look (): void {
    const now = clock.monotonic()
    if (now - seen > limit) for (const one of acting) one.abort()
    seen = now
  }
  async function watch (): Promise<void> {
    watching = true
    while (acting.size > 0) {
      await clock.sleep(beat)
      look()
    }
    watching = false
  }
  const guarded: Clock = { now: clock.now, monotonic: clock.monotonic, async sleep (ms, signal) { await clock.sleep(ms, signal); look() } }

  return {
    async guard (signal, work) {
      if (acting.size > 0) look() // what begins now did not stand still
      else seen = clock.monotonic()
      const own = new AbortController()
      acting.add(own)
      if (!watching) void watch()
      const either = AbortSignal.any([signal, own.signal])
      Object.defineProperty(either, 'aborted', { get () { look(); return signal.aborted || own.signal.aborted } })
      try { return await work(either, guarded) } finally { acting.delete(own) }
    }
  }
}
