/** Answers kept for a day under the Idempotency-Key of their request. */
import type { Claim } from './claim.ts'
import type { Query, Tx } from './database.ts'

/** `status` null: at work; 0: its transaction was committed, but no answer is kept; else the answer's. `stale`: whoever was at work has not been heard of for a while. */
export interface Kept { readonly fingerprint: string, readonly status: number | null, readonly body: unknown, readonly stale: boolean }

const stale = "interval '6 seconds'" // three times what a claim is renewed in: a region that died or was cut off holds nobody up for longer

/**
 * Takes the key for a request that is about to be done. Undefined: it is ours, do it. Else what is kept.
 * A key older than a day is free again, and one whose request has done nothing yet and is not renewed any more (see `renewClaims`): a request that is alive after
 * all finds its claim gone when it commits (see claim.ts), so that nothing is done twice.
 */
export async function claimKey (db: Query, { key, principal, token }: Claim, fingerprint: string): Promise<Kept | undefined> {
  const claimed = await db.query(`
    insert into core.idempotency as old (key, principal, fingerprint, body) values ($1, $2, $3, jsonb_build_object('claim', $4::text))
    on conflict (key, principal) do update set fingerprint = excluded.fingerprint, status = null, body = excluded.body, created_at = now()
    where old.created_at < now() - interval '24 hours'
       or (old.status is null and old.fingerprint = excluded.fingerprint and old.created_at < now() - ${stale})
    returning true`, [key, principal, fingerprint, token])
  if (claimed.length > 0) return undefined
  const [kept] = await db.query<Kept>(`select fingerprint, status, body, created_at < now() - ${stale} as stale from core.idempotency where key = $1 and principal = $2`, [key, principal])
  return kept ?? { fingerprint, status: null, body: null, stale: false } // given up between the two statements: the client asks again
}

/** Says that these requests are still at work. */
export async function renewClaims (db: Query, claims: readonly Claim[]): Promise<void> {
  await db.query(`
    update core.idempotency set created_at = now()
    from (select key, principal from core.idempotency join unnest($1::text[], $2::text[], $3::text[]) as mine (key, principal, token) using (key, principal)
          where coalesce(status, 0) = 0 and body->>'claim' = token for update of idempotency skip locked) as mine
    where idempotency.key = mine.key and idempotency.principal = mine.principal`,
  [claims.map(({ key }) => key), claims.map(({ principal }) => principal), claims.map(({ token }) => token)])
}

/** Keeps the answer. */
export async function keepAnswer (db: Query, { key, principal, token }: Claim, status: number, body: unknown): Promise<void> {
  await db.query("update core.idempotency set status = $3, body = $4 where key = $1 and principal = $2 and body->>'claim' = $5", [key, principal, status, JSON.stringify(body), token])
}

/**
 * Gives the key up, so that the request can be tried again under it: unless (`unknown`) it is not known whether its transaction was committed and it turns out
 * that it was; that is waited for while the commit is under way.
 */
export async function freeKey (db: Query, { key, principal, token }: Claim, unknown: boolean): Promise<void> {
  await db.query(`
    with gone as (delete from core.idempotency where key = $1 and principal = $2 and body->>'claim' = $3 and (status is null or (status = 0 and not $4)) returning true)
    update core.idempotency set created_at = now() - ${stale} where key = $1 and principal = $2 and body->>'claim' = $3 and status = 0 and $4`, [key, principal, token, unknown])
}

/** Waits, with a synchronous standby, until what was done under the key is safe there: a commit comes after all before it. */
export async function settleKey (db: Query, key: string, principal: string): Promise<void> {
  await db.query('update core.idempotency set created_at = created_at where key = $1 and principal = $2', [key, principal])
}

/** Deletes what is older than a day; for a leader to run now and then. */
export async function pruneKeys (tx: Tx): Promise<void> {
  await tx.query("delete from core.idempotency where created_at < now() - interval '24 hours'")
}
