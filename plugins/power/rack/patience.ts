/** How long a BMC that did not answer well is left alone. Pure. */

/** `failures`: in a row. `hold`: the credentials it refused, until when (monotonic ms), and how long that was. */
export interface Patience { readonly failures: number, readonly hold: { readonly version: string, readonly until: number, readonly ms: number } | null }
export const fresh: Patience = { failures: 0, hold: null }

const minute = 60_000
/** After a refused password, ms: doubled each time up to the last. BMCs lock accounts after a few. */
const holds = { first: minute, last: 60 * minute }
/** ms to leave refused credentials alone, after that long before. */
export const holdAfter = (before: number | undefined): number => before === undefined ? holds.first : Math.min(holds.last, before * 2)

export type Result = 'answered' | 'refused' | 'fatal' | 'failed'
export interface Decision {
  readonly patience: Patience
  /** Told to the region. One failure may be a lost packet: the second is told. */
  readonly tell: boolean
  /** Asked again so long after, ms; undefined: at its place in the interval. */
  readonly again?: number
}

/** What to do after a poll. `interval` in ms, `random` in [0, 1). */
export function decide (before: Patience, result: Result, { version, now, interval, random }: { readonly version: string, readonly now: number, readonly interval: number, readonly random: number }): Decision {
  if (result === 'answered') return { patience: fresh, tell: true }
  const held = before.hold?.version === version ? before.hold : null // silence, or another refusal, does not say that the password is right now: the next time it is refused counts on
  if (result === 'fatal') return { patience: { failures: before.failures + 1, hold: held }, tell: true }
  if (result === 'refused') {
    const ms = holdAfter(held?.ms)
    return { patience: { failures: before.failures + 1, hold: { version, until: now + ms, ms } }, tell: true }
  }
  const failures = before.failures + 1
  const pause = interval / 8 * 2 ** Math.min(failures - 1, 10) // an eighth, a quarter, half: then its place
  return { patience: { failures, hold: held }, tell: failures > 1, ...(pause < interval ? { again: pause * (0.5 + 0.5 * random) } : {}) }
}

/** Whether it may be asked with these credentials now. */
export const mayAsk = ({ hold }: Patience, version: string, now: number): boolean => hold === null || hold.version !== version || now >= hold.until
