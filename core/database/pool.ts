/** The database: a pool to whichever server accepts writes, transactions that are retried when that is safe, the change feed, migrations. */
import type { PoolClient, QueryConfig } from 'pg'
import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Health } from '../health.ts'
import { dead, degraded, running } from '../health.ts'
import type { Logger } from '../log.ts'
import { claimed } from './claim.ts'
import { openSession } from './connection.ts'
import type { Host, Session } from './connection.ts'
import type { Database, Once, Tx } from './database.ts'
import { createFeed } from './feed.ts'
import type { Feed } from './feed.ts'
import { createListener } from './listen.ts'
import type { Unlisten } from './listen.ts'
import { migrate } from './migrate.ts'
import type { MigrationSet, Migrated } from './migrate.ts'
import type { Migrator } from './regions.ts'
import { refused, withLog } from './once.ts'
import { createStatements, unnamed } from './prepared.ts'
import type { Statement } from './prepared.ts'
import { Primary } from './primary.ts'
import { cutShort, unreplicated } from './replicated.ts'
import { isDoubtful, isEnded, isLost, isRepeatable, isStale, isUnanswered, isUnsent } from './sqlstate.ts'
import { commitWithin, transact } from './transaction.ts'
import { createTurns } from './turns.ts'

export interface DatabaseOptions {
  readonly hosts: readonly Host[] // one or several; a socket's folder as `host` is fine
  readonly database: string
  readonly user: string
  readonly password?: string
  readonly log: Logger
  readonly clock?: Clock
  readonly applicationName?: string // shown in pg_stat_activity
  readonly size?: number // connections, default 10; listeners and electors have theirs besides
  readonly patience?: number // ms to look for a server that accepts writes before giving up, default 10,000
  readonly every?: number // ms between questions to each server where it stands, default 1,000; 0 for never, the default for a single host
  readonly version?: string // of Bedplate, noted beside each migration
}

export interface DatabaseHandle extends Database {
  readonly feed: Feed
  /** Calls `listener` for each NOTIFY on `channel`, and after each reconnect, since some may have been lost. A hint, never a promise. Gives the function that ends it. */
  listen(channel: string, listener: (payload: string) => void): Unlisten
  /** A connection of one's own on the primary, outside the pool. The caller closes it. */
  session(): Promise<Session>
  /** Brings the database as far up to date as other regions allow, set by set in the order given. Any number of regions may do so at once; `self` is the one that does. */
  migrate(sets: readonly MigrationSet[], self?: Migrator): Promise<Migrated>
  health(): Health
  /** Called when the daemon begins to stop: nobody waits any more for a server to be found, nor longer than 5 s for an answer. */
  hurry(): void
  /** Ends every connection. Statements that still run are waited for. */
  close(): Promise<void>
}

const attempts = 6 // the first and five more
const tellEvery = 10 // ms from one NOTIFY to the next while commits follow each other
/** Of a pool's connections these (3 of 10) are for statements that only read: when the synchronous standby is away, commits wait for it, and what can be read is still to be read. */
const reserved = (size: number): number => Math.floor(size * 0.3)

/**
 * Opens the database and waits until one of the hosts accepts writes.
 * @throws BedplateError DATABASE_UNREACHABLE
 */
export async function openDatabase ({ hosts, database, user, password, log, clock = systemClock, applicationName = 'bedplate', size = 10, patience = 10_000, every = hosts.length > 1 ? 1000 : 0, version = '' }: DatabaseOptions): Promise<DatabaseHandle> {
  const access = { database, user, applicationName, ...(password === undefined ? {} : { password }) }
  const primary = new Primary({ hosts, access, size, log, clock, patience, every })
  const session = async (statementTimeout?: string): Promise<Session> => {
    const { host, gone } = await primary.tenure()
    return await openSession(host, access, statementTimeout, gone).catch((error: unknown) => { primary.lost(host, error); throw told(error) })
  }
  /** A broken connection in our own words, so that it is a 503 with a code wherever it ends up. */
  const told = (error: unknown): unknown => isLost(error) ? new BedplateError('DATABASE_UNREACHABLE', { hosts: primary.names, reason: reasonOf(error) }, error) : error
  const listener = createListener({ session, clock, log })
  const writers = createTurns({ limit: size - reserved(size), patience, what: 'connections to the database that may write', clock })

  /** Takes a client, runs, gives it back; a server that turned out not to be the primary is forgotten. */
  async function using<T> (work: (client: PoolClient, damaged: () => void) => Promise<T>): Promise<T> {
    const client = await primary.client()
    const host = { host: client.host, port: client.port }
    let broken = false
    try {
      return await work(client, () => { broken = true })
    } catch (error) {
      const cause = error instanceof BedplateError ? error.cause : error
      if (isLost(cause) || isStale(cause)) broken = true
      if (isUnanswered(cause)) primary.abandon(client)
      if (isDoubtful(cause) && !(isUnanswered(cause) && every > 0)) primary.suspect(host, cause) // a server that is asked every second has answered that meanwhile
      throw error
    } finally {
      client.release(broken)
    }
  }

  let wanted = false
  let telling: Promise<void> | undefined
  /** Tells all feeds that something was committed: outside the transaction (inside it would serialise commits: 13.4k/s became 5.1k/s), one for all that are waiting. */
  function tell (): void {
    wanted = true
    telling ??= (async () => {
      while (wanted) {
        wanted = false
        await writers.take(() => using(client => client.query("select pg_notify('core_change', '')"))).catch((error: unknown) => { log.debug({ err: error }, 'a change could not be announced; the feeds find it by themselves') })
        await clock.sleep(tellEvery)
      }
    })().finally(() => { telling = undefined })
  }

  const named = createStatements()
  /** Repeats what was certainly not kept. `safe` says which errors are certain. Once a name was stale it goes without: other connections may hold stale ones too, and each is found by whoever uses it next. */
  async function retrying<T> (safe: (error: unknown) => boolean | Promise<boolean>, work: (statement: Statement) => Promise<T>): Promise<T> {
    let statement = named
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(statement)
      } catch (error) {
        if (statement === named && isStale(error)) {
          statement = unnamed
          log.debug({ reason: reasonOf(error) }, 'a prepared statement was stale; its connection is replaced')
          continue
        }
        if (attempt >= attempts || !await safe(error)) throw told(error)
        log.debug({ attempt, reason: reasonOf(error) }, 'repeating a database transaction')
        await clock.sleep(2 ** attempt * 5 * (0.5 + Math.random())) // jitter, so that two that collided do not meet again
      }
    }
  }

  /** One statement commits by itself, so of a broken connection nobody knows what it kept: unless it was never sent, or only reads. */
  const query: Database['query'] = async <Row> (text: string, values?: readonly unknown[]) => {
    const reads = /^\s*(select|table|values|show)\b/i.test(text) || (/^\s*with\b/i.test(text) && !/\b(insert|update|delete|merge)\b/i.test(text))
    const safe = async (error: unknown): Promise<boolean> => isRepeatable(error) || isUnsent(error) ||
      (reads && isLost(error) && !(isEnded(error) && await primary.stands())) // a statement that somebody ended stays ended; a server that stops ends all
    const run = (statement: Statement) => using(async client => {
      const asked: QueryConfig & { readonly query_timeout?: number } = { ...statement(text, values), ...(reads ? {} : { query_timeout: commitWithin }) }
      const { rows } = await client.query(asked).catch((error: unknown) => {
        if (reads || !isLost(error) || isUnsent(error)) throw error
        throw new BedplateError('TRANSACTION_UNKNOWN', { reason: `the connection to the database broke before it was answered (${reasonOf(error)})` }, error)
      })
      if (unreplicated(client)) throw new BedplateError('TRANSACTION_UNKNOWN', { reason: cutShort })
      return rows as Row[]
    })
    return await retrying(safe, statement => reads ? run(statement) : writers.take(() => run(statement)))
  }

  async function tx<T> (work: (tx: Tx) => Promise<T>): Promise<T> {
    const { value, changed } = await retrying(error => isRepeatable(error) || isLost(error), statement => writers.take(() => using((client, damaged) => transact(client, work, damaged, statement))))
    if (changed) tell()
    return value
  }

  const handle: DatabaseHandle = {
    query,
    async once<Row> (one: Once) {
      const text = withLog(one)
      const kept = await (claimed() ? tx(tx => tx.query<Row>(text, one.values)) : query<Row>(text, one.values)).catch((error: unknown) => { throw refused(error) }) // a claim is marked by a statement of its own
      tell()
      return kept
    },
    tx,
    feed: createFeed({ query, listen: listener.listen, clock, log }),
    listen: listener.listen,
    session: () => session(),
    migrate: (sets, self) => migrate({ sets, version, log, clock, self, open: () => session('0') }),
    health: () => primary.trouble === undefined ? primary.warning === undefined ? running : degraded(primary.warning) : dead(`no database server accepts writes: ${primary.trouble}`),
    hurry: () => { primary.hurry() },
    async close () {
      await listener.close()
      await telling
      await primary.close()
    }
  }
  await primary.tenure().catch(async (error: unknown) => { await primary.close(); throw error })
  return handle
}
