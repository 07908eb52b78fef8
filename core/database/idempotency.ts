/** Answers kept for a day under the Idempotency-Key of their request. */
import type { Query, Tx } from './database.ts'

export interface Kept { readonly fingerprint: string, readonly status: number | null, readonly body: unknown }

/**
 * Takes the key for a request that is about to be done. Undefined: it is ours, do it. Else what is kept: `status` null while the first one is at work.
 * A key older than a day, or left behind for two minutes by a request that never answered (its region died), is free again.
 */
export async function claimKey (db: Query, key: string, principal: string, fingerprint: string): Promise<Kept | undefined> {
  const claimed = await db.query(`
    insert into core.idempotency as old (key, principal, fingerprint) values ($1, $2, $3)
    on conflict (key, principal) do update set fingerprint = excluded.fingerprint, status = null, body = null, created_at = now()
    where old.created_at < now() - interval '24 hours'
       or (old.status is null and old.fingerprint = excluded.fingerprint and old.created_at < now() - interval '2 minutes')
    returning true`, [key, principal, fingerprint])
  if (claimed.length > 0) return undefined
  const [kept] = await db.query<Kept>('select fingerprint, status, body from core.idempotency where key = $1 and principal = $2', [key, principal])
  return kept ?? { fingerprint, status: null, body: null } // given up between the two statements: the client asks again
}

/** Keeps the answer. */
export async function keepAnswer (db: Query, key: string, principal: string, status: number, body: unknown): Promise<void> {
  await db.query('update core.idempotency set status = $3, body = $4 where key = $1 and principal = $2', [key, principal, status, JSON.stringify(body)])
}

/** Gives the key up, so that the request can be tried again under it. */
export async function freeKey (db: Query, key: string, principal: string): Promise<void> {
  await db.query('delete from core.idempotency where key = $1 and principal = $2 and status is null', [key, principal])
}

/** Deletes what is older than a day; for a leader to run now and then. */
export async function pruneKeys (tx: Tx): Promise<void> {
  await tx.query("delete from core.idempotency where created_at < now() - interval '24 hours'")
}
