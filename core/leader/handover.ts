/** Handing leadership on: a leader that has no link to a rack others are linked with cannot get that rack's work done, and regions never call each other. */
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

export interface HandoverOptions {
  readonly clock: Clock, readonly log: Logger
  readonly leading: () => boolean
  /** Racks that another region is linked with and this one is not. */
  readonly missed: () => readonly string[]
  readonly back?: number // ms this region stands back for, so that another takes the lease
  readonly again?: number // ms until it hands on once more, when leadership came back to it
}

/**
 * Says whether this region may lead now, as the elector's `ready`: false for 3 s when it leads and misses racks, at most once a minute. Where each
 * region misses another's racks (a network in pieces) leadership goes round by that, and every rack's work gets its turn; where nobody takes it, it stays.
 */
export function createHandover ({ clock, log, leading, missed, back = 3_000, again = 60_000 }: HandoverOptions): () => boolean {
  let until = -Infinity
  let next = -Infinity
  return () => {
    const now = clock.monotonic()
    if (now < until) return false
    if (now < next || !leading()) return true
    const racks = missed()
    if (racks.length === 0) return true
    log.warn({ racks }, 'leadership is handed on: other regions are linked with racks this one does not reach')
    until = now + back
    next = now + again
    return false
  }
}
