/** A term of leadership: who may write as leader, and until when this process may believe it. Pure but for the clock handed in. */
import type { Tx } from '../database/database.ts'

export interface Term {
  readonly number: bigint
  /** True while this process may act as leader: monotonic now is before *attempt start* + TTL − margin of the last won or renewed attempt. */
  valid(): boolean
  /** Aborts when the term is lost or given up. */
  readonly signal: AbortSignal
  /** A transaction that commits only if this term still stands in the database; else TERM_LOST. Every write a leader service makes goes through here. */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}

/** Durations in ms. `ttl` is how long the database keeps a term that is not renewed; `margin` is what clocks may differ and pauses may take. */
export interface Pace { readonly ttl: number, readonly renew: number, readonly margin: number }
export const defaultPace: Pace = { ttl: 5_000, renew: 1_500, margin: 1_000 }

/**
 * Until when (monotonic) a lease may be trusted that was asked for at `attemptStart`. The database counts the TTL from when it answers, which is later:
 * so whoever counts from before the question, and less by a margin, has let go before anyone else can take it, however long the answer took.
 */
export const trustedUntil = (attemptStart: number, { ttl, margin }: Pace): number => attemptStart + ttl - margin

/** What a leader does next: renew when it is time, and let go once its trust has run out, whatever it hears later. */
export function nextStep (now: number, attemptStart: number, pace: Pace): { readonly step: 'wait', readonly for: number } | { readonly step: 'renew' | 'lost' } {
  const until = trustedUntil(attemptStart, pace)
  if (now >= until) return { step: 'lost' }
  const due = Math.min(attemptStart + pace.renew, until)
  return now < due ? { step: 'wait', for: due - now } : { step: 'renew' }
}

/** The timeline whose server gave a term: the term's upper half, so that a failover that loses the last terms gives none of their numbers again. */
export const timelineOf = (term: bigint): number => Number(term >> 32n) + 1

/**
 * How long a bidder still has to wait because of a failover, in ms. The server that was promoted may not have heard of the last renewal, or of the last term, and
 * would give the lease away while its holder rightly trusts it. Whoever waits a TTL from when it first met the timeline (monotonic) is past all that; once a term
 * of that timeline was given, somebody has.
 */
export const failoverWait = (now: number, met: number, timeline: number, term: bigint, { ttl }: Pace): number =>
  timeline === 1 || timelineOf(term) >= timeline ? 0 : Math.max(0, met + ttl - now)
