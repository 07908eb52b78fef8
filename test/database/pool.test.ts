/** The pool on a real server: sessions that are killed, cut or busy, and what is known to whom. */
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createFeed } from '../../core/database/feed.ts'
import { createListener } from '../../core/database/listen.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle, DatabaseOptions } from '../../core/database/pool.ts'
import { elsewhere, isDoubtful, isLost, isRefusal, isRepeatable, repeatable } from '../../core/database/sqlstate.ts'
import { BedplateError, hasCode } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { server, testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { onceEvent, until } from '../kit/wait.ts'

let db: TestDatabase
const handles: DatabaseHandle[] = []
const proxies: Server[] = []
beforeAll(async () => { db = await testDatabase() })
afterAll(() => db.drop())
afterEach(async () => {
  for (const proxy of proxies.splice(0)) proxy.close()
  for (const handle of handles.splice(0)) await handle.close()
})
async function open (options: Partial<DatabaseOptions> = {}): Promise<DatabaseHandle> {
  const handle = await openDatabase({ ...db.options, ...options })
  handles.push(handle)
  return handle
}

/** A TCP port that leads to the server, and can be cut, or muted: open, but nothing gets through. The server sees the account of this process at its socket. */
async function proxy (): Promise<{ port: number, cut(): void, mute(): void, unmute(): void }> {
  const sockets = new Set<Socket>()
  let muted = false
  const listening = createServer(client => {
    const upstream = connect(join(server().host, `.s.PGSQL.${server().port}`))
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from)
      from.on('data', data => { if (!muted) to.write(data) }).on('error', () => {}).on('close', () => { to.destroy(); sockets.delete(from) })
    }
  }).listen(0, '127.0.0.1')
  proxies.push(listening)
  await onceEvent(listening, 'listening')
  return {
    port: (listening.address() as { port: number }).port,
    cut () { for (const socket of sockets) socket.destroy() },
    mute () { muted = true },
    unmute () { muted = false }
  }
}

test('a pool that is hurried waits no more for a server to come back', async () => {
  const { port, cut } = await proxy()
  const handle = await open({ hosts: [{ host: '127.0.0.1', port }], patience: 600_000 })
  for (const listening of proxies) listening.close()
  cut()
  const asked = handle.query('select 1').then(() => 'answered', (error: unknown) => error)
  await until(() => handle.health().state === 'dead', { what: 'the search to have begun' })
  handle.hurry()
  expect(await asked).toMatchObject({ code: 'DATABASE_UNREACHABLE' })
})

describe('the pool', () => {
  test('goes on when idle sessions are killed, without an unhandled error', async () => {
    const handle = await open({ applicationName: 'idle ones' })
    await Promise.all([1, 2, 3].map(() => handle.query('select pg_sleep(0.05)')))
    const killed = await db.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'idle ones'")
    expect(killed.length).toBeGreaterThanOrEqual(3)
    await until(async () => (await db.query("select from pg_stat_activity where application_name = 'idle ones'")).length === 0)
    expect(await handle.tx(tx => tx.query('select 1 as n'))).toEqual([{ n: 1 }])
  })

  test('tells a statement whose session was killed as a database that could not be reached, and repeats nothing', async () => {
    const handle = await open({ applicationName: 'busy one', size: 1 })
    const asleep = handle.query('select pg_sleep(30)')
    asleep.catch(() => {})
    await until(async () => (await db.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'busy one' and query like '%pg_sleep%'")).length > 0)
    await expect(asleep).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
    expect(await handle.query('select 1 as n')).toEqual([{ n: 1 }])
  })

  test('repeats a transaction whose line was cut', async () => {
    const line = await proxy()
    const handle = await open({ hosts: [{ host: '127.0.0.1', port: line.port }] })
    let runs = 0
    await handle.tx(async tx => {
      runs++
      await tx.query('select 1')
      if (runs === 1) line.cut()
      await tx.query('select 2')
    })
    expect(runs).toBe(2)
  })

  test('says that all connections are busy, rather than that the server is gone', async () => {
    const handle = await open({ size: 1 })
    const free = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const holding = handle.tx(async () => { held.resolve(); await free.promise })
    await held.promise
    const waiting = [handle.query('select 1'), handle.query('select 2')]
    const results = await Promise.allSettled(waiting)
    expect(results.some(result => result.status === 'rejected' && hasCode(result.reason, 'UNAVAILABLE'))).toBe(true)
    expect(handle.health()).toEqual({ state: 'running' })
    free.resolve()
    await holding
  })

  test('that is full of transactions still has connections for what only reads', async () => {
    const handle = await open({ size: 4 })
    const free = Promise.withResolvers<void>()
    const holding = Array.from({ length: 6 }, () => handle.tx(async () => await free.promise))
    expect(await handle.query('select 1 as one')).toEqual([{ one: 1 }])
    free.resolve()
    await Promise.all(holding)
  })

  test('is not opened on a port where nobody listens, and says where it looked', async () => {
    await expect(openDatabase({ ...db.options, hosts: [{ host: '127.0.0.1', port: 1 }, { host: '::1', port: 1 }], patience: 100 })).rejects.toSatisfy(error =>
      hasCode(error, 'DATABASE_UNREACHABLE') && /127\.0\.0\.1:1.*::1:1/.test((error as Error).message))
  })

  test('that is closed refuses at once', async () => {
    const handle = await openDatabase(db.options)
    await handle.close()
    await handle.close()
    await expect(handle.query('select 1')).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
    expect(await until(() => db.query('select 1 as n'))).toEqual([{ n: 1 }])
  })

  test('gives each session the limits that keep a lost holder from keeping its locks', async () => {
    const settings = await db.query<{ name: string, setting: string }>("select name, setting from pg_settings where name in ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'TimeZone') order by name")
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({ idle_in_transaction_session_timeout: '60000', lock_timeout: '10000', statement_timeout: '30000', TimeZone: 'UTC' })
  })
})

describe('a listener', () => {
  test('whose line goes dead without a word costs a change no more than the periodic read, is replaced, and stops at once', async () => {
    const line = await proxy()
    const far = await open({ hosts: [{ host: '127.0.0.1', port: line.port }], applicationName: 'far' })
    const log = createLogger('silent')
    const listener = createListener({ session: far.session, clock: systemClock, log, heartbeat: 100 })
    const feed = createFeed({ query: db.query, listen: listener.listen, clock: systemClock, log, every: 300 })
    const heard: string[] = []
    feed.subscribe(changes => { for (const { id } of changes) heard.push(id) })
    await feed.service.start(new AbortController().signal)
    await until(async () => (await db.query("select from pg_stat_activity where application_name = 'far' and query = 'select 1'")).length > 0)
    line.mute()
    await db.tx(tx => tx.changed('test.row', 'in the dark'))
    await until(() => heard.includes('in the dark'))
    line.cut()
    line.unmute()
    const woken = Promise.withResolvers<void>()
    listener.listen('hello', payload => { if (payload === 'there') woken.resolve() })
    await until(async () => { await db.query("select pg_notify('hello', 'there')"); return await Promise.race([woken.promise.then(() => true), new Promise(resolve => { setImmediate(resolve, false) })]) })
    line.mute()
    await feed.service.stop() // nobody answers any more: what waited for an answer would wait until the test times out
    await listener.close()
  })
})

describe('a session of one\'s own', () => {
  test('says when it has ended', async () => {
    const session = await db.session()
    const [row] = await session.query<{ pid: number }>('select pg_backend_pid() as pid')
    expect(session.ended.aborted).toBe(false)
    await db.query('select pg_terminate_backend($1)', [row?.pid])
    await until(() => session.ended.aborted)
    await session.close()
  })
})

describe('an error of PostgreSQL', () => {
  const coded = (code: string): Error => Object.assign(new TypeError('x'), { code })
  test('that can be repeated, or says to look elsewhere, has a reason in the table', () => {
    for (const [code, reason] of [...Object.entries(repeatable), ...Object.entries(elsewhere)]) expect([code, reason.length > 10]).toEqual([code, true])
    expect(Object.keys(repeatable).filter(code => code in elsewhere)).toEqual([])
  })
  test.each([
    ['40001', { repeatable: true, lost: false, refusal: true, doubtful: false }],
    ['23505', { repeatable: false, lost: false, refusal: true, doubtful: false }],
    ['25006', { repeatable: false, lost: true, refusal: true, doubtful: true }],
    ['57P01', { repeatable: false, lost: true, refusal: false, doubtful: false }],
    ['ECONNREFUSED', { repeatable: false, lost: true, refusal: false, doubtful: true }],
    ['ENOENT', { repeatable: false, lost: true, refusal: false, doubtful: true }],
    ['08006', { repeatable: false, lost: true, refusal: false, doubtful: true }]
  ])('%s is judged %o', (code, judged) => {
    const error = coded(code)
    expect({ repeatable: isRepeatable(error), lost: isLost(error), refusal: isRefusal(error), doubtful: isDoubtful(error) }).toEqual(judged)
  })
  test.each([undefined, null, 'text', 42, {}, new TypeError('a bug'), new BedplateError('CONFLICT', { reason: 'x' })])('%o is none', thrown => {
    expect([isRepeatable(thrown), isLost(thrown), isRefusal(thrown)]).toEqual([false, false, false])
  })
})
