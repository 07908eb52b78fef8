/** Fences a server that was replaced and does not know it: the database there becomes read-only for us and our sessions end, so that nobody who sees only it writes to it. */
import { Client, escapeIdentifier } from 'pg'
import { nameOf, optionsFor } from './connection.ts'
import type { Access, Host } from './connection.ts'
import { standingQuery } from './standing.ts'
import type { Standing } from './standing.ts'

/** `whole`: the database is read-only for everybody. Else only for our user, and `missing` says which right the rest would take. */
export type Fenced = { readonly whole: true } | { readonly whole: false, readonly missing: string }

/**
 * Safe to repeat, and for several regions to do at once. Rejects when the server cannot be reached. Undefined, and nothing is done, when it is not older than
 * `newest`, the primary as it answers now: whoever asks may have been held up since it looked, and a server that was promoted meanwhile was restarted for that,
 * so that this connection would have ended.
 * To undo it on a server that is to be the primary after all: `alter database … reset default_transaction_read_only`.
 */
export async function fence (host: Host, access: Access, newest: Standing): Promise<Fenced | undefined> {
  const options = optionsFor(host, access)
  // Its standbys are gone, so it must not wait for one of them.
  const client = new Client({ ...options, connectionTimeoutMillis: 2000, query_timeout: 5000, options: `${options.options ?? ''} -c synchronous_commit=local -c default_transaction_read_only=off` })
  client.on('error', () => {}) // the query rejects with it
  const [database, user] = [escapeIdentifier(access.database), escapeIdentifier(access.user)]
  try {
    await client.connect()
    const { rows: [standing] } = await client.query<Standing>(standingQuery)
    if (!standing || standing.standby || standing.system !== newest.system || standing.timeline >= newest.timeline) return undefined
    let done: Fenced = { whole: true }
    try {
      await client.query(`alter database ${database} set default_transaction_read_only = on`)
    } catch (error) {
      if ((error as { code?: unknown }).code !== '42501') throw error
      await client.query(`alter role ${user} in database ${database} set default_transaction_read_only = on`) // a role may do that to itself
      done = { whole: false, missing: `${access.user} does not own the database ${access.database} at ${nameOf(host)}; grant it: alter database ${database} owner to ${user}` }
    }
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = current_user and pid <> pg_backend_pid()')
    return done
  } finally {
    void client.end().catch(() => {})
  }
}

/** Ends one session of our own on `host`: one that waits for a standby would do so, and keep its place, until that is back. Rejects when the server cannot be reached. */
export async function endSession (host: Host, access: Access, pid: number): Promise<void> {
  const client = new Client({ ...optionsFor(host, access), connectionTimeoutMillis: 2000, query_timeout: 2000 })
  client.on('error', () => {}) // the query rejects with it
  try {
    await client.connect()
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and usename = current_user', [pid])
  } finally {
    void client.end().catch(() => {})
  }
}
