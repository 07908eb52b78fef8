/** Two servers, a primary and its standby: the pool finds the one that accepts writes, follows a promotion, and does not go back to the old one. */
import { execFile } from 'node:child_process'
import { appendFile, chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSession } from '../../core/database/connection.ts'
import type { Change } from '../../core/database/database.ts'
import { startEmbedded } from '../../core/database/embedded.ts'
import type { Embedded } from '../../core/database/embedded.ts'
import { coreMigrations } from '../../core/database/migrate.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { hasCode } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { until } from '../kit/wait.ts'

const run = promisify(execFile)
const log = createLogger('silent')
const signal = new AbortController().signal
let root = ''
const servers: Embedded[] = []
const handles: DatabaseHandle[] = []

beforeEach(async () => {
  root = await mkdtemp(join(await realpath(tmpdir()), 'pair-'))
  await chmod(root, 0o755)
})
afterEach(async () => {
  for (const handle of handles.splice(0)) { await handle.feed.service.stop(); await handle.close() }
  await Promise.all(servers.splice(0).map(server => server.stop()))
  await rm(root, { recursive: true, force: true })
})

async function start (name: string, settings: Readonly<Record<string, string>> = {}): Promise<Embedded> {
  const server = await startEmbedded({ dataDirectory: join(root, name), log, settings: { fsync: 'off', ...settings } })
  servers.push(server)
  return server
}
async function open (hosts: readonly Embedded[], patience = 15_000): Promise<DatabaseHandle> {
  const handle = await openDatabase({ hosts: hosts.map(({ connection: { host, port } }) => ({ host, port })), database: 'bedplate', user: 'bedplate', log, size: 4, patience })
  handles.push(handle)
  return handle
}

/** A primary with the core's tables, and a standby that follows it. */
async function pair (): Promise<{ primary: Embedded, standby: Embedded }> {
  const first = await start('first')
  const handle = await open([first])
  await handle.migrate([coreMigrations])
  await first.stop()
  await appendFile(join(first.data, 'pg_hba.conf'), 'local replication all peer map=bedplate\n')
  await mkdir(join(root, 'second'))
  await run('cp', ['-a', first.data, join(root, 'second', 'postgresql')])
  await writeFile(join(root, 'second', 'postgresql', 'standby.signal'), '')
  const primary = await start('first')
  const standby = await start('second', { primary_conninfo: `host=${primary.connection.host} user=bedplate` })
  return { primary, standby }
}
const promote = async ({ connection }: Embedded): Promise<void> => { await run(process.execPath, ['--input-type=module', '-e', `import pg from 'pg'; const c = new pg.Client(${JSON.stringify(connection)}); await c.connect(); await c.query('select pg_promote()'); await c.end()`], { cwd: import.meta.dirname }) }

test('the pool writes to the primary only, follows a promotion within seconds, and stays there when the old one comes back', async () => {
  const { primary, standby } = await pair()
  const db = await open([standby, primary]) // the standby first: order is no hint
  await db.query('create table kept (n integer)')
  await db.query('insert into kept values (1)')
  const heard: Change[] = []
  let gaps = 0
  db.feed.subscribe(changes => { heard.push(...changes) }, () => { gaps++ })
  await db.feed.service.start(signal)
  await db.tx(tx => tx.changed('test.row', 'before'))
  await until(() => heard.length === 1)
  await expect(openSession(standby.connection, { ...standby.connection, applicationName: 'test' })).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE'))
  await until(async () => (await db.query("select from pg_stat_replication where state = 'streaming' and replay_lsn = pg_current_wal_lsn()")).length === 1, { what: 'the standby has everything' })

  await primary.stop()
  const writing = db.tx(tx => tx.query('insert into kept values (2)')) // while there is no primary at all
  await promote(standby)
  const begun = performance.now()
  await writing
  expect(performance.now() - begun).toBeLessThan(5_000)
  expect(db.health()).toEqual({ state: 'running' })
  await until(() => gaps === 1) // another timeline: commits may have been lost, so everything is read again
  await db.tx(tx => tx.changed('test.row', 'after'))
  await until(() => heard.some(({ id }) => id === 'after'))

  await start('first') // nobody told it: it takes itself for the primary still
  const other = await open([primary, standby])
  await other.tx(tx => tx.query('insert into kept values (3)'))
  await db.tx(tx => tx.query('insert into kept values (4)'))
  expect(await db.query('select n from kept order by n')).toEqual([1, 2, 3, 4].map(n => ({ n })))
})

test('a primary that is fenced while in use is left alone for the one that accepts writes', async () => {
  const [a, b] = [await start('a'), await start('b')]
  for (const server of [a, b]) await (await open([server])).query('create table kept as select $1::text as at', [server.data])
  const db = await open([a, b])
  const [first] = await db.query<{ at: string }>('select at from kept')
  const [fenced, free] = first?.at === a.data ? [a, b] : [b, a]
  const session = await openSession(fenced.connection, { ...fenced.connection, applicationName: 'test' })
  await session.query('alter system set default_transaction_read_only = on')
  await session.query('select pg_reload_conf()')
  await until(async () => (await session.query<{ on: string }>("select current_setting('default_transaction_read_only') as on"))[0]?.on === 'on')
  await session.close()
  await db.tx(tx => tx.query("insert into kept values ('written')"))
  expect(await db.query('select at from kept')).toEqual([{ at: free.data }, { at: 'written' }])
})

test('with no server that accepts writes the health says why, statements fail in time, and all is well when one comes back', async () => {
  const a = await start('a')
  const db = await open([a], 300)
  await a.stop()
  await expect(db.query('select 1')).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE') || /terminat|ECONN|ENOENT/.test((error as Error).message))
  await expect(db.query('select 1')).rejects.toSatisfy(error => hasCode(error, 'DATABASE_UNREACHABLE') && (error as Error).message.includes(a.connection.host))
  expect(db.health()).toMatchObject({ state: 'dead', reason: expect.stringContaining(a.connection.host) as string })
  await start('a')
  expect(await db.query('select 1 as n')).toEqual([{ n: 1 }])
  expect(db.health()).toEqual({ state: 'running' })
})
