/** Real pairs of servers under a load of writes: promoted, killed, paused and cut off. When writes resume, what is lost, and where nothing is written any more. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSession } from '../../core/database/connection.ts'
import { fence } from '../../core/database/fence.ts'
import type { Change } from '../../core/database/database.ts'
import { coreMigrations } from '../../core/database/migrate.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle, DatabaseOptions } from '../../core/database/pool.ts'
import { standingQuery } from '../../core/database/standing.ts'
import type { Standing } from '../../core/database/standing.ts'
import { hasCode, reasonOf } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { createServers } from '../kit/servers.ts'
import type { Server, Servers } from '../kit/servers.ts'
import { until } from '../kit/wait.ts'

const log = createLogger('silent')
const soon = 5000 // ms: what docs/adr/0008 allows between the promotion and the first write
let servers: Servers
let first: Server
let second: Server
const handles: DatabaseHandle[] = []
const loads: Load[] = []

beforeEach(async () => {
  servers = await createServers()
  first = await servers.primary('first')
  second = await servers.standby('second', first)
})
afterEach(async () => {
  try {
    for (const load of loads.splice(0)) await load.stop()
    for (const handle of handles.splice(0)) { await handle.feed.service.stop(); await handle.close() }
  } finally { await servers.destroy() }
})

async function open (hosts: readonly Server[] = [first, second], options: Partial<DatabaseOptions> = {}): Promise<DatabaseHandle> {
  const handle = await openDatabase({ hosts: hosts.map(({ host, port }) => ({ host, port })), database: servers.database, user: servers.user, password: servers.password, log, size: 4, ...options })
  handles.push(handle)
  return handle
}

interface Load { readonly acknowledged: Map<number, number>, readonly unknown: Set<number>, readonly refused: unknown[], stop(): Promise<void> }
/** Transactions such as the API makes, one after the other from two clients of each handle: a row, and its line in the change log. Each number is used once. */
async function load (...through: readonly DatabaseHandle[]): Promise<Load> {
  await through[0]?.migrate([coreMigrations])
  await through[0]?.query('create table kept (n integer primary key)')
  const acknowledged = new Map<number, number>()
  const unknown = new Set<number>()
  const refused: unknown[] = []
  let next = 0
  let going = true
  const client = async (db: DatabaseHandle): Promise<void> => {
    while (going) {
      const n = ++next
      try {
        await db.tx(async tx => { await tx.query('insert into kept values ($1)', [n]); await tx.changed('test.kept', String(n)) })
        acknowledged.set(n, performance.now())
      } catch (error) {
        if (hasCode(error, 'TRANSACTION_UNKNOWN')) unknown.add(n)
        else refused.push(error)
      }
    }
  }
  const clients = through.flatMap(db => [client(db), client(db)])
  const made: Load = { acknowledged, unknown, refused, async stop () { going = false; await Promise.all(clients) } }
  loads.push(made)
  await until(() => acknowledged.size >= 50, { what: 'the load to be under way' })
  return made
}
const rows = async (server: Server): Promise<Set<number>> => new Set((await server.sql<{ n: number }>('select n from kept', { database: servers.database })).map(({ n }) => n))
const since = ({ acknowledged }: Load, moment: number): number[] => [...acknowledged.entries()].filter(([, at]) => at > moment).map(([n]) => n)

/** Promotes the standby; says how many ms later the first write that it took was acknowledged, and when the promotion returned. */
async function promoted (server: Server, running: Load, how: string): Promise<number> {
  await server.promote()
  const returned = performance.now()
  let there = new Set<number>()
  const resumed = (): number[] => since(running, returned).filter(n => there.has(n))
  await until(async () => { there = await rows(server); return resumed().length >= 8 }, { timeout: 30_000, interval: 100, what: 'writes to go on' })
  const after = Math.min(...resumed().map(n => running.acknowledged.get(n) ?? Infinity)) - returned
  const stray = since(running, returned).filter(n => !there.has(n) && (running.acknowledged.get(n) ?? Infinity) < returned + after)
  process.stdout.write(`${how}: the first write on the new primary ${Math.round(after)} ms after the promotion; ${running.unknown.size} unknown, ${stray.length} acknowledged by the old primary until then\n`)
  expect(after).toBeLessThan(soon)
  expect(running.refused.map(reasonOf)).toEqual([])
  return returned
}

describe('with an asynchronous standby', () => {
  test('a promotion while the old primary answers happily moves every handle at once; the old one is fenced, and then holds nothing that was acknowledged since', async () => {
    const running = await load(await open(), await open())
    await promoted(second, running, 'promotion beside a living primary')
    await until(async () => (await first.sql<{ on: boolean }>("select exists (select from pg_db_role_setting where 'default_transaction_read_only=on' = any(setconfig)) as on"))[0]?.on, { what: 'the old primary to be fenced' })
    const fenced = await rows(first)
    const moment = performance.now()
    await until(() => since(running, moment).length > 50)
    await running.stop()
    expect(await rows(first)).toEqual(fenced)
    const there = await rows(second)
    expect(since(running, moment).filter(n => !there.has(n))).toEqual([])
    await expect(openSession(first, { database: servers.database, user: servers.user, password: servers.password, applicationName: 'test' })).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
  })

  test('a primary that is killed loses the tail that was not sent yet, and nothing else', async () => {
    const running = await load(await open(), await open())
    await first.kill9()
    const died = performance.now()
    await promoted(second, running, 'SIGKILL')
    await running.stop()
    const there = await rows(second)
    const lost = [...running.acknowledged.entries()].filter(([n]) => !there.has(n))
    process.stdout.write(`SIGKILL: ${lost.length} of ${running.acknowledged.size} acknowledged writes lost\n`)
    // The tail: none of them older than what takes a busy machine to send, and none after the promotion.
    for (const [, at] of lost) { expect(at).toBeGreaterThan(died - 1000); expect(at).toBeLessThan(died + 100) }
  })

  test('a primary that hangs is left for the promoted one, and gets nothing more when it goes on', async () => {
    const running = await load(await open(), await open())
    await first.pause()
    const returned = await promoted(second, running, 'SIGSTOP')
    const before = running.acknowledged.size
    await first.resume()
    await until(() => first.sql<{ on: boolean }>("select exists (select from pg_db_role_setting where 'default_transaction_read_only=on' = any(setconfig)) as on").then(([row]) => row?.on, () => false), { what: 'the old primary to be fenced' })
    const old = await rows(first)
    await until(() => running.acknowledged.size > before + 50)
    await running.stop()
    expect(await rows(first)).toEqual(old)
    const there = await rows(second)
    expect(since(running, returned).filter(n => !there.has(n))).toEqual([])
  })

  test('a region that sees only the old primary cannot write there once another region has fenced it, and says why', async () => {
    const cutOff = await open([first], { every: 1000, patience: 1000 })
    await cutOff.query('create table kept (n integer)')
    await first.caughtUp(second)
    const all = await open()
    await second.promote()
    await until(() => cutOff.tx(tx => tx.query('insert into kept values (1)')).then(() => false, error => hasCode(error, 'DATABASE_UNREACHABLE') && /read-only/.test(reasonOf(error))), { what: 'the region that is cut off to be refused' })
    expect(cutOff.health()).toMatchObject({ state: 'dead', reason: expect.stringContaining('read-only') as string })
    await all.tx(tx => tx.query('insert into kept values (2)'))
    expect([...await rows(second)]).toEqual([2])
  })
})

describe('when the promoted server is lost for good', () => {
  const isFenced = async (server: Server): Promise<boolean> => (await server.sql<{ on: boolean }>("select exists (select from pg_db_role_setting where 'default_transaction_read_only=on' = any(setconfig)) as on"))[0]?.on === true
  const saying = (db: DatabaseHandle, words: string): Promise<unknown> => until(() => JSON.stringify(db.health()).includes(words), { timeout: 20_000, what: `health to say: ${words}` })

  test('the old one is neither used nor fenced by a region that knew the other, and is the primary when the regions were restarted', async () => {
    const db = await open(undefined, { patience: 2000 })
    await db.query('create table kept (n integer)')
    await first.caughtUp(second)
    await first.kill9()
    await second.promote()
    await db.query('insert into kept values (1)')
    const access = { database: servers.database, user: servers.user, password: servers.password, applicationName: 'test' }
    const [newest] = await second.sql<Standing>(standingQuery, { database: servers.database })
    if (!newest) throw new TypeError('no standing')
    expect([newest.timeline, await fence(second, access, newest)]).toEqual([2, undefined]) // a region that was held up, and takes it for the old one
    await second.kill9()
    await first.start()
    await saying(db, 'is lost for good: stop all regions, start them')
    const asked = async (): Promise<string> => (await first.sql<{ at: string }>("select max(query_start)::text as at from pg_stat_activity where query like '%pg_control_system%' and pid <> pg_backend_pid()"))[0]?.at ?? ''
    for (const _ of [1, 2]) {
      const before = await asked()
      await until(async () => await asked() > before, { what: 'it to be asked again' })
    }
    expect(await isFenced(first)).toBe(false)
    await expect(db.query('insert into kept values (2)')).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
    await db.close()
    const after = await open()
    await after.query('insert into kept values (3)')
    expect([...await rows(first)]).toEqual([3])
  })

  test('an old one that was fenced is the primary again by the statement that health names, and a restart of the regions', async () => {
    const db = await open(undefined, { patience: 2000 })
    await db.query('create table kept (n integer)')
    await first.caughtUp(second)
    await second.promote()
    await until(() => isFenced(first), { what: 'the old primary to be fenced' })
    await second.kill9()
    await saying(db, 'is lost for good: stop all regions, run')
    const undo = /run "(alter database .*? reset default_transaction_read_only)" there/.exec(reasonOf(await db.query('select 1').catch((error: unknown) => error)))?.[1] ?? ''
    await db.close()
    await first.sql(undo)
    const after = await open()
    await after.query('insert into kept values (1)')
    expect(await isFenced(first)).toBe(false)
  })
})

test('an old primary whose database is not ours is fenced for our user alone, and health says which right is missing, until it has joined again', async () => {
  const db = await open()
  await first.sql(`alter database ${servers.database} owner to postgres`)
  await first.caughtUp(second)
  await second.promote()
  await until(() => db.health().state === 'degraded', { what: 'the missing right to be told' })
  expect(db.health()).toMatchObject({ reason: expect.stringMatching(/read-only for Bedplate alone: bedplate does not own the database bedplate at .*alter database "bedplate" owner to "bedplate"/) as string })
  await expect(openSession(first, { database: servers.database, user: servers.user, password: servers.password, applicationName: 'test' })).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
  await first.rejoin(second)
  await until(() => db.health().state === 'running', { what: 'health to be well again' })
})

describe('with a synchronous standby', () => {
  test.each([['is killed', (server: Server) => server.kill9()], ['hangs', (server: Server) => server.pause()], ['goes on', async () => {}]])('nothing acknowledged is lost when the primary %s and the standby is promoted', async (how, hurt) => {
    await first.synchronous('second')
    const running = await load(await open(), await open())
    await hurt(first)
    await promoted(second, running, `synchronous, the primary ${how}`)
    await running.stop()
    const there = await rows(second)
    expect([...running.acknowledged.keys()].filter(n => !there.has(n))).toEqual([])
    expect(running.acknowledged.size).toBeGreaterThan(50)
  })

  test('a write whose wait for the standby is cut short is unknown, not done: a transaction, and a statement alone', async () => {
    await first.synchronous('second')
    const db = await open()
    await db.query('create table kept (n integer)')
    await second.pause()
    const cancel = async (): Promise<void> => { await until(async () => (await first.sql("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")).length > 0) }
    const transaction = db.tx(tx => tx.query('insert into kept values (1)'))
    await Promise.all([expect(transaction).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_UNKNOWN') && /standby/.test(reasonOf(error))), cancel()])
    const statement = db.query('insert into kept values ($1)', [2])
    await Promise.all([expect(statement).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_UNKNOWN')), cancel()])
    const session = await db.session()
    await Promise.all([expect(session.query('insert into kept values (3)')).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_UNKNOWN')), cancel()])
    await session.close()
    expect([...await rows(first)]).toEqual([1, 2, 3]) // there, and yet not safe
    const begun = performance.now()
    await Promise.all([db.tx(tx => tx.query('insert into kept values (0)')), db.query('insert into kept values (0)')] // nobody cancels: 15 s
      .map(each => expect(each).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_UNKNOWN'))))
    expect(performance.now() - begun).toBeLessThan(25_000)
    await until(async () => (await first.sql("select from pg_stat_activity where wait_event = 'SyncRep'")).length === 0, { what: 'the session that waited to be gone from the server too' })
    await second.resume()
    expect(await db.query('insert into kept values (4) returning n')).toEqual([{ n: 4 }]) // what was heard once is forgotten
  })
})

test('the feed says that everything is to be read again, listeners hear the new primary, and the old one joins again by pg_rewind', async () => {
  const db = await open([second, first]) // the standby first: order is no hint
  await db.migrate([coreMigrations])
  const heard: Change[] = []
  const told: string[] = []
  let gaps = 0
  db.feed.subscribe(changes => { heard.push(...changes) }, () => { gaps++ })
  db.listen('test', payload => { told.push(payload) })
  await db.feed.service.start(new AbortController().signal)
  await db.tx(tx => tx.changed('test.row', 'before'))
  await until(() => heard.length === 1)
  await first.caughtUp(second)
  await second.promote()
  await until(() => gaps === 1) // another timeline: commits may have been lost
  await db.tx(tx => tx.changed('test.row', 'after'))
  await until(() => heard.some(({ id }) => id === 'after'))
  await until(async () => { await db.query("select pg_notify('test', 'new')"); return told.includes('new') }, { interval: 50 })
  await first.rejoin(second)
  await second.caughtUp(first)
  expect(db.health()).toEqual({ state: 'running' })
  await first.sql('checkpoint')
  await second.stop()
  await first.promote() // and back
  await until(() => gaps === 2)
  await db.tx(tx => tx.changed('test.row', 'back'))
  await until(() => heard.some(({ id }) => id === 'back'))
})

test('who waits for a connection when the primary hangs goes on with the new one, not with a complaint that all are busy; who listens, too', async () => {
  const db = await open(undefined, { size: 1 })
  let told = 0
  db.listen('test', () => { told++ })
  await until(() => told === 1, { what: 'to be listening' })
  await db.query('create table kept (n integer)')
  await first.caughtUp(second)
  await first.pause()
  const waiting = [1, 2, 3, 4, 5].map(n => db.tx(tx => tx.query('insert into kept values ($1)', [n])))
  await second.promote()
  await Promise.all(waiting)
  await until(() => told === 2, { timeout: 5000, what: 'to be listening again, while the old primary still hangs' })
  expect([...await rows(second)].sort()).toEqual([1, 2, 3, 4, 5])
})

test('two servers of different databases are refused, and so are two that were both promoted', async () => {
  const foreign = await servers.primary('foreign')
  await expect(open([first, foreign], { patience: 100 })).rejects.toThrow(/no copies of each other/)
  const db = await open([first, second, foreign], { patience: 500 }).catch((error: unknown) => error)
  expect(hasCode(db, 'DATABASE_UNREACHABLE')).toBe(true)
  const third = await servers.standby('third', first)
  const all = await open([first, second, third], { patience: 100 })
  await first.kill9()
  await Promise.all([second.promote(), third.promote()])
  await until(() => JSON.stringify(all.health()).includes('both accept writes'), { what: 'two of one timeline to be refused' })
  await expect(all.query('select 1')).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
  await third.stop()
  expect(await all.query('select 1 as n')).toEqual([{ n: 1 }])
})

test('with no server that accepts writes the health says why, statements fail in time, and all is well when one comes back', async () => {
  const db = await open([first], { patience: 300, every: 1000 })
  await first.stop()
  await until(() => db.health().state === 'dead')
  await expect(db.query('select 1')).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE') && reasonOf(error).includes(first.at))
  await first.start()
  await until(() => db.health().state === 'running')
  expect(await db.query('select 1 as n')).toEqual([{ n: 1 }])
})
