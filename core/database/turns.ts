/** Turns for a bounded number at once, in the order they were asked for. */
import type { Clock } from '../clock.ts'
import { BedplateError } from '../errors.ts'

export interface Turns {
  /** Runs `work` when a turn is free. UNAVAILABLE when none is within `patience`. */
  take<T>(work: () => Promise<T>): Promise<T>
}

/** `limit` at once; `patience` in ms; `what` completes "all n … are busy". */
export function createTurns ({ limit, patience, what, clock }: { readonly limit: number, readonly patience: number, readonly what: string, readonly clock: Clock }): Turns {
  const waiting = new Set<() => void>()
  let free = limit
  const next = (): void => {
    const [first] = waiting
    if (first === undefined) { free++; return }
    waiting.delete(first)
    first()
  }
  /** True once the turn is ours; false when it did not come in time. */
  async function turn (): Promise<boolean> {
    if (free > 0) { free--; return true }
    const given = new AbortController()
    const mine = (): void => { given.abort() }
    waiting.add(mine)
    await clock.sleep(patience, given.signal)
    return given.signal.aborted || !waiting.delete(mine)
  }
  return {
    async take (work) {
      if (!await turn()) throw new BedplateError('UNAVAILABLE', { reason: `all ${limit} ${what} are busy` })
      try { return await work() } finally { next() }
    }
  }
}
