/** The lease in PostgreSQL: one row a name, whose term grows with every takeover. Times are the server's, so that regions need not agree on one. */
import type { Query } from '../database/database.ts'

export interface Claim { readonly name: string, readonly holder: string }
export interface Held extends Claim { readonly term: bigint }
/** Who leads, and for how many ms more if it is not renewed; 0 or less: anybody may take it. `term` 0: nobody ever did. `timeline` counts the server's promotions, from 1. */
export interface Seen { readonly term: bigint, readonly remaining: number, readonly timeline: number }

/** What an elector asks of the database. */
export interface Lease {
  look(db: Query, name: string): Promise<Seen>
  take(db: Query, claim: Claim, ttl: number, timeline: number): Promise<bigint | undefined>
  renew(db: Query, held: Held, ttl: number): Promise<boolean>
  resign(db: Query, held: Held): Promise<void>
  stand(tx: Query, held: Held, ttl: number): Promise<boolean>
}

export const channel = 'core_leader' // told when a term is given up

const timeline = "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer"

export async function look (db: Query, name: string): Promise<Seen> {
  const [row] = await db.query<{ term: string, remaining: number, timeline: number }>(`
    select coalesce(term, 0) as term, coalesce(extract(epoch from expires_at - clock_timestamp()) * 1000, 0)::float8 as remaining, ${timeline} as timeline
    from (select $1::text as name) as asked left join core.leader using (name)`, [name])
  return { term: BigInt(row?.term ?? 0), remaining: row?.remaining ?? 0, timeline: row?.timeline ?? 1 }
}

/**
 * Takes an expired or never held lease on a server of that timeline; gives the new term, which is higher than any the timelines before it gave, those that a
 * failover lost included. Undefined when somebody else was first, or while a write of the last term is still under way (it holds the row's key, see `stand`):
 * the new term begins after the old one's last commit.
 */
export async function take (db: Query, { name, holder }: Claim, ttl: number, on: number): Promise<bigint | undefined> {
  const [row] = await db.query<{ term: string }>(`
    with free as (select name from core.leader where name = $1 and expires_at <= clock_timestamp() and ${timeline} = $4 for update skip locked),
         taken as (
           update core.leader set holder = $2, term = greatest(term, ($4::bigint - 1) << 32) + 1, elected_at = clock_timestamp(), expires_at = clock_timestamp() + $3 * interval '1 millisecond'
           from free where leader.name = free.name returning term),
         first as (
           insert into core.leader (name, holder, term, elected_at, expires_at)
           select $1, $2, (($4::bigint - 1) << 32) + 1, clock_timestamp(), clock_timestamp() + $3 * interval '1 millisecond'
           where ${timeline} = $4 and not exists (select from core.leader where name = $1)
           on conflict do nothing returning term) -- of either key: the server may look at (name, term) first
    select term from taken union all select term from first`, [name, holder, ttl, on])
  return row && BigInt(row.term)
}

/** Makes the lease last from now on; false when it is over. Touches no key of the row, so it does not wait for the leader's own writes. */
export async function renew (db: Query, { name, holder, term }: Held, ttl: number): Promise<boolean> {
  const rows = await db.query(`
    update core.leader set expires_at = clock_timestamp() + $4 * interval '1 millisecond'
    where name = $1 and holder = $2 and term = $3 and expires_at > clock_timestamp() returning term`, [name, holder, term.toString(), ttl])
  return rows.length > 0
}

/** Gives the lease up, and tells the others. */
export async function resign (db: Query, { name, holder, term }: Held): Promise<void> {
  await db.query(`
    with gone as (
      update core.leader set expires_at = clock_timestamp()
      where name = $1 and holder = $2 and term = $3 and expires_at > clock_timestamp() returning name)
    select pg_notify($4, name) from gone`, [name, holder, term.toString(), channel])
}

/**
 * The first statement of a leader's transaction: true if the term stands, and then nobody can take the lease before this transaction is over. A leader that
 * is paused in the middle loses its transaction after `ttl`, so that it does not keep the others out.
 */
export async function stand (tx: Query, { name, holder, term }: Held, ttl: number): Promise<boolean> {
  const rows = await tx.query(`
    select set_config('idle_in_transaction_session_timeout', $4, true) from core.leader
    where name = $1 and holder = $2 and term = $3 and expires_at > clock_timestamp() for key share`, [name, holder, term.toString(), String(ttl)])
  return rows.length > 0
}

export const sqlLease: Lease = { look, take, renew, resign, stand }
