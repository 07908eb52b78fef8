/** Two wires joined in one process. Frames are text here too, and arrive later, never inside send(). */
import type { Wire } from './wire.ts'

interface End { received?: (text: string) => void, closed?: (reason: string) => void, queue: string[], count: number, over?: string }

/** A pair of joined wires; what one sends the other receives, in order. */
export function wirePair (name: string): [Wire, Wire] {
  const ends: [End, End] = [{ queue: [], count: 0 }, { queue: [], count: 0 }]
  const end = (own: End, other: End): Wire => {
    const drain = (to: End) => {
      setImmediate(() => {
        if (to.received === undefined || to.closed === undefined) return
        for (const text of to.queue.splice(0)) { to.count++; to.received(text) }
        if (to.over !== undefined) { const closed = to.closed; delete to.closed; closed(to.over) }
      })
    }
    return {
      name,
      send (text) {
        if (own.over !== undefined || other.over !== undefined) return
        other.queue.push(text)
        drain(other)
      },
      close (reason) {
        own.over ??= reason
        other.over ??= reason
        drain(own)
        drain(other)
      },
      listen (received, closed) {
        own.received = received
        own.closed = closed
        drain(own)
      },
      heard: () => own.count,
      waiting: () => other.queue.reduce((sum, text) => sum + text.length, 0)
    }
  }
  return [end(ends[0], ends[1]), end(ends[1], ends[0])]
}
