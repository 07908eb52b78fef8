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
