/** Whether a BMC can be reached, from single looks of which some get lost; and when that is news. Pure. */

/** `reachable`: null before it is known. `failures`: in a row. `rtt`: ms, smoothed. `told`: what the region was told, and when (monotonic ms). */
export interface Reach { readonly reachable: boolean | null, readonly failures: number, readonly rtt: number | null, readonly told: { readonly reachable: boolean, readonly rtt: number | null, readonly at: number } | null }
export interface Look { readonly reachable: boolean, readonly rtt: number | null }

export const unknown: Reach = { reachable: null, failures: 0, rtt: null, told: null }

const lost = 2 // looks in a row without an answer: one packet may be lost
const much = { times: 2, ms: 5 } // so much another time is news
const toldAgain = 3_600_000 // ms; what was told may have been lost with a database

/** What is known after a look. */
export function after (before: Reach, { reachable, rtt }: Look): Reach {
  if (!reachable) {
    const failures = before.failures + 1
    return { ...before, failures, reachable: failures >= lost ? false : before.reachable }
  }
  // A time from before it was away says nothing of now.
  const smoothed = rtt === null ? before.rtt : before.rtt === null || before.reachable === false ? rtt : before.rtt * 0.75 + rtt * 0.25
  return { ...before, failures: 0, reachable: true, rtt: smoothed }
}

/** What is to be told: that it became reachable or ceased to be, or is much nearer or farther than was told; undefined for nothing. */
export function news ({ reachable, rtt, told }: Reach, now: number): { readonly reachable: boolean, readonly rtt: number | null } | undefined {
  if (reachable === null) return undefined
  const tell = { reachable, rtt: reachable && rtt !== null ? Math.round(rtt * 100) / 100 : null }
  if (told === null || told.reachable !== reachable || now - told.at >= toldAgain) return tell
  if (!reachable || rtt === null) return undefined
  if (told.rtt === null) return tell
  return Math.abs(rtt - told.rtt) >= much.ms && Math.max(rtt, told.rtt) >= much.times * Math.min(rtt, told.rtt) ? tell : undefined
}
