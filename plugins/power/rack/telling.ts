/** Tells the region: news at once, the rest together every so often; one fact on its way at a time, so that what piles up while no region stores it is one word on each thing. */
import { reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger, Reported } from '../../../core/plugin.ts'

export interface Telling<T> {
  /** The last word on this thing. `news`: to be told at once. */
  tell(key: string, value: T, news: boolean): void
  /** What waits to be told of it is told no more. */
  drop(key: string): void
  /** Tells until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}
export interface TellingOptions<T> {
  readonly clock: Clock, readonly log: Logger
  readonly soon: number, readonly late: number // ms that news, and all else, wait for company
  report(values: readonly T[]): Reported
}

const most = 1000 // in one fact
const diskPause = 5_000 // ms

export function createTelling<T> ({ clock, log, soon, late, report }: TellingOptions<T>): Telling<T> {
  const waiting = new Map<string, { readonly value: T, readonly news: boolean }>()
  let urgent = false
  let wake = Promise.withResolvers<void>()

  async function pause (ms: number, signal: AbortSignal, news: boolean): Promise<void> {
    const over = new AbortController()
    await Promise.race([...(news ? [wake.promise] : []), clock.sleep(ms, AbortSignal.any([signal, over.signal]))])
    over.abort('enough')
  }

  return {
    tell (key, value, news) {
      const before = waiting.get(key)
      waiting.delete(key) // the newest stands last
      waiting.set(key, { value, news: news || before?.news === true })
      if (!news || urgent) return
      urgent = true
      wake.resolve()
    },
    drop (key) { waiting.delete(key) },
    async run (signal) {
      let next = clock.monotonic() + late
      while (!signal.aborted) {
        if (!urgent) await pause(Math.max(0, next - clock.monotonic()), signal, true)
        if (urgent) await pause(soon, signal, false)
        if (signal.aborted) return
        const all = urgent && clock.monotonic() < next ? [...waiting].filter(([, { news }]) => news) : [...waiting]
        const batch = all.slice(0, most)
        urgent = all.length > most && urgent
        wake = Promise.withResolvers()
        if (all.length <= most && all.length === waiting.size) next = clock.monotonic() + late
        if (batch.length === 0) continue
        for (const [key] of batch) waiting.delete(key)
        let stored = false
        try { stored = await report(batch.map(([, { value }]) => value)).stored(signal) } catch (error) {
          log.error({ reason: reasonOf(error) }, 'what is known of BMCs could not be put on the disk; it is told later')
          await clock.sleep(diskPause, signal)
        }
        // Not stored: dropped on the way. What was said meanwhile is newer.
        if (!stored) for (const [key, one] of batch) if (!waiting.has(key)) waiting.set(key, one)
      }
    }
  }
}
