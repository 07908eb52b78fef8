/** The database as the rest of the tree sees it. Only core/database knows the client library. */

export interface Query {
  /** Runs one parameterised statement and gives its rows. `bigint` columns come as strings, `jsonb` parsed, `timestamptz` as Date. */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>
}

/** A transaction. Everything written through it, its change-log rows included, commits together or not at all. */
export interface Tx extends Query {
  /** Appends to the change log that something changed: `topic` is `<plugin>.<noun>` (`machines.machine`), `id` names the row, on one line. */
  changed(topic: string, id: string): Promise<void>
}

/** One thing that changed. Delivered at least once, after commit, in no promised order. `seq` tells duplicates apart. */
export interface Change { readonly seq: string, readonly topic: string, readonly id: string }

/** A transaction of one statement, as its parts. */
export interface Once {
  /** What stands after `with`: the queries that write, with the names of what they return. */
  readonly work: string
  /** The topic, and a query of one column of texts, over those names: what changed. No rows: nothing did. */
  readonly topic: string
  readonly changed: string
  /** The query, over those names, whose rows are given. */
  readonly rows: string
  readonly values: readonly unknown[]
}

export interface Database extends Query {
  /**
   * Runs one statement that writes, with its change-log row, and commits: one journey to the server where `tx` needs two or more. Parts must not contain values: they make the text of a prepared statement.
   * Tried again only when it was certainly not kept. Rejects with what PostgreSQL says, and keeps nothing; with TRANSACTION_UNKNOWN when the connection broke before the answer.
   * Under an Idempotency-Key it is a transaction like any other, in as many journeys.
   */
  once<Row = Record<string, unknown>>(statement: Once): Promise<Row[]>
  /** Runs `work` in a READ COMMITTED transaction on the primary. Serialization failures, deadlocks and lost connections before COMMIT are retried (at most 5 times, with jitter), so `work` must have no effect outside `tx`. After the commit, a coalesced NOTIFY tells every region's feed. */
  tx<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}
