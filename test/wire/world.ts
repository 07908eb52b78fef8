/** The world of the wire run: a cluster of two regions, two racks and a real database, the segment both racks serve, and what can be plugged into it. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { createSwitch, startCluster, type Cluster, type Member } from '../ha/cluster.ts'
import type { RegionStatus } from '../ha/watch.ts'
import { createNetwork } from '../kit/network.ts'
import { createServers, type Server } from '../kit/servers.ts'
import { until } from '../kit/wait.ts'
import type { Firmware } from '../../sim/machine/machine.ts'
import { createQemu, type VirtualMachine } from '../../sim/machine/qemu.ts'
import { capture, type Message } from './capture.ts'
import { createClient, writeScript, type Client, type Program } from './client.ts'

const run = promisify(execFile)
const prefix = '10.99.0.'
export const leaseSeconds = 30 // the shortest that may be set: T1 after 15 s, T2 after 26

export interface Bound { readonly address: string, readonly mac: string }
/** A virtual machine that starts by the network. */
export interface Machine { readonly kind: Firmware, readonly mac: string, readonly started: number, start(): Promise<void>, end(): Promise<void> }
export interface World {
  readonly cluster: Cluster
  /** Ranked: the first is the primary. */
  readonly racks: readonly Member[]
  readonly server: Server
  /** Everything that went over the segment so far. */
  readonly heard: readonly Message[]
  client(kind: Program): Promise<Client>
  machine(kind: Firmware): Promise<Machine>
  /** Takes a rack's cable out of the segment, and puts it back. */
  unplug(rack: Member): Promise<void>
  plug(rack: Member): Promise<void>
  /** The bindings as the API tells them. */
  bindings(): Promise<Bound[]>
  /** What is stored now as it lies on disks: in the racks' journals, and in the database while it runs. */
  stored(): Promise<Bound[]>
  /** Resolves when everything is up and linked. */
  whole(): Promise<void>
}

const answered = <T>({ status, body }: { readonly status: number, readonly body: T }, what: string): T => {
  if (status >= 300) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`)
  return body
}

/** What has to be undone, whether the world was finished or not. */
export interface Remains {
  readonly undo: (() => Promise<unknown>)[]
  directory?: string
  heard?: readonly Message[]
}

/** Leaves nothing behind; with `keep` the logs, and what went over the segment. */
export async function clean ({ undo, directory, heard = [] }: Remains, say: (line: string) => void, keep = false): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step().catch((error: unknown) => { say(`while closing: ${String(error)}`) })
  if (directory === undefined) return
  if (!keep) { await rm(directory, { recursive: true, force: true }); return }
  await writeFile(join(directory, 'wire.jsonl'), heard.map(message => `${JSON.stringify(message)}\n`).join(''))
  say(`logs, and what went over the segment: ${directory}`)
}

/** Builds it. What `remains` says is to be cleaned by the caller, also when this rejects or is given up. */
export async function createWorld (remains: Remains, say: (line: string) => void): Promise<World> {
  const { undo } = remains
  const directory = remains.directory = await mkdtemp(join(tmpdir(), 'bedplate-wire-'))
  await chmod(directory, 0o755) // clients that give up root read their files there
  await writeScript(directory)
  const network = await createNetwork()
  undo.push(() => network.destroy())
  const plug = await createSwitch(network)
  const wire = await network.namespace()
  await network.bridge(wire, 'br0')
  const heard = remains.heard = await capture(wire, 'br0')

  say('starting the database')
  const place = await plug('pg', 31)
  const servers = await createServers()
  undo.push(() => servers.destroy())
  const server = await servers.primary('pg', { namespace: place.namespace.name, address: '10.77.0.31' })
  const cluster = await startCluster({
    network, plug, directory, say, size: 2,
    settings: { dhcp: { leaseSeconds }, network: { scanSeconds: 2 } },
    database: { hosts: [server.at], name: servers.database, user: servers.user, password: servers.password },
    wired: async (name, namespace) => { await network.cable({ namespace, name: 'eth1', addresses: [`${prefix}${name === 'rack-a' ? 2 : 3}/24`] }, { namespace: wire, name: `s-${name}`, bridge: 'br0' }) }
  })
  undo.push(() => cluster.close())
  const api = `http://${cluster.regions[0]?.address}:5240/api/v1`
  const ask = async <T> (path: string, method?: string, body?: unknown): Promise<T> => answered(await cluster.ask<T>(`${api}${path}`, method, body), `${method ?? 'GET'} ${path}`)

  say('describing the segment')
  const [vlan] = (await ask<{ items: { id: string }[] }>('/network/vlans')).items
  const subnet = await ask<{ id: string }>('/network/subnets', 'POST', { vlanId: vlan?.id, name: 'wire', cidr: `${prefix}0/24`, gateway: `${prefix}1`, dnsServers: [`${prefix}1`] })
  await ask('/network/ranges', 'POST', { subnetId: subnet.id, kind: 'dynamic', start: `${prefix}50`, end: `${prefix}249`, comment: 'clients' })
  await until(async () => (await ask<{ items: { vlanId: string }[] }>('/network/attachments')).items.filter(item => item.vlanId === vlan?.id).length === 2, { timeout: 60_000, interval: 200, what: 'both racks are known to touch the segment' })
  await ask(`/dhcp/vlans/${vlan?.id}`, 'PUT', { enabled: true, racks: cluster.racks.map(({ id }) => id) })
  await until(async () => (await Promise.all(cluster.racks.map(rack => rack.namespace.exec(['ss', '-Huln', 'sport', '=', ':67'])))).every(({ stdout }) => stdout !== ''), { timeout: 60_000, interval: 200, what: 'both racks listen on the segment' })

  let plugged = 0
  const next = (): { readonly number: number, readonly mac: string } => {
    const number = ++plugged
    return { number, mac: `02:be:d0:00:${[number >> 8, number & 255].map(byte => byte.toString(16).padStart(2, '0')).join(':')}` }
  }
  const cable = async (rack: Member, state: 'up' | 'down'): Promise<void> => { await run('ip', ['-n', wire.name, 'link', 'set', `s-${rack.name}`, state]) }
  return {
    cluster, server, heard, racks: cluster.racks,
    unplug: rack => cable(rack, 'down'),
    plug: rack => cable(rack, 'up'),
    async client (kind) {
      const { number, mac } = next()
      const namespace = await network.namespace()
      await network.cable({ namespace, name: 'eth0', mac }, { namespace: wire, name: `c${number}`, bridge: 'br0' })
      return await createClient({ kind, namespace, mac, folder: directory, prefix })
    },
    async machine (kind) {
      const { number, mac } = next()
      const tap = `t${number}`
      await network.tap(wire, tap, 'br0')
      const vm: VirtualMachine = await createQemu({ name: `wire-${number}`, firmware: kind, mac, tap, directory: join(directory, `vm-${number}`), memory: 512, diskGiB: 1, namespace: wire.name }, 'network', () => {})
      let started = 0
      return { kind, mac, get started () { return started }, start: () => { started = Date.now(); return vm.on() }, end: () => vm.off() }
    },
    bindings: async () => (await ask<{ items: Bound[] }>('/dhcp/bindings?limit=1000')).items,
    async stored () {
      const journals = cluster.racks.flatMap(({ directory }): Bound[] => {
        const journal = new DatabaseSync(join(directory, 'dhcp/journal.sqlite'), { readOnly: true })
        try {
          return journal.prepare('select address, client from lease').all().map(({ address, client }) => ({ address: String(address), mac: String(client) }))
        } finally { journal.close() }
      })
      return server.running ? [...journals, ...await server.sql<Bound>('select host(address) as address, mac from dhcp.address where mac is not null', { database: servers.database })] : journals
    },
    async whole () {
      await until(async () => {
        const seen = await Promise.all(cluster.regions.map(async region => (await cluster.ask<RegionStatus>(`http://${region.address}:5240/api/v1/status`)).body))
        const poor = seen.find(({ ready, linkedRacks }) => !ready || linkedRacks.length < cluster.racks.length)
        if (poor !== undefined) throw new Error(JSON.stringify(poor))
        return seen.some(({ leading }) => leading !== undefined)
      }, { timeout: 120_000, interval: 100, what: 'the cluster is whole' })
      for (const rack of cluster.racks) await rack.ready()
    }
  }
}
