/** Who waits for a region to have stored a fact. Pure bookkeeping over the outbox's sequence numbers. */

export interface Waiting {
  /** True when everything up to `seq` is settled, false when `signal` aborts first or the fact was dropped. Never rejects. */
  stored(seq: number, signal?: AbortSignal): Promise<boolean>
  /** A region has stored everything up to `through`. */
  settled(through: number): void
  /** Everything up to `through` that was not settled is gone. */
  dropped(through: number): void
  /** Whether anybody waits. */
  readonly any: boolean
}

export function createWaiting (): Waiting {
  const waiting = new Map<number, Set<(stored: boolean) => void>>() // in the order of their sequence numbers, or nearly: whoever reports asks at once
  let reached = 0
  let gone = { after: 0, through: 0 } // the facts that were dropped last

  function resolve (through: number, outcome: boolean): void {
    for (const [seq, those] of waiting) {
      if (seq > through) continue
      waiting.delete(seq)
      for (const one of those) one(outcome)
    }
  }

  return {
    stored (seq, signal) {
      if (seq > gone.after && seq <= gone.through) return Promise.resolve(false)
      if (seq <= reached) return Promise.resolve(true)
      if (signal?.aborted === true) return Promise.resolve(false)
      const { promise, resolve: settle } = Promise.withResolvers<boolean>()
      const those = waiting.get(seq) ?? new Set()
      waiting.set(seq, those)
      const leave = (): void => {
        those.delete(settle)
        if (those.size === 0 && waiting.get(seq) === those) waiting.delete(seq)
        settle(false)
      }
      those.add(settle)
      signal?.addEventListener('abort', leave, { once: true })
      void promise.then(() => { signal?.removeEventListener('abort', leave) })
      return promise
    },
    settled (through) {
      reached = Math.max(reached, through)
      resolve(through, true)
    },
    dropped (through) {
      gone = { after: reached, through }
      resolve(through, false)
    },
    get any () { return waiting.size > 0 }
  }
}
