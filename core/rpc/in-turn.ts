/** A service whose starts and stops run one after another, however they are called. */
import type { Service } from '../plugin.ts'

/** `inner` may then take for granted that none of its start() and stop() overlap. A stop that is called while it starts takes effect after that. */
export function inTurn (inner: Service): Service {
  let last: Promise<unknown> = Promise.resolve()
  const turn = (work: () => Promise<void>): Promise<void> => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }
  return {
    name: inner.name,
    start: (signal, term) => turn(async () => {
      if (signal.aborted) return
      await inner.start(signal, term)
      if (signal.aborted) await inner.stop()
    }),
    stop: () => turn(() => inner.stop()),
    health: () => inner.health()
  }
}
