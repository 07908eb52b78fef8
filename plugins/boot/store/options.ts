/** SQL of kernel options. */
import type { Query, Tx } from '../../../core/plugin.ts'

export interface StoredOptions { readonly scope: string, readonly options: string }

/** By scope, those after `after`; of the scopes named, or of all. */
export const listOptions = (q: Query, { scopes, after, limit }: { readonly scopes?: readonly string[], readonly after?: string, readonly limit?: number } = {}): Promise<StoredOptions[]> =>
  q.query<StoredOptions>('select scope, options from boot.option where ($1::text[] is null or scope = any($1)) and ($2::text is null or scope > $2) order by scope limit $3', [scopes ?? null, after ?? null, limit ?? null])

/** By scope. */
export const keptOptions = async (q: Query, scopes?: readonly string[]): Promise<ReadonlyMap<string, string>> =>
  new Map((await listOptions(q, scopes === undefined ? {} : { scopes })).map(({ scope, options }) => [scope, options]))

export async function saveOptions (tx: Tx, { scope, options }: StoredOptions): Promise<void> {
  await tx.query('insert into boot.option (scope, options) values ($1, $2) on conflict (scope) do update set options = excluded.options', [scope, options])
}

/** False when there were none. */
export const removeOptions = async (tx: Tx, scope: string): Promise<boolean> => (await tx.query('delete from boot.option where scope = $1 returning 1', [scope])).length > 0

/** Until the transaction ends nobody else changes this scope's options: an If-Match that held still holds when they are written. */
export async function lockOptions (tx: Tx, scope: string): Promise<void> { await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`boot.option/${scope}`]) }
