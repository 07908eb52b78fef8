/** One transaction: begin, the work, its change-log rows, commit. */
import type { PoolClient, QueryConfig } from 'pg'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Query, Tx } from './database.ts'
import { claimed, mark } from './claim.ts'
import { arrayOf, pipeline } from './pipeline.ts'
import type { Before } from './pipeline.ts'
import type { Statement } from './prepared.ts'
import { cutShort, unreplicated } from './replicated.ts'
import { isRefusal, isStale } from './sqlstate.ts'

export interface Done<T> { readonly value: T, readonly changed: boolean }

/** ms. Longer than any disk stalls: so long, at most, does what commits wait for a synchronous standby that is away (statement_timeout does not count there). */
export const commitWithin = 15_000
const commit: QueryConfig & { readonly query_timeout: number } = { text: 'commit', query_timeout: commitWithin }

/**
 * Runs `work` in a transaction on `client`. Rejects with what `work` or PostgreSQL threw; nothing was kept then. When a prepared statement turned out to be stale, it rejects with
 * that, whatever `work` made of it (a savepoint may have caught it): no statement was wrong, and the transaction is to be repeated.
 * `damaged` is called when the client is not to be used again.
 * @throws BedplateError TRANSACTION_UNKNOWN when the connection broke while committing, or the wait for the synchronous standby was cut short; TRANSACTION_ABORTED when `work` swallowed the error of a statement
 */
export async function transact<T> (client: PoolClient, work: (tx: Tx) => Promise<T>, damaged: () => void, statement: Statement): Promise<Done<T>> {
  const changes = new Map<string, readonly [topic: string, id: string]>()
  let open = true
  let begun = false // it begins with its first statement, in the same journey
  let stale: Error | undefined
  const own: Query = {
    async query<Row> (text: string, values?: readonly unknown[]) {
      if (stale) throw stale
      const asked = statement(text, values)
      const first = !begun
      begun = true
      try {
        return (await (first ? pipeline(client, [{ text: 'begin' }], asked) : client.query(asked))).rows as Row[]
      } catch (error) {
        if (asked.name !== undefined && error instanceof Error && isStale(error)) stale = error
        throw error
      }
    }
  }
  const tx: Tx = {
    async query<Row> (text: string, values?: readonly unknown[]) {
      if (!open) throw new BedplateError('TRANSACTION_ABORTED', { reason: 'a statement came after its end; something was not awaited' })
      return await own.query<Row>(text, values)
    },
    async changed (topic, id) {
      if (!open) throw new BedplateError('TRANSACTION_ABORTED', { reason: 'a change was reported after its end; something was not awaited' })
      if (id.includes('\n')) throw new BedplateError('TRANSACTION_ABORTED', { reason: `what changed is named on one line, not ${JSON.stringify(id)}` })
      changes.set(`${topic}\n${id}`, [topic, id])
    }
  }
  const undo = async (): Promise<void> => { if (begun) await client.query('rollback').catch(damaged) }
  let value: T
  let noted = false
  try {
    value = await work(tx)
    open = false
    if (stale) throw stale
    if (!begun && changes.size === 0) return { value, changed: false }
    noted = claimed()
    if (noted) {
      if (changes.size > 0) await own.query(insertion, valuesOf(changes))
      await mark(own)
    }
  } catch (error) {
    open = false
    await undo()
    throw stale ?? error
  }
  const last: Before[] = [...begun ? [] : [{ text: 'begin' }], ...changes.size > 0 && !noted ? [{ text: insertion, values: valuesOf(changes) }] : []]
  begun = true
  const { command } = await pipeline(client, last, commit).catch(async (error: unknown) => {
    if (isRefusal(error)) { // a deferred constraint, a serialization failure: PostgreSQL said no
      await undo() // to the change log, too: then the transaction is still open
      throw error
    }
    damaged()
    throw new BedplateError('TRANSACTION_UNKNOWN', { reason: `the connection to the database broke while it was committed (${reasonOf(error)})` }, error)
  })
  if (unreplicated(client)) throw new BedplateError('TRANSACTION_UNKNOWN', { reason: cutShort })
  if (command === 'ROLLBACK') throw new BedplateError('TRANSACTION_ABORTED', { reason: 'one of its statements had failed, and the code went on regardless' })
  return { value, changed: changes.size > 0 }
}

/** One statement, with the commit: the earlier a transaction id is in the log, the longer the feed's readers have to keep it in mind. */
const insertion = 'insert into core.change (topic, id) select * from unnest($1::text[], $2::text[])'
export const perRow = 500

/** A row for each topic, the ids in it one a line (a batch of leases is one row, not sixty); cut where it would grow too long. */
function valuesOf (changes: ReadonlyMap<string, readonly [topic: string, id: string]>): string[] {
  const byTopic = new Map<string, string[]>()
  for (const [topic, id] of changes.values()) {
    const ids = byTopic.get(topic)
    if (ids === undefined) byTopic.set(topic, [id])
    else ids.push(id)
  }
  const rows = [...byTopic].flatMap(([topic, ids]) => Array.from({ length: Math.ceil(ids.length / perRow) }, (_, part) => [topic, ids.slice(part * perRow, (part + 1) * perRow).join('\n')] as const))
  return [arrayOf(rows.map(([topic]) => topic)), arrayOf(rows.map(([, ids]) => ids))]
}
