/** Which of the configured servers accepts writes, and the pool of connections to it. */
import { Client, Pool } from 'pg'
import type { PoolClient } from 'pg'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { nameOf, optionsFor, standingQuery } from './connection.ts'
import type { Access, Host, Standing } from './connection.ts'

export interface PrimaryOptions { readonly hosts: readonly Host[], readonly access: Access, readonly size: number, readonly log: Logger, readonly clock: Clock, readonly patience: number }

const lastAnswers = 5000 // ms; less than any part gets for its stop

/** Finds the primary, holds its pool, and looks again when `lost` is told that it no longer is one. */
export class Primary {
  readonly #options: PrimaryOptions
  #pool: { readonly host: Host, readonly pool: Pool } | undefined
  #search: Promise<{ host: Host, pool: Pool }> | undefined
  #closed = false
  readonly #hurried = new AbortController()
  readonly #ended = new AbortController()
  readonly #busy = new Set<PoolClient>()
  #trouble: string | undefined

  constructor (options: PrimaryOptions) { this.#options = options }

  /** Why there is no primary at the moment; undefined while there is one. */
  get trouble (): string | undefined { return this.#trouble }
  get names (): string { return this.#options.hosts.map(nameOf).join(', ') }

  /** The host that accepts writes; looks for it for `patience` ms before it throws DATABASE_UNREACHABLE. */
  async host (): Promise<Host> { return (await this.#current()).host }

  /** A client of the pool. Whoever takes it releases it: with an error when its connection is to be thrown away. */
  async client (): Promise<PoolClient> {
    const { clock, patience, size } = this.#options
    const deadline = clock.monotonic() + patience
    for (;;) {
      const current = await this.#current(deadline)
      try {
        return await current.pool.connect()
      } catch (error) {
        if (!this.#closed && current.pool.totalCount - current.pool.idleCount >= size && current.pool.waitingCount > 0) throw new BedplateError('UNAVAILABLE', { reason: `all ${size} connections to the database are busy` }, error)
        this.lost(current.host, error)
        if (this.#hurried.signal.aborted || clock.monotonic() >= deadline) throw this.#unreachable(error)
        await clock.sleep(50, this.#hurried.signal)
      }
    }
  }

  /** Something said that `host` is not to be written to, or not to be reached: the next who asks looks again. */
  lost (host: Host, why: unknown): void {
    if (this.#pool?.host !== host) return
    this.#trouble = reasonOf(why)
    if (!this.#closed) this.#options.log.warn({ host: nameOf(host), reason: this.#trouble }, 'the database server was lost; looking for the one that accepts writes')
    this.#drop()
  }

  /** The same, told by a client of the pool: it knows the server's address, not which of our hosts that was. */
  suspect (host: Host, why: unknown): void {
    if (this.#pool && this.#pool.host.host === host.host && this.#pool.host.port === host.port) this.lost(this.#pool.host, why)
  }

  /** The daemon is stopping: nobody waits any more for a server to be found, and only so long for the answer of one that may have fallen silent. What is cut off is rolled back. */
  hurry (): void {
    if (this.#hurried.signal.aborted) return
    this.#hurried.abort()
    void this.#options.clock.sleep(lastAnswers, this.#ended.signal).then(() => { if (!this.#ended.signal.aborted) for (const client of [...this.#busy]) void client.end().catch(() => {}) })
  }

  async close (): Promise<void> {
    this.#closed = true
    const pool = this.#pool?.pool
    this.#pool = undefined
    await pool?.end().catch(() => {})
    this.#ended.abort()
  }

  #drop (): void {
    const pool = this.#pool?.pool
    this.#pool = undefined
    void pool?.end().catch(() => {}) // clients that are out come back and end then
  }

  #unreachable (cause: unknown): BedplateError { return new BedplateError('DATABASE_UNREACHABLE', { hosts: this.names, reason: reasonOf(cause) }, cause) }

  async #current (deadline?: number): Promise<{ host: Host, pool: Pool }> {
    if (this.#closed) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: this.names, reason: 'the pool is closed' })
    if (this.#pool) return this.#pool
    this.#search ??= this.#find(deadline ?? this.#options.clock.monotonic() + this.#options.patience).finally(() => { this.#search = undefined })
    return await this.#search
  }

  async #find (deadline: number): Promise<{ host: Host, pool: Pool }> {
    const { hosts, clock, log } = this.#options
    for (let wait = 50; ; wait = Math.min(1000, wait * 2)) {
      const answers = await Promise.all(hosts.map(async host => await this.#ask(host).then(standing => ({ host, standing }), (error: unknown) => ({ host, error }))))
      let best: { host: Host, timeline: string } | undefined
      for (const answer of answers) if ('standing' in answer && answer.standing.writable && answer.standing.timeline > (best?.timeline ?? '')) best = { host: answer.host, timeline: answer.standing.timeline }
      if (best && !this.#closed) {
        if (this.#trouble !== undefined) log.info({ host: nameOf(best.host), timeline: best.timeline }, 'the database accepts writes again')
        this.#trouble = undefined
        return this.#pool = { host: best.host, pool: this.#open(best.host) }
      }
      this.#trouble = answers.map(answer => `${nameOf(answer.host)}: ${'error' in answer ? reasonOf(answer.error) : 'it is read-only'}`).join('; ')
      if (this.#closed || this.#hurried.signal.aborted || clock.monotonic() >= deadline) throw this.#unreachable(this.#trouble)
      await clock.sleep(wait, this.#hurried.signal)
    }
  }

  async #ask (host: Host): Promise<Standing> {
    const client = new Client({ ...optionsFor(host, this.#options.access), connectionTimeoutMillis: 2000, query_timeout: 2000 })
    client.on('error', () => {}) // the query rejects with it
    try {
      await client.connect()
      const { rows } = await client.query<Standing>(standingQuery)
      return rows[0] ?? { writable: false, timeline: '' }
    } finally {
      void client.end().catch(() => {})
    }
  }

  #open (host: Host): Pool {
    const pool = new Pool({
      ...optionsFor(host, this.#options.access),
      max: this.#options.size,
      idleTimeoutMillis: 30_000,
      onConnect: async client => { // it may have been demoted since it was asked
        const { rows } = await client.query<Standing>(standingQuery)
        if (rows[0]?.writable !== true) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: nameOf(host), reason: 'it is read-only' })
      }
    })
    pool.on('acquire', client => { this.#busy.add(client) })
    pool.on('release', (_error, client) => { this.#busy.delete(client) })
    pool.on('error', error => { this.#options.log.debug({ err: error }, 'an idle database connection broke') })
    pool.on('connect', client => { client.on('error', () => {}) }) // a broken client that is out rejects its query; unheard, the event would end the process
    return pool
  }
}
