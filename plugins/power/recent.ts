/** Connections, and what was learnt over them, kept while they are used: those to machines that were removed, or whose password was changed, are forgotten. */
import type { Clock } from '../../core/plugin.ts'
import type { Closable } from './kept.ts'

/** `most`: kept at once; the one unused for longest makes place for another. Times in ms. */
export const limits = { most: 8_192, idle: 300_000, sweep: 30_000 }

export interface Recent<T> extends Closable {
  readonly size: number
  /** What is under this key, made where there is none; it counts as used now. */
  at(key: string, make: () => T): T
  /** Runs `work` with it, which is not given up meanwhile. */
  use<R>(key: string, make: () => T, work: (thing: T) => Promise<R>): Promise<R>
}
interface Entry<T> { readonly thing: T, visits: number, last: number /* on the monotonic clock */ }

/** `end`: for what is given up. */
export function createRecent<T> (clock: Clock, end: (thing: T) => void): Recent<T> {
  const entries = new Map<string, Entry<T>>() // in the order of their last use
  const closing = new AbortController()
  let sweeping = false

  const drop = (key: string, { thing }: Entry<T>): void => { entries.delete(key); end(thing) }
  async function sweep (): Promise<void> {
    while (entries.size > 0 && !closing.signal.aborted) {
      await clock.sleep(limits.sweep, closing.signal)
      for (const [key, entry] of entries) if (entry.visits === 0 && clock.monotonic() - entry.last >= limits.idle) drop(key, entry)
    }
    sweeping = false
  }
  function take (key: string, make: () => T): Entry<T> {
    const entry = entries.get(key) ?? { thing: make(), visits: 0, last: 0 }
    entries.delete(key)
    entries.set(key, entry)
    entry.last = clock.monotonic()
    if (entries.size > limits.most) for (const [other, one] of entries) if (one.visits === 0 && one !== entry) { drop(other, one); break }
    if (!sweeping) { sweeping = true; void sweep() }
    return entry
  }
  return {
    get size () { return entries.size },
    at: (key, make) => take(key, make).thing,
    async use (key, make, work) {
      const entry = take(key, make)
      entry.visits++
      try { return await work(entry.thing) } finally {
        entry.visits--
        entry.last = clock.monotonic()
        if (closing.signal.aborted && entry.visits === 0) end(entry.thing)
      }
    },
    close () {
      closing.abort()
      for (const [key, entry] of entries) drop(key, entry)
    }
  }
}
