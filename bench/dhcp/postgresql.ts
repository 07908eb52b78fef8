/** PostgreSQL as Debian ships it, with its own defaults (fsync, synchronous commits), for ours and for Kea alike: on a Unix socket in the scratch folder. */
import { execFile, spawn } from 'node:child_process'
import { chmod, chown, mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { BedplateError } from '../../core/errors.ts'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from './cpu.ts'
import { cores } from './segment.ts'

const run = promisify(execFile)

export interface Postgresql {
  /** The folder of its socket: what others take as its host. */
  readonly host: string
  readonly pids: () => number[]
  /** Binds it, and all it starts from now on, to these processors. */
  pin(cpus: string): Promise<void>
  database(name: string): Promise<void>
  sql<Row>(database: string, text: string): Promise<Row[]>
  psql(database: string, file: string): Promise<void>
  stop(): Promise<void>
}

const user = 'postgres'
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' }

export async function startPostgresql (folder: string): Promise<Postgresql> {
  const [version] = (await readdir('/usr/lib/postgresql')).map(Number).sort((a, b) => b - a)
  const programs = `/usr/lib/postgresql/${version}/bin`
  const [uid, gid] = (await Promise.all(['-u', '-g'].map(async flag => Number((await run('id', [flag, user])).stdout)))) as [number, number]
  const [data, host] = [join(folder, 'data'), join(folder, 'socket')]
  for (const path of [folder, data, host]) { await mkdir(path, { recursive: true }); await chmod(path, path === folder ? 0o755 : 0o700); await chown(path, uid, gid) }
  await run(join(programs, 'initdb'), ['-D', data, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '-U', user], { uid, gid, env, cwd: folder })
  const log = await open(join(folder, 'log'), 'a')
  const child = spawn('taskset', ['-c', cores.all, join(programs, 'postgres'), '-D', data, '-k', host, '-c', 'listen_addresses=', '-c', 'shared_preload_libraries=pg_stat_statements'], { stdio: ['ignore', log.fd, log.fd], uid, gid, env, cwd: folder })
  await log.close()
  const gone = new Promise<void>(resolve => { child.once('exit', () => { resolve() }) })
  const pid = child.pid ?? 0

  async function sql<Row> (database: string, text: string): Promise<Row[]> {
    const client = new Client({ host, user, database })
    await client.connect()
    try { return (await client.query(text)).rows as Row[] } finally { await client.end() }
  }
  await until(() => { if (child.exitCode !== null) throw new BedplateError('UNAVAILABLE', { reason: `PostgreSQL ended; see ${join(folder, 'log')}` }); return sql(user, 'select 1') }, { timeout: 30_000, interval: 50, what: 'PostgreSQL to answer' })
  return {
    host,
    pids: () => treeOf(pid),
    async pin (cpus) { for (const each of treeOf(pid)) await run('taskset', ['-cp', cpus, String(each)]).catch(() => {}) }, // one that has just ended
    async database (name) {
      await sql(user, `do $$ begin if not exists (select from pg_roles where rolname = '${name}') then create role ${name} login superuser; end if; end $$`)
      await sql(user, `drop database if exists ${name} with (force)`)
      await sql(user, `create database ${name} owner ${name}`)
    },
    sql,
    async psql (database, file) { await run(join(programs, 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', '-h', host, '-U', database, '-d', database, '-f', file], { env }) },
    async stop () { child.kill('SIGINT'); await gone }
  }
}
