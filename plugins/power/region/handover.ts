/**
 * When another rack may be handed an action whose rack fell silent. Pure.
 *
 * A rack acts only while the link it was called over stands, and it notices within `notice` that a link is gone, or that it stood still itself. So a rack that did not answer is
 * asked again, if it is linked: there the new call waits until the old one has ended. Any other has to wait until `notice` is over. A rack whose end closed the connection has
 * ended what it did, or itself; one that answered, with whatever error, too.
 */

/**
 * ms until a rack that was cut off at this moment has stopped: it hears of it itself when its link was silent for 4 s, looked at every 500 ms (core/rpc/link.ts), with its
 * event loop up to 1.5 s late (after more than that it stops at once: rack/standing.ts); a second for what is still on the way.
 */
export const notice = 7_500

/** A rack that may still be at it, and until when (monotonic ms). */
export interface Doubt { readonly rack: string, readonly until: number }
export type Step = { readonly ask: string } | { readonly wait: number }

/** ms between two looks whether the silent rack is linked again. */
export const glance = 250

/** What to do next in this round: `racks` that are linked, in the order to ask them, without those that were asked. Undefined: the round is over. */
export function nextStep (racks: readonly string[], doubt: Doubt | undefined, now: number): Step | undefined {
  const [first] = racks
  if (doubt === undefined || now >= doubt.until) return first === undefined ? undefined : { ask: first }
  if (racks.includes(doubt.rack)) return { ask: doubt.rack }
  return first === undefined ? undefined : { wait: Math.min(glance, doubt.until - now) }
}

/** What is known of a rack after a call that failed. `code`: the error's; `peerClosed`: the rack's end closed the connection; `cancelled`: this end called it off. */
export function outcomeOf (code: string | undefined, { peerClosed, cancelled }: { readonly peerClosed: boolean, readonly cancelled: boolean }): 'answered' | 'gone' | 'silent' {
  if (code === 'CALL_UNKNOWN') return peerClosed ? 'gone' : 'silent'
  return cancelled || code === 'CALL_TIMEOUT' ? 'silent' : 'answered'
}
