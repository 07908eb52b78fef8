/** A clock that stands still until the test moves it. */
import type { Clock } from '../../core/clock.ts'

export interface ManualClock extends Clock {
  /** Moves both clocks on by `ms`, waking sleepers in the order they are due; each gets to run before the next wakes. */
  advance(ms: number): Promise<void>
  /** Moves both clocks on by `ms` while the process stands still: what was due meanwhile wakes once, and late. */
  pause(ms: number): Promise<void>
  /** Steps the wall clock alone, as an administrator or NTP does. */
  step(ms: number): void
  /** How many sleep now: lets a test wait until the code under test has gone to sleep. */
  readonly sleepers: number
}

interface Sleeper { readonly due: number, wake(): void }

/** Lets everything that is ready run: a few turns of the event loop. */
const settle = async (): Promise<void> => { for (let turn = 0; turn < 5; turn++) await new Promise(resolve => { setImmediate(resolve) }) }

export function manualClock (start = Date.UTC(2030, 0, 1)): ManualClock {
  let monotonic = 0
  let offset = start
  const sleepers = new Set<Sleeper>()
  return {
    now: () => offset + monotonic,
    monotonic: () => monotonic,
    sleep: (ms, signal) => new Promise(resolve => {
      if (signal?.aborted) { resolve(); return }
      const wake = (): void => { sleepers.delete(sleeper); signal?.removeEventListener('abort', wake); resolve() }
      const sleeper = { due: monotonic + Math.max(0, ms), wake }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', wake, { once: true })
    }),
    async pause (ms) {
      await settle()
      monotonic += ms
      for (const sleeper of [...sleepers].filter(({ due }) => due <= monotonic).sort((a, b) => a.due - b.due)) sleeper.wake()
      await settle()
    },
    step (ms) { offset += ms },
    get sleepers () { return sleepers.size },
    async advance (ms) {
      const end = monotonic + ms
      await settle()
      for (;;) {
        const next = [...sleepers].filter(sleeper => sleeper.due <= end).sort((a, b) => a.due - b.due)[0]
        if (!next) break
        monotonic = Math.max(monotonic, next.due)
        next.wake()
        await settle()
      }
      monotonic = end
    }
  }
}
