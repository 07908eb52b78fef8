/** Peers: Debian's Kea, alone with its lease file or with PostgreSQL, or two of them in hot standby. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../test/kit/wait.ts'
import { treeOf } from './cpu.ts'
import type { Place, Server } from './place.ts'
import type { Host, Spawned } from './segment.ts'
import { cores, prefix, refuseTaken, start } from './segment.ts'

const hooks = '/usr/lib/x86_64-linux-gnu/kea/hooks'
const subnets = [{
  id: 1, subnet: prefix.cidr, pools: [{ pool: `${prefix.pool.start}-${prefix.pool.end}` }],
  'option-data': [{ name: 'routers', data: '10.64.0.1' }, { name: 'domain-name-servers', data: '10.64.0.1' }], 'next-server': '10.64.0.1', 'boot-file-name': 'grubx64.efi'
}]

/** A Kea on a host, with this beside what all of them have. */
async function startKea (place: Place, host: Host, cpus: string, more: Readonly<Record<string, unknown>>): Promise<Spawned & { readonly directory: string }> {
  await refuseTaken(host, [67])
  const directory = join(place.folder, host.name)
  await mkdir(directory, { recursive: true })
  const file = join(directory, 'kea.conf')
  await writeFile(file, JSON.stringify({
    Dhcp4: {
      'interfaces-config': { interfaces: [host.device], 'dhcp-socket-type': 'udp' }, 'valid-lifetime': 3600, subnet4: subnets,
      loggers: [{ name: 'kea-dhcp4', severity: 'INFO', output_options: [{ output: join(directory, 'kea.log') }] }, { name: 'kea-dhcp4.leases', severity: 'WARN', output_options: [{ output: join(directory, 'kea.log') }] }, { name: 'kea-dhcp4.packets', severity: 'WARN', output_options: [{ output: join(directory, 'kea.log') }] }],
      ...more
    }
  }))
  const spawned = start(host, cpus, ['/usr/sbin/kea-dhcp4', '-c', file], { log: join(directory, 'out'), env: { KEA_PIDFILE_DIR: directory, KEA_LOCKFILE_DIR: 'none' } })
  await said(directory, spawned, 'DHCP4_STARTED', 15_000)
  return { ...spawned, directory }
}

/** Resolves when its log says so. */
const said = (directory: string, { child }: Spawned, what: string, timeout: number) => until(async () => {
  const log = await readFile(join(directory, 'kea.log'), 'utf8').catch(() => '')
  if (child.exitCode !== null) throw new TypeError(`Kea ended: ${log.slice(-500)} ${(await readFile(join(directory, 'out'), 'utf8').catch(() => '')).slice(-500)}`)
  return log.includes(what)
}, { timeout, interval: 100, what: `Kea to say ${what}` })

const memfile = (directory: string) => ({ type: 'memfile', persist: true, name: join(directory, 'leases4.csv'), 'lfc-interval': 0 })

/** Kea with its lease file, which it never syncs. */
export async function startKeaMemfile (place: Place): Promise<Server> {
  const host = await place.segment.host('kea', '10.64.0.31')
  const kea = await startKea(place, host, cores.server, { 'lease-database': memfile(join(place.folder, 'kea')), 'multi-threading': { 'enable-multi-threading': false } })
  return { address: host.address, pids: () => treeOf(kea.pid), stop: () => kea.end() }
}

/** Kea with its leases in PostgreSQL, 16 threads: the fastest it gets there. */
export async function startKeaPostgresql (place: Place): Promise<Server> {
  const host = await place.segment.host('kea-pg', '10.64.0.32')
  await place.database.database('kea')
  await place.database.psql('kea', '/usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql')
  const kea = await startKea(place, host, cores.server, {
    'lease-database': { type: 'postgresql', name: 'kea', user: 'kea', password: 'kea', host: place.database.host },
    'multi-threading': { 'enable-multi-threading': true, 'thread-pool-size': 16, 'packet-queue-size': 512 }
  })
  return { address: host.address, pids: () => [...treeOf(kea.pid), ...place.database.pids()], stop: () => kea.end() }
}

export interface KeaPair extends Server { readonly standby: string, kill(): Promise<void> }

/** Two of them in hot standby, tuned: heartbeats each second, and the standby asks no client before it takes over. */
export async function startKeaPair (place: Place, name: string, addresses: readonly [string, string]): Promise<KeaPair> {
  const hosts = [await place.segment.host(`${name}1`, addresses[0]), await place.segment.host(`${name}2`, addresses[1])] as const
  const peers = hosts.map(({ address }, index) => ({ name: `server${index + 1}`, url: `http://${address}:8001/`, role: index === 0 ? 'primary' : 'standby', 'auto-failover': true }))
  const kea = await Promise.all(hosts.map((host, index) => startKea(place, host, cores.all, {
    'lease-database': memfile(join(place.folder, host.name)),
    'control-socket': { 'socket-type': 'unix', 'socket-name': join(place.folder, host.name, 'control') },
    'multi-threading': { 'enable-multi-threading': true, 'thread-pool-size': 4, 'packet-queue-size': 512 },
    'hooks-libraries': [{ library: `${hooks}/libdhcp_lease_cmds.so`, parameters: {} }, {
      library: `${hooks}/libdhcp_ha.so`,
      parameters: { 'high-availability': [{
        'this-server-name': `server${index + 1}`, mode: 'hot-standby', 'heartbeat-delay': 1000, 'max-response-delay': 3000, 'max-ack-delay': 2000, 'max-unacked-clients': 0,
        'multi-threading': { 'enable-multi-threading': true, 'http-dedicated-listener': true, 'http-listener-threads': 4, 'http-client-threads': 4 }, peers
      }] }
    }]
  })))
  for (const each of kea) await said(each.directory, each, 'to HOT-STANDBY', 30_000)
  return {
    address: hosts[0].address, standby: hosts[1].address, pids: () => kea.flatMap(({ pid }) => treeOf(pid)),
    kill: async () => { await kea[0]?.end('SIGKILL') },
    stop: async () => { await Promise.all(kea.map(each => each.end())) }
  }
}
