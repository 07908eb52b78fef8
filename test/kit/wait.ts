/** Waiting for a condition or an event, with a bound: what tests use instead of sleeping. */
import type { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

export interface UntilOptions { readonly timeout?: number, readonly interval?: number, readonly what?: string }

/** Polls until `condition` gives something truthy, and gives that. Rejects after `timeout` ms (default 15,000), naming `what` and the last error it threw. */
export async function until<T> (condition: () => T | Promise<T>, { timeout = 15_000, interval = 10, what = String(condition) }: UntilOptions = {}): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeout
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) {
      const because = last === undefined ? '' : `; it last threw: ${last instanceof Error ? last.message : String(last)}`
      throw new Error(`not within ${timeout} ms: ${what}${because}`, { cause: last })
    }
    await sleep(interval)
  }
}

/** Resolves with the arguments of the next `event`; rejects after `timeout` ms (default 15,000). */
export function onceEvent (emitter: EventEmitter, event: string, { timeout = 15_000 }: { readonly timeout?: number } = {}): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const heard = (...args: unknown[]): void => { clearTimeout(timer); resolve(args) }
    const timer = setTimeout(() => { emitter.off(event, heard); reject(new Error(`no event "${event}" within ${timeout} ms`)) }, timeout)
    emitter.once(event, heard)
  })
}
