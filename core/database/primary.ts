/** Which of the configured servers accepts writes, and the pool of connections to it. */
import { Pool } from 'pg'
import type { PoolClient } from 'pg'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { nameOf, optionsFor, sever } from './connection.ts'
import type { Access, Host } from './connection.ts'
import { endSession, fence } from './fence.ts'
import { Probe } from './probe.ts'
import { heedWarnings } from './replicated.ts'
import { accepts, judge, standingQuery } from './standing.ts'
import type { Answer, Known, Standing, Verdict } from './standing.ts'

/** `every`: ms between questions to each server where it stands; 0: only while a primary is looked for. */
export interface PrimaryOptions { readonly hosts: readonly Host[], readonly access: Access, readonly size: number, readonly log: Logger, readonly clock: Clock, readonly patience: number, readonly every: number }

/** One server's time as our primary. `gone` aborts when it is over. */
export interface Tenure { readonly host: Host, readonly gone: AbortSignal }
interface Holding extends Tenure { readonly standing: Standing, readonly pool: Pool, readonly end: AbortController, readonly clients: Set<PoolClient>, readonly waiting: Set<() => void> }

const lastAnswers = 5000 // ms; less than any part gets for its stop
const between = 200 // ms between looks while there is no primary
const others = 1000 // ms the other servers have to contradict one that says it was promoted
const again = 5000 // ms until a server that could not be fenced is tried again

/** Finds the primary, holds its pool, asks every server where it stands, and moves when another was promoted. */
export class Primary {
  readonly #options: PrimaryOptions
  readonly #probes: readonly Probe[]
  readonly #answers = new Map<Host, Answer & { readonly at: number }>()
  readonly #fencing = new Set<Host>()
  readonly #unfenced = new Map<Host, string>()
  readonly #past = new Set<Holding>()
  readonly #hurried = new AbortController()
  readonly #ended = new AbortController()
  #known: Known = { timeline: 0 }
  #now: Holding | undefined
  #last: Holding | undefined
  #look: Promise<Holding> | undefined
  #closed = false
  #trouble: string | undefined

  constructor (options: PrimaryOptions) {
    this.#options = options
    this.#probes = options.hosts.map(host => new Probe(host, options.access))
    if (options.every > 0) for (const probe of this.#probes) void this.#watch(probe)
  }

  /** Why there is no primary at the moment; undefined while there is one. */
  get trouble (): string | undefined { return this.#trouble }
  /** What is not as it should be though there is a primary. */
  get warning (): string | undefined { return this.#unfenced.size === 0 ? undefined : [...this.#unfenced.values()].join('; ') }
  get names (): string { return this.#options.hosts.map(nameOf).join(', ') }

  /** The server that accepts writes; looks for it for `patience` ms before it throws DATABASE_UNREACHABLE. */
  async tenure (): Promise<Tenure> { return await this.#current(this.#options.clock.monotonic() + this.#options.patience) }

  /** A client of the pool. Whoever takes it releases it: with an error when its connection is to be thrown away. Who waits goes on at once when the primary moves. */
  async client (): Promise<PoolClient> {
    const { clock, patience, size } = this.#options
    const deadline = clock.monotonic() + patience
    for (;;) {
      const now = await this.#current(deadline)
      try {
        const client = await connected(now)
        if (client) return client
      } catch (error) {
        const { pool } = now
        if (!this.#closed && this.#now === now && pool.totalCount - pool.idleCount >= size && pool.waitingCount > 0) throw new BedplateError('UNAVAILABLE', { reason: `all ${size} connections to the database are busy` }, error)
        this.lost(now.host, error)
        if (this.#hurried.signal.aborted || clock.monotonic() >= deadline) throw this.#unreachable(error)
        await clock.sleep(50, this.#hurried.signal)
      }
    }
  }

  /** Something said that `host` is not to be written to, or not to be reached: the next who asks looks again. */
  lost (host: Host, why: unknown): void {
    const now = this.#now
    if (now?.host !== host) return
    this.#trouble = reasonOf(why)
    if (!this.#closed) this.#options.log.warn({ host: nameOf(host), reason: this.#trouble }, 'the database server was lost; looking for the one that accepts writes')
    this.#now = undefined
    this.#past.add(now)
    now.end.abort()
    for (const wake of [...now.waiting]) wake()
    void now.pool.end().catch(() => {}) // clients that are out come back and end then
  }

  /** The same, told by a client of the pool: it knows the server's address, not which of our hosts that was. */
  suspect (host: Host, why: unknown): void {
    if (this.#now && this.#now.host.host === host.host && this.#now.host.port === host.port) this.lost(this.#now.host, why)
  }

  /** A client whose answer nobody waits for any more: its session is ended at the server too, if that can be reached. */
  abandon (client: PoolClient & { readonly processID?: number | null }): void {
    const { access } = this.#options
    if (typeof client.processID === 'number') void endSession({ host: client.host, port: client.port }, access, client.processID).catch(() => {})
  }

  /** True when the primary is still the one it was, so that a session which an administrator ended was meant by itself. */
  async stands (): Promise<boolean> {
    const now = this.#now
    const standing = await this.#probes.find(({ host }) => host === now?.host)?.ask().catch(() => undefined)
    return standing !== undefined && accepts(standing) && standing.started === now?.standing.started && this.#now === now
  }

  /** The daemon is stopping: nobody waits any more for a server to be found, and only so long for the answer of one that may have fallen silent. What is cut off is rolled back. */
  hurry (): void {
    if (this.#hurried.signal.aborted) return
    this.#hurried.abort()
    void this.#options.clock.sleep(lastAnswers, this.#ended.signal).then(() => { if (!this.#ended.signal.aborted) for (const holding of [...this.#past, ...this.#now ? [this.#now] : []]) cut(holding) })
  }

  async close (): Promise<void> {
    this.#closed = true
    const now = this.#now
    this.#now = undefined
    now?.end.abort()
    await now?.pool.end().catch(() => {})
    this.#ended.abort()
    await Promise.all(this.#probes.map(probe => probe.close()))
  }

  #unreachable (cause: unknown): BedplateError { return new BedplateError('DATABASE_UNREACHABLE', { hosts: this.names, reason: reasonOf(cause) }, cause) }

  async #current (deadline: number): Promise<Holding> {
    const { clock } = this.#options
    for (;;) {
      if (this.#closed) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: this.names, reason: 'the pool is closed' })
      if (this.#now) return this.#now
      try { return await this.#search() } catch (error) {
        if (this.#closed || this.#hurried.signal.aborted || clock.monotonic() >= deadline) throw error
        await clock.sleep(between, this.#hurried.signal)
      }
    }
  }

  async #watch (probe: Probe): Promise<void> {
    const { clock, every } = this.#options
    const { signal } = this.#ended
    while (!signal.aborted) {
      await clock.sleep(this.#now ? every : Math.min(every, between), signal)
      if (this.#closed || signal.aborted) return
      if (!this.#now) { await this.#search().catch(() => {}); continue }
      await this.#ask(probe)
      this.#weigh()
    }
  }

  async #ask (probe: Probe): Promise<void> {
    const answer = await probe.ask().then(standing => ({ standing }), (error: unknown) => ({ reason: reasonOf(error) }))
    this.#answers.set(probe.host, { host: probe.host, ...answer, at: this.#options.clock.monotonic() })
  }

  /** What the answers since `from` say. */
  #judge (from: number): Verdict {
    const answers = this.#options.hosts.map((host): Answer => { const answer = this.#answers.get(host); return answer && answer.at >= from ? answer : { host } })
    const verdict = judge(answers, this.#known, this.#options.access.database)
    this.#known = verdict.known
    for (const host of verdict.fence) if (verdict.primary) void this.#fence(host, verdict.primary.host)
    for (const host of this.#unfenced.keys()) if (this.#answers.get(host)?.standing?.standby !== false) this.#unfenced.delete(host) // it is gone, or has joined again
    return verdict
  }

  /** Lets go of the primary when it is none any more, or another is. */
  #weigh (): void {
    const now = this.#now
    const { primary, known, trouble } = this.#judge(-Infinity)
    const answer = now && this.#answers.get(now.host)
    if (!answer || this.#closed) return
    const { standing } = answer
    if (standing && standing.started === primary?.standing.started) return
    if (!standing) return this.lost(now.host, `it does not answer: ${answer.reason}`) // what waits for it may still be answered
    this.lost(now.host, standing.timeline < known.timeline ? `${known.by} was promoted: it has timeline ${known.timeline}, this one ${standing.timeline}` : trouble || 'it accepts no more writes')
    cut(now)
  }

  #search (): Promise<Holding> { return this.#look ??= this.#find().finally(() => { this.#look = undefined }) }

  /** One look at all servers. Rejects with DATABASE_UNREACHABLE when none is the primary. */
  async #find (): Promise<Holding> {
    const { hosts, clock, log } = this.#options
    const begun = clock.monotonic()
    const answered = Promise.withResolvers<void>()
    const enough = new AbortController()
    let missing = hosts.length
    for (const probe of this.#probes) {
      void this.#ask(probe).then(() => {
        const standing = this.#answers.get(probe.host)?.standing
        if (--missing === 0) answered.resolve()
        // A server that hangs is not waited for when another has a higher timeline than it can have; the first time, and after a mere restart, all are.
        else if (standing && accepts(standing) && this.#last && standing.timeline > this.#last.standing.timeline) void clock.sleep(others, enough.signal).then(answered.resolve)
      })
    }
    this.#hurried.signal.addEventListener('abort', () => { answered.resolve() }, { once: true, signal: enough.signal })
    await answered.promise
    enough.abort()
    const { primary, trouble } = this.#judge(begun)
    if (!primary || this.#closed) {
      this.#trouble = trouble || 'the pool is closed'
      throw this.#unreachable(this.#trouble)
    }
    if (this.#trouble !== undefined) log.info({ host: nameOf(primary.host), timeline: primary.standing.timeline }, 'the database accepts writes again')
    this.#trouble = undefined
    for (const past of this.#past) {
      if (past.host !== primary.host) cut(past) // what is still out there must not be written any more, nor be waited for
      if (past.host !== primary.host || past.clients.size === 0) this.#past.delete(past)
    }
    return this.#last = this.#now = this.#open(primary.host, primary.standing)
  }

  /** Fences `host`, which `by` replaced; not when `by` answers no more by now. */
  async #fence (host: Host, by: Host): Promise<void> {
    const { access, log, clock } = this.#options
    if (this.#fencing.has(host)) return
    this.#fencing.add(host)
    const told = this.#unfenced.get(host)
    let why: string | undefined
    try {
      const replacing = this.#probes.find(each => each.host === by)
      if (replacing) await this.#ask(replacing)
      const newest = this.#answers.get(by)?.standing
      const done = newest && accepts(newest) ? await fence(host, access, newest) : undefined
      if (done) log.warn({ host: nameOf(host) }, 'a database server that was replaced still accepted writes; it is read-only now')
      if (done?.whole === false) why = `the old database server ${nameOf(host)} is read-only for Bedplate alone: ${done.missing}`
    } catch (error) {
      why = `the old database server ${nameOf(host)} accepts writes and could not be made read-only: ${reasonOf(error)}`
    }
    if (why === undefined) this.#unfenced.delete(host)
    else {
      this.#unfenced.set(host, why)
      if (why !== told) log.warn({ host: nameOf(host) }, why)
      await clock.sleep(again, this.#ended.signal)
    }
    const probe = this.#probes.find(each => each.host === host)
    if (probe && !this.#closed) await this.#ask(probe)
    this.#fencing.delete(host)
  }

  #open (host: Host, standing: Standing): Holding {
    const pool = new Pool({
      ...optionsFor(host, this.#options.access),
      max: this.#options.size,
      idleTimeoutMillis: 30_000,
      onConnect: async client => { // it may have been demoted since it was asked
        const { rows } = await client.query<Standing>(standingQuery)
        if (!rows[0] || !accepts(rows[0])) throw new BedplateError('DATABASE_UNREACHABLE', { hosts: nameOf(host), reason: 'it is read-only' })
      }
    })
    const end = new AbortController()
    const holding: Holding = { host, standing, pool, end, gone: end.signal, clients: new Set(), waiting: new Set() }
    pool.on('remove', client => { holding.clients.delete(client) })
    pool.on('error', error => { this.#options.log.debug({ err: error }, 'an idle database connection broke') })
    pool.on('connect', client => { holding.clients.add(client); client.on('error', () => {}); heedWarnings(client) }) // a broken client that is out rejects its query; unheard, the event would end the process
    return holding
  }
}

/** Ends what is out, in the middle of whatever it does. What was not being committed is rolled back. */
function cut ({ clients }: Holding): void { for (const client of [...clients]) sever(client) }

/** A client of its pool; undefined when its time ends while one is waited for. */
async function connected ({ pool, waiting, gone }: Holding): Promise<PoolClient | undefined> {
  const over = Promise.withResolvers<undefined>()
  const wake = (): void => { over.resolve(undefined) }
  const connecting = pool.connect()
  if (gone.aborted) wake()
  waiting.add(wake)
  try {
    const client = await Promise.race([connecting, over.promise])
    if (client) return client
  } finally { waiting.delete(wake) }
  connecting.then(late => { late.release(true) }, () => {})
  return undefined
}
