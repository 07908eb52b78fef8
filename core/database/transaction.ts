/** One transaction: begin, the work, its change-log rows, commit. */
import type { PoolClient, QueryConfig } from 'pg'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Query, Tx } from './database.ts'
import { mark } from './claim.ts'
import { cutShort, unreplicated } from './replicated.ts'
import { isRefusal } from './sqlstate.ts'

export interface Done<T> { readonly value: T, readonly changed: boolean }

/** ms. Longer than any disk stalls: so long, at most, does what commits wait for a synchronous standby that is away (statement_timeout does not count there). */
export const commitWithin = 15_000
const commit: QueryConfig & { readonly query_timeout: number } = { text: 'commit', query_timeout: commitWithin }

/**
 * Runs `work` in a transaction on `client`. Rejects with what `work` or PostgreSQL threw; nothing was kept then.
 * `damaged` is called when the client is not to be used again.
 * @throws BedplateError TRANSACTION_UNKNOWN when the connection broke while committing, or the wait for the synchronous standby was cut short; TRANSACTION_ABORTED when `work` swallowed the error of a statement
 */
export async function transact<T> (client: PoolClient, work: (tx: Tx) => Promise<T>, damaged: () => void): Promise<Done<T>> {
  const changes = new Map<string, readonly [topic: string, id: string]>()
  let open = true
  const own: Query = {
    async query<Row> (text: string, values?: readonly unknown[]) {
      const { rows } = await client.query(text, values === undefined ? undefined : [...values])
      return rows as Row[]
    }
  }
  const tx: Tx = {
    async query<Row> (text: string, values?: readonly unknown[]) {
      if (!open) throw new BedplateError('TRANSACTION_ABORTED', { reason: 'a statement came after its end; something was not awaited' })
      return await own.query<Row>(text, values)
    },
    async changed (topic, id) {
      if (!open) throw new BedplateError('TRANSACTION_ABORTED', { reason: 'a change was reported after its end; something was not awaited' })
      changes.set(`${topic}\n${id}`, [topic, id])
    }
  }
  await client.query('begin')
  let value: T
  try {
    value = await work(tx)
    open = false
    if (changes.size > 0) await append(own, [...changes.values()])
    await mark(own)
  } catch (error) {
    open = false
    await client.query('rollback').catch(damaged)
    throw error
  }
  const { command } = await client.query(commit).catch((error: unknown) => {
    if (isRefusal(error)) throw error // a deferred constraint, a serialization failure: PostgreSQL said no
    damaged()
    throw new BedplateError('TRANSACTION_UNKNOWN', { reason: `the connection to the database broke while it was committed (${reasonOf(error)})` }, error)
  })
  if (unreplicated(client)) throw new BedplateError('TRANSACTION_UNKNOWN', { reason: cutShort })
  if (command === 'ROLLBACK') throw new BedplateError('TRANSACTION_ABORTED', { reason: 'one of its statements had failed, and the code went on regardless' })
  return { value, changed: changes.size > 0 }
}

/** One statement, just before the commit: the earlier a transaction id is in the log, the longer the feed's readers have to keep it in mind. */
const append = (client: Query, changes: readonly (readonly [topic: string, id: string])[]): Promise<unknown> => client.query(
  'insert into core.change (topic, id) select * from unnest($1::text[], $2::text[])', [changes.map(([topic]) => topic), changes.map(([, id]) => id)])
