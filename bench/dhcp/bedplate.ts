/** Ours: real daemons with all their plugins, set up over the API as an operator would; one that is both region and rack, or a region with two racks. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from './cpu.ts'
import type { Place, Server } from './place.ts'
import type { Host, Spawned } from './segment.ts'
import { cores, prefix, refuseTaken, start } from './segment.ts'

const program = join(import.meta.dirname, '../../bin/bedplate')

export interface Daemon extends Server {
  readonly host: Host
  readonly id: string
  readonly directory: string
  readonly process: Spawned
  /** SIGKILL. */
  kill(): Promise<void>
}
export interface Bedplate extends Server {
  readonly region: Daemon
  readonly subnet: string
  readonly vlan: string
  readonly racks: readonly Daemon[]
  /** A request to the API, over the region's Unix socket. Rejects with what the API says. */
  ask<T>(method: string, path: string, body?: unknown): Promise<T>
  /** Its database. */
  readonly database: string
}
interface DaemonOptions { readonly name: string, readonly address: string, readonly cpus: string, /** Absent: those it had before. */ readonly settings: Readonly<Record<string, unknown>> | undefined }

/** Starts a daemon and waits until it is ready. */
export async function startDaemon (place: Place, { name, address, cpus, settings }: DaemonOptions): Promise<Daemon> {
  const host = await place.segment.host(name, address)
  await refuseTaken(host, [67, 69])
  const directory = join(place.folder, name)
  await mkdir(directory, { recursive: true })
  const [file, log] = [join(place.folder, `${name}.yaml`), join(place.folder, `${name}.log`)]
  if (settings !== undefined) await writeFile(file, JSON.stringify({ hostname: name, dataDirectory: directory, ...settings }))
  const process_ = start(host, cpus, [program, 'run', '--config', file], { log, cwd: place.folder })
  const { roles } = JSON.parse(await readFile(file, 'utf8')) as { roles: readonly string[] }
  const port = roles.includes('region') ? 5240 : 5248
  let ended = false
  void process_.gone.then(() => { ended = true })
  await until(async () => ended || (await host.namespace.exec(['curl', '-sf', '-o', '/dev/null', '-m', '2', `http://127.0.0.1:${port}/readyz`])).code === 0, { timeout: 60_000, interval: 100, what: `${name} to be ready` })
  if (ended) throw new BedplateError('START_FAILED', { what: name, reason: (await readFile(log, 'utf8')).slice(-2000) })
  return {
    host, address, directory, process: process_, id: (await readFile(join(directory, 'controller.id'), 'utf8')).trim(),
    pids: () => treeOf(process_.pid), stop: () => process_.end(), kill: () => process_.end('SIGKILL')
  }
}

/** Asks an API behind a Unix socket. */
export const askSocket = <T>(socketPath: string, token: string) => (method: string, path: string, body?: unknown): Promise<T> => new Promise((resolve, reject) => {
  const call = request({ socketPath, method, path, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) } }, answer => {
    const chunks: Buffer[] = []
    answer.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    answer.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      if ((answer.statusCode ?? 500) >= 300) reject(new BedplateError('CONFLICT', { reason: `${method} ${path}: ${answer.statusCode} ${text}`.slice(0, 1000) }))
      else resolve((text === '' ? undefined : JSON.parse(text)) as T)
    })
  })
  call.on('error', reject)
  call.end(body === undefined ? undefined : JSON.stringify(body))
})

export interface BedplateOptions {
  readonly name: string
  readonly region: { readonly address: string, readonly cpus?: string }
  /** Without racks of their own the region's process is the rack as well. */
  readonly racks?: readonly { readonly name: string, readonly address: string, readonly cpus?: string }[]
}

/** Starts region and racks on a database of their own, and turns DHCP on where the clients are. */
export async function startBedplate (place: Place, { name, region: { address, cpus = cores.server }, racks: apart = [] }: BedplateOptions): Promise<Bedplate> {
  const database = `bedplate_${name.replaceAll('-', '_')}`
  await place.database.database(database)
  const socket = join(place.folder, `${name}.sock`)
  const log = { level: 'warn' }
  const started: Daemon[] = []
  try {
    const region = await startDaemon(place, {
      name, address, cpus,
      settings: { roles: apart.length === 0 ? ['region', 'rack'] : ['region'], log, http: { socket }, rpc: { advertise: [address] }, database: { hosts: [place.database.host], name: database, user: database }, dhcp: settings }
    })
    started.push(region)
    const token = (await readFile(join(region.directory, 'admin.token'), 'utf8')).trim()
    const ask = <T>(method: string, path: string, body?: unknown) => askSocket<T>(socket, token)(method, path, body)
    const racks: Daemon[] = apart.length === 0 ? [region] : []
    for (const rack of apart) {
      const { token: enrolmentToken } = await ask<{ token: string }>('POST', '/api/v1/controllers/tokens', { roles: ['rack'] })
      const made = await startDaemon(place, { name: rack.name, address: rack.address, cpus: rack.cpus ?? cores.all, settings: { roles: ['rack'], log, regions: [address], enrolmentToken, dhcp: settings } })
      started.push(made)
      racks.push(made)
    }
    const { vlan, subnet } = await turnOn(ask, racks)
    return {
      address: racks[0]?.address ?? address, region, racks, vlan, subnet, ask, database,
      pids: () => [...new Set([...started.flatMap(each => each.pids()), ...place.database.pids()])],
      stop: async () => { for (const each of started.toReversed()) await each.stop() }
    }
  } catch (error) {
    for (const each of started.toReversed()) await each.stop()
    throw error
  }
}

/** Lease times of the peers; blocks of the largest size, as for a segment where many machines start at once. */
const settings = { leaseSeconds: 3600, blockSize: 1024 }

interface Item { readonly id: string, readonly vid?: number }
/** Subnet, range, and DHCP on it, ranked as given; resolves when every rack serves it. */
async function turnOn (ask: Bedplate['ask'], racks: readonly Daemon[]): Promise<{ readonly vlan: string, readonly subnet: string }> {
  const { id: fabricId } = await ask<Item>('POST', '/api/v1/network/fabrics', { name: 'bench' })
  const { items: [vlan] } = await ask<{ items: Item[] }>('GET', `/api/v1/network/vlans?fabricId=${fabricId}`)
  const id = vlan?.id ?? ''
  const subnet = await ask<Item>('POST', '/api/v1/network/subnets', { vlanId: id, cidr: prefix.cidr, gateway: '10.64.0.1', dnsServers: ['10.64.0.1'] })
  await ask('POST', '/api/v1/network/ranges', { subnetId: subnet.id, kind: 'dynamic', ...prefix.pool })
  await until(() => ask('PUT', `/api/v1/dhcp/vlans/${id}`, { enabled: true, racks: racks.map(rack => rack.id) }), { timeout: 30_000, interval: 200, what: 'DHCP to be turned on' })
  for (const { host } of racks) await until(async () => /:67\s/.test((await host.namespace.exec(['ss', '-lunH'])).stdout), { timeout: 30_000, interval: 100, what: `${host.name} to serve DHCP` })
  return { vlan: id, subnet: subnet.id }
}
