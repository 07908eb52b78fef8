/** The embedded PostgreSQL: a real server beside the daemon, reached over a private Unix socket, that outlives a crash of the daemon and is adopted by the next one. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, chown, lstat, mkdir, readdir, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { accountFor, can, environment, ownName } from './account.ts'
import type { Account } from './account.ts'
import { binariesFor } from './binaries.ts'
import type { Binaries } from './binaries.ts'
import { postmasterOf, serves } from './postmaster.ts'

export interface Connection { readonly host: string, readonly port: number, readonly database: string, readonly user: string }
export interface Embedded {
  readonly connection: Connection
  readonly adopted: boolean // the server was running already: its daemon had died
  readonly data: string // where the data really is
  /** Whether the server runs, as far as its process tells. */
  alive(): Promise<boolean>
  stop(): Promise<void>
}
export interface EmbeddedOptions {
  readonly dataDirectory: string
  readonly log: Logger
  readonly settings?: Readonly<Record<string, string>> // PostgreSQL settings, for tests
  readonly system?: string // where data and programs go that cannot be under dataDirectory; default /var/lib/bedplate-postgresql
  readonly binaries?: Binaries // default: the installed package's
}

const name = 'bedplate' // of the database and of the database's user
const port = 5432 // only part of the socket's file name: nothing listens on TCP, unless sharing.ts says so
const startDeadline = 60_000 // crash recovery replays the log first
const stopDeadline = 20_000
const failed = (reason: string, cause?: unknown): BedplateError => new BedplateError('EMBEDDED_DATABASE', { reason }, cause)

/**
 * Starts the embedded PostgreSQL, or adopts the one that runs on the same data.
 *
 * The data is at `<dataDirectory>/postgresql`. When the server's account cannot get there (root keeps `dataDirectory` to itself), that name becomes a
 * symbolic link to `/var/lib/bedplate-postgresql/<hash of the path>/postgresql`, so the choice stays as made. Only root and the server's account get in:
 * there is no TCP port, and the socket asks the operating system who is calling (peer authentication).
 * @throws BedplateError EMBEDDED_DATABASE
 */
export async function startEmbedded (options: EmbeddedOptions): Promise<Embedded> {
  await mkdir(options.dataDirectory, { recursive: true })
  const home = await realpath(options.dataDirectory)
  const release = await turn(home)
  try { return await start(home, options) } finally { release() }
}

/** One start at a time: between finding postmaster.pid stale and removing it, another start may have put a good one there. The lock is the operating system's, and goes with its holder. */
async function turn (home: string): Promise<() => void> {
  const path = join(home, 'postgresql.lock')
  for (const deadline = Date.now() + 2 * startDeadline; ;) {
    let lock: DatabaseSync | undefined
    try {
      lock = new DatabaseSync(path, { timeout: 0 })
      lock.exec('pragma journal_mode = memory; pragma locking_mode = exclusive; begin exclusive')
      const held = lock
      return () => { held.close() }
    } catch (error) {
      lock?.close()
      if (!/locked/.test(reasonOf(error))) return () => {} // a folder that this account cannot write: then nobody else starts a server from here either
      if (Date.now() > deadline) throw failed('another start on the same data does not end', error)
      await sleep(50)
    }
  }
}

async function start (home: string, { log, settings = {}, system = '/var/lib/bedplate-postgresql', binaries }: EmbeddedOptions): Promise<Embedded> {
  const account = await accountFor(await realpath(join(home, 'postgresql')).catch(() => join(home, 'postgresql')))
  const data = await place(home, account, system)
  const adopted = async (): Promise<Embedded | undefined> => {
    const running = await adopt(data)
    if (running) log.info({ data, pid: running.pid }, 'the embedded PostgreSQL is running already; adopting it')
    return running && { connection: running.connection, data, adopted: true, alive: () => alive(data), stop: () => stop(data, log) }
  }
  const running = await adopted()
  if (running) return running
  const native = await binariesFor(account, account.identity.uid === undefined ? home : system, log, binaries)
  await initialise(native, data, account, log, settings.fsync !== 'off')
  const host = await socketDirectory(data, account)
  for (let attempt = 1; ; attempt++) {
    const reason = await launch(native, data, host, account, settings)
    if (reason === undefined) break
    // After kill -9 of the server itself, its last processes hold its shared memory for a moment; or another daemon was first.
    if (attempt === 10 || !/shared memory block|lock file/.test(reason)) throw failed(`${reason} (its log is in ${join(data, 'log')})`)
    await sleep(500)
    const other = await adopted()
    if (other) return other
  }
  const connection = { host, port: Number(settings.port ?? port), database: name, user: name }
  await createDatabase(connection)
  log.info({ data, account: account.name }, 'the embedded PostgreSQL is running')
  return { connection, data, adopted: false, alive: () => alive(data), stop: () => stop(data, log) }
}

/** Decides where the data is, once and for all. */
async function place (home: string, account: Account, system: string): Promise<string> {
  const path = join(home, 'postgresql')
  const there = await lstat(path).catch(() => undefined)
  if (there?.isSymbolicLink()) return await realpath(path).catch((error: unknown) => { throw failed(`${path} leads nowhere: ${reasonOf(error)}`, error) })
  if (account.identity.uid === undefined || await can(account, 'cd "$1"', home)) return path
  if (there) throw failed(`the user ${account.name} cannot reach its data at ${path}; open the folders above to it (chmod o+x)`)
  const away = join(system, createHash('sha256').update(home).digest('hex').slice(0, 12), 'postgresql')
  await mkdir(dirname(away), { recursive: true, mode: 0o755 })
  if (!await can(account, 'cd "$1"', dirname(away))) throw failed(`the user ${account.name} can reach neither ${home} nor ${dirname(away)}`)
  await mkdir(away, { mode: 0o700 }).catch(ignoreExisting)
  await chown(away, account.identity.uid, account.identity.gid ?? 0)
  await symlink(away, path)
  return away
}

const ignoreExisting = (error: NodeJS.ErrnoException): void => { if (error.code !== 'EEXIST') throw error }

/** Finds a live server of this data and waits while it starts or stops; undefined when there is none to use. */
async function adopt (data: string): Promise<{ connection: Connection, pid: number } | undefined> {
  const deadline = Date.now() + startDeadline
  for (;;) {
    const found = await postmasterOf(data)
    if (!found && Date.now() < deadline - startDeadline + 1000 && await readFile(join(data, 'postmaster.pid')).then(() => true, () => false)) {
      await sleep(50) // a server that is starting has yet to write it; a crash at that moment leaves it empty
      continue
    }
    if (!found || !await serves(found.pid, data)) {
      // PostgreSQL would give up at an empty file, and believe a stale one whose number another of its processes has by now.
      await rm(join(data, 'postmaster.pid'), { force: true })
      return undefined
    }
    const connection = { host: found.socketDirectory, port: found.port, database: name, user: name }
    const trouble: unknown = await createDatabase(connection).then(() => undefined, (error: unknown) => error)
    if (trouble === undefined) return { connection, pid: found.pid }
    const refused = /^28/.test(String((trouble as { code?: unknown }).code)) // it knows other accounts than this one; waiting will not help
    if (refused || Date.now() > deadline) throw failed(`the server that runs on ${data} (process ${found.pid}) does not let this account in: ${reasonOf(trouble)}`, trouble)
    await sleep(100)
  }
}

async function alive (data: string): Promise<boolean> {
  const found = await postmasterOf(data)
  return found !== undefined && await serves(found.pid, data)
}

async function initialise (native: string, data: string, account: Account, log: Logger, sync: boolean): Promise<void> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version !== undefined) return
  log.info({ data }, 'creating the database: this takes a few seconds, once')
  await removeUnfinished(data)
  const fresh = `${data}.new-${process.pid}` // renamed when whole, so that a crash in between leaves nothing that looks like a database
  await mkdir(fresh, { mode: 0o700 })
  const { uid, gid } = account.identity
  if (uid !== undefined) await chown(fresh, uid, gid ?? uid)
  const result = await finish(join(native, 'bin/initdb'), ['-D', fresh, '-U', name, '-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '-A', 'peer', '--no-instructions', ...(sync ? [] : ['--no-sync'])], account)
  if (result.code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw failed(`initdb: ${result.output}`)
  }
  // wx refuses a link that the server's account may have left in its own directory for root to follow.
  const write = async (file: string, text: string) => { await rm(join(fresh, file)); await writeFile(join(fresh, file), text, { flag: 'wx', mode: 0o644 }) }
  await write('pg_hba.conf', 'local all all peer map=bedplate\n')
  await write('pg_ident.conf', [...new Set(['root', account.name, ownName()])].map(user => `bedplate "${user}" ${name}\n`).join(''))
  await rename(fresh, data).catch(async (error: unknown) => {
    await rm(fresh, { recursive: true, force: true })
    if (await readFile(join(data, 'PG_VERSION')).then(() => true, () => false)) return // another daemon was first
    throw failed(`the data directory ${data} is not empty, and not a database: ${reasonOf(error)}`, error)
  })
}

async function removeUnfinished (data: string): Promise<void> {
  const prefix = `${data}.new-`
  for (const entry of await readdir(dirname(data))) {
    const path = join(dirname(data), entry)
    if (!path.startsWith(prefix)) continue
    try { process.kill(Number(path.slice(prefix.length)), 0) } catch { await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }) } // the killed daemon's initdb may still be writing there
  }
}

/** A socket's path may have 107 bytes: a deep data directory has its socket in /tmp, in a folder that only the server's account and root may enter. */
async function socketDirectory (data: string, account: Account): Promise<string> {
  if (Buffer.byteLength(join(data, '.s.PGSQL.5432.lock')) <= 100) return data
  const path = resolve('/tmp', `bedplate-${createHash('sha256').update(data).digest('hex').slice(0, 12)}`)
  const uid = account.identity.uid ?? process.getuid?.() ?? 0
  await mkdir(path, { mode: 0o700 }).catch(ignoreExisting)
  const found = await lstat(path)
  if (!found.isDirectory() || (found.uid !== uid && found.uid !== process.getuid?.())) throw failed(`${path} is in the way: it belongs to somebody else`)
  await chown(path, uid, account.identity.gid ?? found.gid)
  await chmod(path, 0o700)
  return path
}

function finish (program: string, args: readonly string[], account: Account): Promise<{ code: number | null, output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...account.identity, cwd: '/', env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-2000) })
    child.once('error', error => { reject(failed(`${program}: ${error.message}`, error)) })
    child.once('close', code => { resolve({ code, output: output.trim() }) })
  })
}

/** Starts the server and waits until it takes connections. Gives the reason when it ended instead. */
async function launch (native: string, data: string, host: string, account: Account, settings: Readonly<Record<string, string>>): Promise<string | undefined> {
  const all = {
    listen_addresses: '', port: String(port), unix_socket_directories: host, unix_socket_permissions: '0700', timezone: 'UTC', log_timezone: 'UTC', jit: 'off',
    logging_collector: 'on', log_directory: 'log', log_filename: 'postgresql-%a.log', log_rotation_age: '1d', log_truncate_on_rotation: 'on', ...settings
  }
  const args = Object.entries(all).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  // A session of its own: Ctrl-C in the terminal reaches the daemon, which drains first and stops the server last.
  const child = spawn(join(native, 'bin/postgres'), ['-D', data, ...args], { ...account.identity, cwd: '/', env: environment, detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  let ended: string | undefined
  child.stderr.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-2000) })
  child.once('error', error => { ended = error.message })
  child.once('exit', (code, signal) => { ended ??= output.trim() || `it ended with ${signal ?? `exit code ${code}`}` })
  const deadline = Date.now() + startDeadline
  try {
    while (ended === undefined) {
      const found = await postmasterOf(data)
      if (found?.pid === child.pid && /^(ready|standby)$/.test(found?.status ?? '')) return undefined // anybody else's server ends ours, and is adopted
      if (Date.now() > deadline) { child.kill('SIGQUIT'); return `it was not ready within ${startDeadline / 1000} s` }
      await sleep(20)
    }
    await sleep(20) // the last words on standard error may arrive after the exit
    return output.trim() || ended
  } finally {
    child.stderr.destroy()
    child.unref()
  }
}

async function createDatabase (connection: Connection): Promise<void> {
  const client = new Client({ ...connection, database: 'postgres', connectionTimeoutMillis: 5000 })
  client.on('error', () => {}) // reported by the query that fails
  try {
    await client.connect()
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [connection.database])
    if (rowCount === 0) await client.query(`create database ${connection.database}`).catch((error: { code?: string }) => { if (error.code !== '42P04' && error.code !== '23505') throw error })
  } finally {
    await client.end().catch(() => {})
  }
}

/** Fast shutdown; after the deadline the immediate one, which the next start repairs from the log. Safe to repeat. */
async function stop (data: string, log: Logger): Promise<void> {
  for (const [signal, wait] of [['SIGINT', stopDeadline], ['SIGQUIT', 5000], ['SIGKILL', 5000]] as const) {
    const found = await postmasterOf(data)
    if (!found || !await serves(found.pid, data)) return
    if (signal !== 'SIGINT') log.warn({ pid: found.pid, signal }, 'the embedded PostgreSQL did not stop in time')
    try { process.kill(found.pid, signal) } catch { return } // gone in between
    const deadline = Date.now() + wait
    while (Date.now() < deadline) {
      if (!await serves(found.pid, data)) return
      await sleep(20)
    }
  }
}
