/** Two wires joined in one process. Frames are copies, as JSON would carry them, and arrive later, never inside send(). */
import type { Wire } from './wire.ts'

interface Message { readonly message: unknown, readonly size: number }
interface End { received?: (message: unknown) => void, closed?: (reason: string) => void, queue: Message[], count: number, over?: string }

/** A pair of joined wires; what one sends the other receives, in order. */
export function wirePair (name: string): [Wire, Wire] {
  const ends: [End, End] = [{ queue: [], count: 0 }, { queue: [], count: 0 }]
  const end = (own: End, other: End): Wire => {
    const drain = (to: End) => {
      setImmediate(() => {
        if (to.received === undefined || to.closed === undefined) return
        for (const { message } of to.queue.splice(0)) { to.count++; to.received(message) }
        if (to.over !== undefined) { const closed = to.closed; delete to.closed; closed(to.over) }
      })
    }
    const take = (message: unknown, size: number): void => {
      if (own.over !== undefined || other.over !== undefined) return
      other.queue.push({ message, size })
      drain(other)
    }
    return {
      name,
      send: text => { take(text, text.length) },
      hand: take,
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
      waiting: () => other.queue.reduce((sum, { size }) => sum + size, 0)
    }
  }
  return [end(ends[0], ends[1]), end(ends[1], ends[0])]
}
