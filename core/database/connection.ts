/** One connection to one server: options every session has, and a dedicated session for those who listen or lock. */
import { Client, types } from 'pg'
import type { ClientBase, ClientConfig } from 'pg'
import { systemClock } from '../clock.ts'
import { BedplateError } from '../errors.ts'
import type { Query } from './database.ts'
import { nameOf } from './host.ts'
import type { Host } from './host.ts'
import { instant } from './instant.ts'
import { cutShort, heedWarnings, unreplicated } from './replicated.ts'
import { accepts, standingQuery } from './standing.ts'
import type { Standing } from './standing.ts'

export { nameOf }
export type { Host }
export interface Access { readonly database: string, readonly user: string, readonly password?: string, readonly applicationName: string }

/** A connection of one's own. Ends when the server or the network does: `ended` aborts, and whoever holds it asks for another. */
export interface Session extends Query {
  readonly ended: AbortSignal
  readonly host: string
  onNotification(listener: (channel: string, payload: string) => void): void
  close(): Promise<void>
}

// A holder that vanishes without a word keeps its locks for over a minute with the kernel's defaults; 2.9 s with these.
const settings = { tcp_keepalives_idle: '1', tcp_keepalives_interval: '1', tcp_keepalives_count: '2', tcp_user_timeout: '5s', idle_in_transaction_session_timeout: '60s', lock_timeout: '10s', statement_timeout: '30s', client_min_messages: 'warning', timezone: 'UTC' } // the warnings: see replicated.ts
const parsers: Readonly<Record<number, (text: string) => unknown>> = { 1082: text => text, 1184: instant } // a date is a date: no midnight of some time zone

/** `local` settings replace the sessions' usual ones, e.g. a migration's longer timeouts. */
export const optionsFor = ({ host, port }: Host, { database, user, password, applicationName }: Access, local: Partial<typeof settings> = {}): ClientConfig => ({
  host,
  port,
  database,
  user,
  ...(password === undefined ? {} : { password }),
  application_name: applicationName.slice(0, 63),
  connectionTimeoutMillis: 5000,
  query_timeout: 35_000, // of the client: the server that would enforce its own may be gone
  keepAlive: true,
  keepAliveInitialDelayMillis: 1000,
  options: Object.entries({ ...settings, ...local }).map(([key, value]) => `-c ${key}=${value}`).join(' '),
  types: { getTypeParser: (oid: number, format?: 'text' | 'binary') => parsers[oid] ?? types.getTypeParser(oid, format as 'text') }
})

/** Breaks a connection at once. A polite end waits for the other side, which may hang; what is under way rejects as with any broken connection. */
export function sever (client: ClientBase & { readonly connection?: { readonly stream?: { destroy(): void } } }): void { client.connection?.stream?.destroy() }

/**
 * Connects a session of its own to `host`. It is cut when `gone` aborts: another server is the primary then.
 * @throws BedplateError DATABASE_UNREACHABLE when that host is read-only; the client library's error when it cannot be reached
 */
export async function openSession (host: Host, access: Access, statementTimeout = '30s', gone?: AbortSignal): Promise<Session> {
  const client = new Client({ ...optionsFor(host, access, { statement_timeout: statementTimeout }), ...(statementTimeout === '0' ? { query_timeout: 0 } : {}) })
  const end = new AbortController()
  const ended = (): void => { end.abort() }
  client.on('error', ended)
  client.on('end', ended)
  heedWarnings(client)
  const cut = (): void => { sever(client) }
  gone?.addEventListener('abort', cut, { once: true })
  end.signal.addEventListener('abort', () => { gone?.removeEventListener('abort', cut) }, { once: true })
  try {
    await client.connect()
    const { rows: [standing] } = await client.query<Standing>(standingQuery)
    if (!standing || !accepts(standing) || gone?.aborted) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: nameOf(host), reason: 'it is read-only' })
  } catch (error) {
    await client.end().catch(() => {})
    throw error
  }
  return {
    ended: end.signal,
    host: nameOf(host),
    onNotification (listener) { client.on('notification', ({ channel, payload }) => { listener(channel, payload ?? '') }) },
    async query<Row> (text: string, values?: readonly unknown[]) {
      const result = await client.query(text, values === undefined ? undefined : [...values])
      if (unreplicated(client)) throw new BedplateError('TRANSACTION_UNKNOWN', { reason: cutShort })
      return result.rows as Row[]
    },
    async close () {
      const closed = new AbortController()
      const closing = client.end().catch(() => {}).finally(() => { closed.abort() })
      await Promise.race([closing, systemClock.sleep(1000, closed.signal)])
      sever(client)
    }
  }
}
