/** Real PostgreSQL servers of the system's packages: a primary and its standbys in streaming replication, to be promoted, killed, paused and joined again. Needs no vitest. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { commands, fill, hbaLines, roleStatements } from './replication.ts'
import { scratch } from './scratch.ts'
import { until } from './wait.ts'

const run = promisify(execFile)

/** Where a server listens. `namespace` is the name of a network namespace (root only); `address` one of its own. The default is a free port of 127.0.0.1. */
export interface Place { readonly namespace?: string, readonly address?: string, readonly port?: number, readonly settings?: Readonly<Record<string, string>> }
export interface ServersOptions {
  readonly folder?: string // an empty one that the server's account may enter; the default is a temporary one, which goes with `destroy`
  readonly database?: string // default `bedplate`; made with an owner of that name
  readonly password?: string // of the owner and of `replicator`
  readonly settings?: Readonly<Record<string, string>> // of every server
  readonly allow?: readonly string[] // networks that may connect, default all
}
export interface Server {
  readonly name: string
  readonly data: string
  readonly host: string
  readonly port: number
  /** Host and port as `database.hosts` takes them. */
  readonly at: string
  readonly running: boolean
  readonly pid: number | undefined
  /** A statement as the superuser, through the server's Unix socket, which no network namespace hides. Rejects after `timeout` ms (default 10,000). */
  sql<Row = Record<string, unknown>>(text: string, options?: { readonly database?: string, readonly timeout?: number }): Promise<Row[]>
  start(): Promise<void>
  /** A shutdown in order (`fast`): what was committed reaches the standbys first. */
  stop(): Promise<void>
  /** SIGKILL to the server and all its processes. */
  kill9(): Promise<void>
  /** SIGSTOP and SIGCONT to the server and all its processes. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Makes a standby the primary. Resolves when it accepts writes. */
  promote(): Promise<void>
  /** Says which standbys a commit waits for (`synchronous_standby_names`); '' for none. */
  synchronous(names: string): Promise<void>
  /** Makes this server, which is stopped here if it runs, a standby of `primary`: by pg_rewind, or by a new copy. */
  rejoin(primary: Server, how?: 'rewind' | 'copy'): Promise<void>
  /** Resolves when `standby` has everything this primary has. */
  caughtUp(standby: Server): Promise<void>
}
export interface Servers {
  readonly folder: string
  readonly database: string
  readonly user: string
  readonly password: string
  /** The uid and gid to run other programs as (Patroni, etcd); empty when this process is no root. */
  readonly identity: { readonly uid?: number, readonly gid?: number }
  readonly binaries: string
  primary(name: string, place?: Place): Promise<Server>
  standby(name: string, of: Server, place?: Place): Promise<Server>
  /** Kills everything at once and removes the folder if it made it. */
  destroy(): Promise<void>
}

export const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' }

const living = new Set<number>()
// A process that ends early leaves no server behind.
process.once('exit', () => { for (const pid of living) for (const each of [pid, ...childrenOf(pid)]) try { process.kill(each, 'SIGKILL') } catch { /* ended by itself */ } })

/** A server's own processes lead sessions and groups of their own, so they are found by their parent. */
function childrenOf (pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number).filter(each => each > 0)
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(String((error as NodeJS.ErrnoException).code))) return [] // ended by itself
    throw error
  }
}

/** SIGKILL to a process and its children. */
export function killTree (pid: number): void {
  for (const each of [...childrenOf(pid), pid]) try { process.kill(each, 'SIGKILL') } catch { /* ended by itself */ }
}

/** The newest installed server's programs. */
export async function findBinaries (): Promise<string> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => [])
  const newest = versions.map(Number).filter(Number.isFinite).sort((a, b) => b - a)[0]
  if (newest === undefined) throw new Error('Missing PostgreSQL server. Install: apt-get install postgresql')
  return `/usr/lib/postgresql/${newest}/bin`
}

export async function freePort (): Promise<number> {
  const listening = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => { listening.once('listening', resolve) })
  const { port } = listening.address() as { port: number }
  await new Promise(resolve => { listening.close(resolve) })
  return port
}

/** A command of `commands` as the account of the servers, in a namespace if need be. */
const argumentsOf = (command: string, identity: Servers['identity'], namespace: string | undefined): string[] => [
  ...(namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]),
  ...(identity.uid === undefined ? [] : ['setpriv', `--reuid=${identity.uid}`, `--regid=${identity.gid}`, '--clear-groups']),
  'sh', '-c', `exec ${command}`]

export async function createServers ({ folder: given, database = 'bedplate', password = 'secret', settings: shared = {}, allow = ['0.0.0.0/0', '::/0'] }: ServersOptions = {}): Promise<Servers> {
  const binaries = await findBinaries()
  const root = process.getuid?.() === 0
  const identity: Servers['identity'] = root ? { uid: Number((await run('id', ['-u', 'postgres'])).stdout), gid: Number((await run('id', ['-g', 'postgres'])).stdout) } : {}
  const folder = given ?? await mkdtemp(join(scratch(), 'bedplate-servers-'))
  await chmod(folder, 0o755)
  const own = async (path: string): Promise<void> => { if (identity.uid !== undefined && identity.gid !== undefined) await chown(path, identity.uid, identity.gid) }
  await own(folder)
  const passwords = join(folder, 'pgpass')
  await writeFile(passwords, `*:*:*:*:${password}\n`, { mode: 0o600 })
  await own(passwords)
  const env = { ...environment, PATH: `${binaries}:${environment.PATH}`, PGPASSFILE: passwords }
  const all: Server[] = []

  async function make (name: string, place: Place): Promise<{ server: Server, execute: (command: string, values: Readonly<Record<string, string>>) => Promise<void> }> {
    const data = join(folder, name)
    const host = place.address ?? '127.0.0.1'
    const port = place.port ?? (place.namespace === undefined ? await freePort() : 5432)
    await mkdir(data, { mode: 0o700 })
    await own(data)
    const socket = join(folder, `${name}.run`)
    await mkdir(socket, { mode: 0o755 })
    await own(socket)
    let child: ChildProcess | undefined

    const values = { data, name, database, address: host, port: String(port), host, socket }
    const execute = async (command: string, more: Readonly<Record<string, string>> = {}): Promise<void> => {
      const [program, ...args] = argumentsOf(fill(command, { ...values, ...more }), identity, place.namespace)
      await run(program ?? '', args, { env, cwd: folder, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 })
    }
    const signal = (name: NodeJS.Signals): void => {
      if (child?.pid === undefined) return
      if (name !== 'SIGCONT') process.kill(child.pid, 'SIGSTOP') // first, so that it starts no others meanwhile; its children are found while it lives
      if (name === 'SIGKILL') { killTree(child.pid); return }
      for (const pid of childrenOf(child.pid)) try { process.kill(pid, name) } catch { /* ended by itself */ }
      if (name === 'SIGCONT') process.kill(child.pid, name)
    }
    const ended = async (was: ChildProcess): Promise<void> => { await until(() => was.exitCode !== null || was.signalCode !== null, { timeout: 60_000, what: `server ${name} to end` }) }

    const server: Server = {
      name, data, host, port,
      at: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      get running () { return child !== undefined },
      get pid () { return child?.pid },
      async sql<Row> (text: string, { database = 'postgres', timeout = 10_000 }: { readonly database?: string, readonly timeout?: number } = {}) {
        const client = new Client({ host: socket, port, user: 'postgres', database, connectionTimeoutMillis: timeout, query_timeout: timeout })
        client.on('error', () => {}) // the query rejects with it
        try {
          await client.connect()
          const { rows } = await client.query(text)
          return rows as Row[]
        } finally { void client.end().catch(() => {}) }
      },
      async start () {
        if (child) return
        // on the command line: the files in the data folder are copied along with it, to a server that listens elsewhere
        const set = { listen_addresses: host, port: String(port), unix_socket_directories: socket, cluster_name: name, primary_slot_name: name, dynamic_shared_memory_type: 'mmap', // a killed one leaves nothing in /dev/shm
          ...shared, ...place.settings }
        const [program, ...args] = argumentsOf(fill(commands.serve, values), identity, place.namespace)
        const last = args.pop() ?? ''
        const log = await open(join(folder, `${name}.log`), 'a')
        const started = spawn(program ?? '', [...args, [last, ...Object.entries(set).map(([key, value]) => `-c "${key}=${value}"`)].join(' ')], { env, cwd: folder, stdio: ['ignore', log.fd, log.fd] })
        await log.close()
        child = started
        if (started.pid !== undefined) living.add(started.pid)
        started.once('exit', () => { if (started.pid !== undefined) living.delete(started.pid); if (child === started) child = undefined })
        await until(async () => {
          if (child !== started) throw new Error(`server ${name} ended: ${(await readFile(join(folder, `${name}.log`), 'utf8')).slice(-2000)}`)
          return await server.sql('select 1', { timeout: 2000 })
        }, { timeout: 60_000, interval: 50, what: `server ${name} to answer` })
      },
      async stop () {
        const was = child
        if (!was) return
        was.kill('SIGINT')
        await ended(was)
      },
      async kill9 () {
        const was = child
        if (!was) return
        signal('SIGKILL')
        await ended(was)
        const written = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
        const memory = /^ *\d+ +(\d+) *$/m.exec(written.split('\n').slice(6).join('\n'))?.[1]
        if (memory !== undefined) await run('ipcrm', ['-m', memory]).catch(() => {}) // a few bytes that the kernel would keep
        await rm(join(data, 'postmaster.pid'), { force: true }) // its number may be another process's by the time of a start
      },
      async pause () { signal('SIGSTOP') },
      async resume () { signal('SIGCONT') },
      async promote () { await execute(commands.promote) },
      async synchronous (names) {
        await server.sql(`alter system set synchronous_standby_names = '${names}'`)
        await server.sql('select pg_reload_conf()')
        await until(async () => (await server.sql<{ names: string }>("select current_setting('synchronous_standby_names') as names"))[0]?.names === names, { what: 'the setting to be read' })
      },
      async rejoin (primary, how = 'rewind') {
        await server.stop()
        await primary.sql('checkpoint') // a promotion alone does not write the new timeline where pg_rewind looks for it
        await primary.sql(fill(commands.slot, { name }))
        const from = { host: primary.host, port: String(primary.port) }
        if (how === 'rewind') await execute(commands.rewind, from)
        else {
          await rm(data, { recursive: true, force: true })
          await mkdir(data, { mode: 0o700 })
          await own(data)
          await execute(commands.copy, from)
        }
        await server.start()
      },
      async caughtUp (standby) {
        await until(async () => (await server.sql(`select from pg_stat_replication where application_name = '${standby.name}' and state = 'streaming' and replay_lsn >= pg_current_wal_lsn()`)).length === 1, { timeout: 30_000, what: `${standby.name} to have everything` })
      }
    }
    all.push(server)
    return { server, execute }
  }

  return {
    folder, database, user: database, password, identity, binaries,
    async primary (name, place = {}) {
      const { server, execute } = await make(name, place)
      await execute(commands.initialise, {})
      const data = server.data
      await writeFile(join(data, 'pg_hba.conf'), `local all postgres trust\n${allow.flatMap(network => hbaLines(database, network)).join('\n')}\n`)
      await writeFile(join(data, 'postgresql.auto.conf'), Object.entries({ fsync: 'off', shared_buffers: '32MB', max_connections: '200', wal_log_hints: 'on', wal_keep_size: '256MB' }).map(([key, value]) => `${key} = '${value}'\n`).join(''))
      await server.start()
      for (const statement of roleStatements(database, password)) await server.sql(statement)
      return server
    },
    async standby (name, of, place = {}) {
      const { server, execute } = await make(name, place)
      await of.sql(fill(commands.slot, { name }))
      await execute(commands.copy, { host: of.host, port: String(of.port) })
      await server.start()
      await of.caughtUp(server)
      return server
    },
    async destroy () {
      await Promise.all(all.map(server => server.kill9()))
      if (given === undefined) await rm(folder, { recursive: true, force: true })
    }
  }
}
