/** etcd and Patroni as processes of the database account in a folder of their own: two members that elect their primary themselves. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chown, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { hbaLines } from './replication.ts'
import { scratch } from './scratch.ts'
import { environment, findBinaries, freePort, killTree } from './servers.ts'
import { until } from './wait.ts'

const run = promisify(execFile)

/** What differs from member to member. `after` is a program that makes Bedplate's role and database once, given the superuser's connection. */
export interface Member { readonly name: string, readonly address: string, readonly port: string, readonly rest: string, readonly etcd: string, readonly data: string, readonly binaries: string, readonly password: string, readonly after: string, readonly socket: string }

/** A member's configuration, as docs/guides/database-ha.md gives it. */
export const configuration = ({ name, address, port, rest, etcd, data, binaries, password, after, socket }: Member): string => `scope: bedplate
name: ${name}
restapi:
  listen: ${address}:${rest}
  connect_address: ${address}:${rest}
etcd3:
  host: ${etcd}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      use_slots: true
  initdb:
    - encoding: UTF8
    - data-checksums
  post_bootstrap: ${after}
postgresql:
  listen: ${address}:${port}
  connect_address: ${address}:${port}
  data_dir: ${data}
  bin_dir: ${binaries}
  basebackup:
    - checkpoint: fast
  parameters:
    unix_socket_directories: ${socket}
  pg_hba:
    - local all postgres trust
    - host all postgres 0.0.0.0/0 scram-sha-256
    - host postgres rewinder 0.0.0.0/0 scram-sha-256
${hbaLines('bedplate', '0.0.0.0/0').map(line => `    - ${line}`).join('\n')}
  authentication:
    superuser: { username: postgres, password: ${password} }
    replication: { username: replicator, password: ${password} }
    rewind: { username: rewinder, password: ${password} }
`

export interface PatroniMember {
  readonly name: string
  readonly host: string
  readonly port: number
  sql<Row = Record<string, unknown>>(text: string, database?: string): Promise<Row[]>
  writable(): Promise<boolean>
  /** SIGKILL to Patroni and its server, as when the machine fails. */
  kill9(): Promise<void>
  /** Starts Patroni again, which finds its server's place by itself. */
  start(): Promise<void>
}
export interface PatroniCluster {
  readonly members: readonly [PatroniMember, PatroniMember]
  readonly password: string
  primary(): Promise<PatroniMember>
  /** Resolves when Patroni knows a synchronous standby: without one it promotes nobody. */
  safe(): Promise<void>
  /** `patronictl <args>`; gives what it printed. */
  control(...args: readonly string[]): Promise<string>
  destroy(): Promise<void>
}

/** Resolves when both members run, one of them as the synchronous standby. */
export async function createPatroni (): Promise<PatroniCluster> {
  const binaries = await findBinaries()
  const identity = process.getuid?.() === 0 ? { uid: Number((await run('id', ['-u', 'postgres'])).stdout), gid: Number((await run('id', ['-g', 'postgres'])).stdout) } : {}
  const folder = await mkdtemp(join(scratch(), 'bedplate-patroni-'))
  const own = async (path: string): Promise<void> => { if (identity.uid !== undefined && identity.gid !== undefined) await chown(path, identity.uid, identity.gid) }
  await own(folder)
  const env = { ...environment, PATH: `${binaries}:${environment.PATH}`, HOME: folder }
  const [client, peer] = [await freePort(), await freePort()]
  const password = 'secret'
  const processes = new Set<ChildProcess>()
  const start = async (name: string, program: string, args: readonly string[]): Promise<ChildProcess> => {
    const log = await open(join(folder, `${name}.log`), 'a')
    const child = spawn(program, args, { ...identity, env, cwd: folder, stdio: ['ignore', log.fd, log.fd] })
    await log.close()
    processes.add(child)
    child.once('exit', () => { processes.delete(child) })
    child.once('error', () => { processes.delete(child) })
    return child
  }
  const after = join(folder, 'after.sh')
  await writeFile(after, `#!/bin/sh\npsql -q -v ON_ERROR_STOP=1 "$1" -c "create role bedplate login password '${password}'" -c "create database bedplate owner bedplate"\n`, { mode: 0o755 })
  await start('etcd', 'etcd', ['--name', 'one', '--data-dir', join(folder, 'etcd'), '--listen-client-urls', `http://127.0.0.1:${client}`, '--advertise-client-urls', `http://127.0.0.1:${client}`, '--listen-peer-urls', `http://127.0.0.1:${peer}`, '--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`, '--initial-cluster', `one=http://127.0.0.1:${peer}`, '--unsafe-no-fsync'])
  const fileOf = (name: string): string => join(folder, `${name}.yml`)

  async function member (name: string): Promise<PatroniMember> {
    const [port, rest] = [await freePort(), await freePort()]
    const [data, socket] = [join(folder, name), join(folder, `${name}.run`)]
    await mkdir(socket)
    await own(socket)
    await writeFile(fileOf(name), configuration({ name, address: '127.0.0.1', port: String(port), rest: String(rest), etcd: `127.0.0.1:${client}`, data, binaries, password, after, socket }))
    let patroni: ChildProcess | undefined
    const made: PatroniMember = {
      name, host: '127.0.0.1', port,
      async sql<Row> (text: string, database = 'postgres') {
        const client = new Client({ host: socket, port, user: 'postgres', database, connectionTimeoutMillis: 2000, query_timeout: 5000 })
        client.on('error', () => {}) // the query rejects with it
        try { await client.connect(); return (await client.query(text)).rows as Row[] } finally { void client.end().catch(() => {}) }
      },
      writable: () => made.sql<{ yes: boolean }>('select not pg_is_in_recovery() as yes').then(([row]) => row?.yes === true, () => false),
      async kill9 () {
        const server = Number((await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0])
        if (patroni?.pid !== undefined) killTree(patroni.pid)
        patroni = undefined
        if (server > 0) killTree(server)
      },
      async start () { patroni ??= await start(name, 'patroni', [fileOf(name)]) }
    }
    return made
  }
  const members = [await member('one'), await member('two')] as const
  const cluster: PatroniCluster = {
    members, password,
    async primary () {
      for (const each of members) if (await each.writable()) return each
      throw new Error('no member is the primary')
    },
    async safe () { await until(async () => (await cluster.control('list')).includes('Sync Standby'), { timeout: 60_000, interval: 500, what: 'a synchronous standby' }) },
    async control (...args) {
      const { stdout, stderr } = await run('patronictl', ['-c', fileOf('one'), ...args], { ...identity, env, cwd: folder, timeout: 60_000 })
      return `${stdout}${stderr}`
    },
    async destroy () {
      for (const each of members) await each.kill9()
      for (const child of processes) if (child.pid !== undefined) killTree(child.pid)
      await until(() => processes.size === 0, { what: 'etcd and Patroni to end' })
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    }
  }
  try {
    await members[0].start()
    await until(async () => await members[0].writable() && (await members[0].sql("select from pg_database where datname = 'bedplate'")).length === 1, { timeout: 60_000, interval: 200, what: `the first member to be the primary; see ${folder}/one.log` })
    await members[1].start()
    await cluster.safe()
    return cluster
  } catch (error) {
    for (const name of ['etcd', 'one', 'two']) process.stderr.write(`${name}: ${(await readFile(join(folder, `${name}.log`), 'utf8').catch(String)).slice(-3000)}\n`)
    await cluster.destroy()
    throw error
  }
}
