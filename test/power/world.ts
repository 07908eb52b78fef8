/** Two regions, two racks and their BMCs, each in a namespace of its own: the racks reach the regions over one bridge, the BMCs over another. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { plugins } from '../../core/plugins.ts'
import { createSwitch, startCluster, type Cluster, type Member } from '../ha/cluster.ts'
import { createNetwork, type Namespace } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import type { Order, Protocol, Told } from './bmcs.ts'

const run = promisify(execFile)
export const bmcHost = '10.79.0.1'
const databaseHost = '10.77.0.2'
const needed = ['access', 'network', 'power', 'machines']

export interface WorldOptions {
  readonly directory: string
  /** An empty database, by its server's socket, and how to ask it. The regions come to it over the bridge, as if it were another host's. */
  readonly database: { readonly socket: string, readonly name: string, readonly user: string }
  readonly query: <Row>(text: string, values?: readonly unknown[]) => Promise<Row[]>
  readonly say: (line: string) => void
}
/** `address`: towards the BMCs; `cable`: takes the cable to them out, and puts it back. */
export interface Rack { readonly member: Member, readonly address: string, cable(state: 'up' | 'down'): Promise<void> }
/** A machine with its BMC. */
export interface Box { readonly id: string, readonly name: string, readonly endpoint: string }
export interface ActionRow { readonly id: string, readonly action: string, readonly state: string, readonly attempts: number, readonly rack: string | null, readonly error: string | null }
type Body<K> = K extends { readonly id: number, readonly name: string } ? Omit<K, 'id' | 'name'> : never

export interface World {
  readonly cluster: Cluster
  readonly racks: readonly [Rack, Rack]
  readonly query: WorldOptions['query']
  /** A machine whose BMC both racks reach and one asks. */
  box(name: string, options?: { readonly state?: 'on' | 'off', readonly macs?: readonly string[], readonly password?: string, readonly settled?: boolean, readonly by?: Protocol }): Promise<Box>
  bmc(box: Pick<Box, 'name'>, order: Body<Order>): Promise<Told>
  /** Asks for an action over the API of a region that answers; gives what ends it, done or not. */
  power(box: Box, action: 'on' | 'off' | 'cycle'): Promise<void>
  ended(box: Box, timeout?: number): Promise<ActionRow>
  actions(box: Box): Promise<readonly ActionRow[]>
  api<T>(method: string, path: string, body?: unknown): Promise<{ readonly status: number, readonly body: T }>
  machine(box: Box): Promise<{ readonly state: string, readonly error: string | null, readonly poller: string | null }>
  leader(): Promise<Member>
  /** The rack with that controller id. */
  rack(id: string | null): Rack
  other(rack: Rack): Rack
  whole(): Promise<void>
  close(): Promise<void>
}

export async function openWorld ({ directory, database, query, say }: WorldOptions): Promise<World> {
  const network = await createNetwork()
  const plug = await createSwitch(network)
  const bmcs = await network.namespace()
  await network.bridge(bmcs, 'bmc', [`${bmcHost}/24`])
  const way = (await plug('database', 2)).namespace.node(join(import.meta.dirname, '../rpc/member.ts'), [JSON.stringify({ role: 'way', address: databaseHost, port: 5432, socket: database.socket })])
  await once(way, 'message')
  const places = new Map<string, Pick<Rack, 'address' | 'cable'>>()
  let number = 1
  const cluster = await startCluster({
    network, plug, directory, say, size: 2, database: { hosts: [databaseHost], name: database.name, user: database.user },
    settings: { without: plugins.map(({ manifest }) => manifest.name).filter(name => !needed.includes(name)), power: { pollSeconds: 5, reachSeconds: 5, actionTimeoutSeconds: 40 } },
    async wired (name: string, namespace: Namespace) {
      const address = `10.79.0.${20 + ++number}`
      const port = `b${number}`
      places.set(name, { address, cable: async state => { await run('ip', ['-n', bmcs.name, 'link', 'set', port, state]) } })
      await network.cable({ namespace, name: 'bmc', addresses: [`${address}/24`] }, { namespace: bmcs, name: port, bridge: 'bmc' })
    }
  })
  const child = bmcs.node(join(import.meta.dirname, 'bmcs.ts'), [bmcHost])
  await once(child, 'message')
  const waiting = new Map<number, (answer: { readonly told?: Told, readonly error?: string }) => void>()
  child.on('message', (answer: { readonly id: number, readonly told?: Told, readonly error?: string }) => { waiting.get(answer.id)?.(answer); waiting.delete(answer.id) })
  let asked = 0

  const [first, second] = cluster.racks.flatMap(member => { const place = places.get(member.name); return place === undefined ? [] : [{ member, ...place }] })
  if (first === undefined || second === undefined) throw new TypeError('two racks are needed')
  const world: World = {
    cluster, query, racks: [first, second],
    bmc: ({ name }, order) => new Promise((resolve, reject) => {
      const id = ++asked
      waiting.set(id, ({ told, error }) => { if (told === undefined) reject(new TypeError(error)); else resolve(told) })
      child.send({ id, name, ...order })
    }),
    async api (method, path, body) {
      let failure: unknown
      for (const region of cluster.regions) {
        if (!region.process.running()) continue
        try { return await cluster.ask(`http://${region.address}:5240/api/v1${path}`, method, body) } catch (error) { failure = error }
      }
      throw failure
    },
    async box (name, { state = 'off', macs, password = 'password', settled = true, by = 'redfish' } = {}) {
      const { port } = await world.bmc({ name }, { ask: 'make', state, by })
      const { status, body } = await world.api<{ id: string }>('POST', '/machines', { hostname: name, macs: macs ?? [`52:54:00:79:${(port >> 8).toString(16).padStart(2, '0')}:${(port & 255).toString(16).padStart(2, '0')}`], power: { address: by === 'ipmi' ? `ipmi://admin:${password}@${bmcHost}:${port}` : `redfish+http://admin:${password}@${bmcHost}:${port}/redfish/v1/Systems/1` } })
      if (status !== 201) throw new TypeError(`${status} ${JSON.stringify(body)}`)
      const box = { id: body.id, name, endpoint: `${by === 'ipmi' ? 'ipmi' : 'tcp'}://${bmcHost}:${port}` }
      await until(async () => (await query('select from power.route where endpoint = $1 and reachable', [box.endpoint])).length === 2, { timeout: 30_000, what: `both racks to reach ${name}` })
      if (settled) await until(async () => { const now = await world.machine(box); return now.poller !== null && now.state === state }, { timeout: 30_000, what: `${name} to be asked by a rack` })
      return box
    },
    async power ({ id }, action) {
      const { status, body } = await world.api('POST', `/machines/${id}/power/${action}`, {})
      if (status !== 202) throw new TypeError(`${status} ${JSON.stringify(body)}`)
    },
    actions: ({ id }) => query<ActionRow>('select id, action, state, attempts, rack, error from power.action where machine = $1 order by id', [id]),
    ended: (box, timeout = 60_000) => until(async () => { const last = (await world.actions(box)).at(-1); return last !== undefined && !['queued', 'running'].includes(last.state) ? last : undefined }, { timeout, interval: 20, what: `the action on ${box.name} to end` }),
    async machine ({ id }) {
      const [row] = await query<{ state: string, error: string | null, poller: string | null }>('select state, error, poller from power.machine where machine = $1', [id])
      if (row === undefined) throw new TypeError('no such machine')
      return row
    },
    async leader () {
      const [row] = await query<{ holder: string }>('select holder from core.leader')
      const found = cluster.regions.find(({ id }) => id === row?.holder)
      if (found === undefined) throw new TypeError(`nobody leads: ${JSON.stringify(row)}`)
      return found
    },
    rack (id) {
      const found = world.racks.find(({ member }) => member.id === id)
      if (found === undefined) throw new TypeError(`no rack ${id}`)
      return found
    },
    other: rack => rack === first ? second : first,
    async whole () {
      for (const one of [...cluster.regions, ...cluster.racks]) {
        one.process.signal('SIGCONT')
        if (!one.process.running()) one.process.start()
        await one.ready()
      }
      await until(async () => {
        for (const region of cluster.regions) {
          const { body } = await cluster.ask<{ items: { id: string, linked: boolean }[] }>(`http://${region.address}:5240/api/v1/controllers`)
          if (cluster.racks.some(({ id }) => !body.items.some(one => one.id === id && one.linked))) return false
        }
        return true
      }, { timeout: 60_000, interval: 100, what: 'every rack to be linked with every region' })
    },
    async close () {
      child.disconnect()
      await cluster.close()
      await network.destroy()
    }
  }
  return world
}

