/** The embedded PostgreSQL through crashes of the daemon, of itself, and of its own birth. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startEmbedded } from '../../core/database/embedded.ts'
import type { Connection, Embedded } from '../../core/database/embedded.ts'
import { openSession } from '../../core/database/connection.ts'
import { postmasterOf } from '../../core/database/postmaster.ts'
import { hasCode } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { onceEvent, until } from '../kit/wait.ts'

const log = createLogger('silent')
let directory = '' // of the server under test: one for most tests, since making a database is what takes the time
const made: string[] = []
const started: Embedded[] = []
const holders: ChildProcess[] = []
beforeAll(() => fresh())
afterEach(async () => {
  for (const child of holders.splice(0)) child.kill('SIGKILL')
  await Promise.all(started.splice(0).map(server => server.stop()))
  directory = made[0] ?? ''
})
afterAll(() => Promise.all(made.map(path => rm(path, { recursive: true, force: true }))))

/** An empty data directory for this test alone. */
async function fresh (): Promise<void> {
  directory = await mkdtemp(join(await realpath(tmpdir()), 'embedded-'))
  await chmod(directory, 0o755)
  made.push(directory)
}

async function start (): Promise<Embedded> {
  const server = await startEmbedded({ dataDirectory: directory, log, settings: { fsync: 'off' } })
  started.push(server)
  return server
}
async function query<Row> ({ connection }: { connection: Connection }, text: string): Promise<Row[]> {
  const session = await openSession(connection, { ...connection, applicationName: 'test' })
  try { return await session.query<Row>(text) } finally { await session.close() }
}
const pidOf = async ({ data }: Embedded): Promise<number> => (await until(() => postmasterOf(data))).pid

/** A child process that holds the server, as a daemon does. */
async function holder (): Promise<{ child: ChildProcess, report: { connection: Connection, data: string, adopted: boolean } }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'holder.ts'), directory, join(directory, 'system')], { stdio: ['ignore', 'pipe', 'inherit'] })
  holders.push(child)
  const [line] = await onceEvent(createInterface({ input: child.stdout }), 'line', { timeout: 30_000 })
  return { child, report: JSON.parse(String(line)) as { connection: Connection, data: string, adopted: boolean } }
}

describe('the embedded server', () => {
  test('starts on nothing, keeps what was written across a stop, and stops as often as asked', async () => {
    const first = await start()
    expect(first.adopted).toBe(false)
    await query(first, 'create table kept as select 42 as n')
    await Promise.all([first.stop(), first.stop()])
    await first.stop()
    await expect(query(first, 'select 1')).rejects.toThrow()
    expect(await query(await start(), 'select n from kept')).toEqual([{ n: 42 }])
  })

  test('listens on no TCP port, sorts by code point in UTF-8, keeps checksums, and tells time in UTC', async () => {
    const server = await start()
    const [row] = await query<Record<string, string>>(server, `select current_setting('listen_addresses') as tcp, current_setting('server_encoding') as encoding, current_setting('data_checksums') as checksums,
      current_setting('TimeZone') as zone, upper('é') as upper, (select string_agg(x, '' order by x) from unnest(array['b', 'a', 'B', 'é']) x) as sorted`)
    expect(row).toEqual({ tcp: '', encoding: 'UTF8', checksums: 'on', zone: 'UTC', upper: 'É', sorted: 'Babé' })
  })

  test('lives on when its daemon is killed, and the next one adopts it with its data', async () => {
    const { child, report } = await holder()
    await query(report, 'create table survived as select 7 as n')
    child.kill('SIGKILL')
    await onceEvent(child, 'exit')
    expect(await query(report, 'select n from survived')).toEqual([{ n: 7 }])
    const adopted = await start()
    expect(adopted).toMatchObject({ adopted: true, connection: report.connection })
    expect(await query(adopted, 'select n from survived')).toEqual([{ n: 7 }])
    await adopted.stop()
    await expect(query(adopted, 'select 1')).rejects.toThrow()
  })

  test('is one server for daemons that start on the same data at once', { timeout: 60_000 }, async () => {
    await fresh()
    const held = await Promise.all([holder(), holder(), holder()])
    expect(held.filter(({ report }) => !report.adopted)).toHaveLength(1)
    const pids = await Promise.all(held.map(async ({ report }) => await query(report, 'select pg_postmaster_start_time()')))
    expect(new Set(pids.map(rows => JSON.stringify(rows))).size).toBe(1)
    await start() // adopts it, and stops it in the end
  })

  test('does not hear Ctrl-C in the terminal of the daemon', async () => {
    const server = await start()
    const stat = async (pid: number): Promise<number> => Number((await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[3]) // its session
    expect(await stat(await pidOf(server))).not.toBe(await stat(process.pid))
  })

  test('recovers after it was itself killed, at once and without help', async () => {
    const server = await start()
    await query(server, 'create table written as select 1 as n')
    process.kill(await pidOf(server), 'SIGKILL')
    const again = await start()
    expect(again.adopted).toBe(false)
    expect(await query(again, 'select n from written')).toEqual([{ n: 1 }])
  })

  test('is not fooled by a stale postmaster.pid whose number another process has by now', async () => {
    const server = await start()
    const file = join(server.data, 'postmaster.pid')
    const text = await readFile(file, 'utf8')
    await server.stop()
    const innocent = spawn('sleep', ['60'], { stdio: 'ignore' })
    try {
      await writeFile(file, text.replace(/^\d+/, String(innocent.pid)))
      expect((await start()).adopted).toBe(false)
      await server.stop()
      expect(innocent.exitCode).toBeNull()
    } finally {
      innocent.kill('SIGKILL')
    }
  })

  test('is not fooled by a postmaster.pid that is cut off', async () => {
    const server = await start()
    await server.stop()
    await writeFile(join(server.data, 'postmaster.pid'), '')
    await expect(start()).resolves.toMatchObject({ adopted: false })
  })

  test('begins again when a first start was killed half-way', async () => {
    await fresh()
    await mkdir(join(directory, 'postgresql.new-999999999'))
    await writeFile(join(directory, 'postgresql.new-999999999', 'PG_VERSION'), '18\n')
    await start()
    expect((await readdir(directory)).sort()).toEqual(['postgresql', 'postgresql.lock'])
  })

  test('has its socket elsewhere when its directory is too deep for one', async () => {
    await fresh()
    directory = join(directory, 'deep'.repeat(12), 'deeper'.repeat(10))
    await mkdir(directory, { recursive: true })
    const server = await start()
    expect(Buffer.byteLength(server.connection.host)).toBeLessThan(90)
    expect(await query(server, 'select 1 as n')).toEqual([{ n: 1 }])
    await server.stop()
    await rm(server.connection.host, { recursive: true })
  })

  test('refuses a folder that holds something else, and harms nothing in it', async () => {
    await fresh()
    await mkdir(join(directory, 'postgresql'))
    await writeFile(join(directory, 'postgresql', 'diary.txt'), 'mine')
    await expect(start()).rejects.toSatisfy(error => hasCode(error, 'EMBEDDED_DATABASE') && /not empty/.test((error as Error).message))
    expect((await readdir(directory)).sort()).toEqual(['postgresql', 'postgresql.lock'])
    expect(await readFile(join(directory, 'postgresql', 'diary.txt'), 'utf8')).toBe('mine')
  })

  test('says what PostgreSQL said when it cannot start', async () => {
    const server = await start()
    await server.stop()
    const version = await readFile(join(server.data, 'PG_VERSION'), 'utf8')
    await writeFile(join(server.data, 'PG_VERSION'), '12\n')
    await expect(start()).rejects.toSatisfy(error => hasCode(error, 'EMBEDDED_DATABASE') && /version 12/.test((error as Error).message))
    await writeFile(join(server.data, 'PG_VERSION'), version)
  })
})
