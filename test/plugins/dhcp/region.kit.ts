/** The region halves of network and dhcp over a real database and real HTTP routes, without the rest of a region. */
import type { FastifyInstance, InjectOptions } from 'fastify'
import { createHooks } from '../../../core/hooks.ts'
import { createApp } from '../../../core/http/app.ts'
import { conventions } from '../../../core/http/conditional.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { Change, Manifest, RegionRunning, Term } from '../../../core/plugin.ts'
import { Leases, manifest, ServedVlans } from '../../../plugins/dhcp/manifest.ts'
import type { Answer, SyncParams, SyncResult, WantedEntry, WantedKey, Wish } from '../../../plugins/dhcp/manifest.ts'
import half from '../../../plugins/dhcp/region.ts'
import { manifest as networkManifest } from '../../../plugins/network/manifest.ts'
import type { NetworkService } from '../../../plugins/network/manifest.ts'
import networkHalf from '../../../plugins/network/region.ts'
import { systemClock } from '../../../core/clock.ts'
import { until } from '../../kit/wait.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'

export interface Region {
  readonly db: TestDatabase
  readonly app: FastifyInstance
  readonly network: NetworkService
  readonly running: RegionRunning<typeof manifest, { readonly leases: typeof Leases, readonly served: typeof ServedVlans }>
  /** The racks that are enrolled. */
  readonly controllers: Set<string>
  sync(rack: string, params?: Partial<SyncParams>): Promise<SyncResult>
  /** What the leader does every few seconds, and for claims. */
  keep(): Promise<void>
  call(method: NonNullable<InjectOptions['method']>, path: string, body?: object): Promise<{ status: number, body: any }>
  /** A rack has these interfaces, each with addresses. */
  attach(rack: string, interfaces: Readonly<Record<string, readonly string[]>>): Promise<void>
  subnet(cidr: string, range?: readonly [start: string, end: string], more?: object): Promise<string>
  bind(rack: string, ...wishes: readonly (Partial<Wish> & Pick<Wish, 'address' | 'client'>)[]): Promise<Answer[]>
  grant(rack: string, subnet: string): Promise<string[]>
  fact(rack: string, kind: 'released' | 'declined', body: { address: string, subnet: string, client: string, number?: string | null }): Promise<void>
  wanted(rack: string, keys?: readonly WantedKey[]): Promise<readonly WantedEntry[]>
  /** The changes logged since the last look. */
  changes(): Promise<readonly Change[]>
  close(): Promise<void>
}

/** `also`: plugins whose tables there shall be besides. */
export async function openRegion (config: { blockSize?: number, reserveSize?: number, autonomySeconds?: number } = {}, also: readonly Manifest[] = []): Promise<Region> {
  const db = await testDatabase({ migrations: [networkManifest, manifest, ...also], size: 12 })
  const shared = {
    hooks: createHooks(), log: createLogger('silent'), clock: systemClock, metrics: createMetrics(), db, rack: () => { throw new Error('nobody calls racks here') }, racks: () => [],
    controller: { id: 'r1', hostname: 'r1', roles: ['region'] as const, version: '0', dataDirectory: '/nonexistent' }, secrets: { seal: (text: string) => text, open: (text: string) => text }
  }
  const networkRunning = networkHalf.setup({ ...shared, config: { scanSeconds: 10, ignoreInterfaces: [] }, deps: {} })
  const network = networkRunning.provides.network
  const controllers = new Set(['rack-a', 'rack-b', 'a', 'b'])
  const running = half.setup({ ...shared, config: { historyDays: 90, leaseSeconds: 600, firmwareLeaseSeconds: 120, rapidCommit: true, probeSeconds: 0, blockSize: config.blockSize ?? 8, autonomySeconds: config.autonomySeconds ?? 3600, reserveSize: config.reserveSize ?? 4, rackHttpPort: 5248, quarantineSeconds: 600, newClientPoolSeconds: 60, newClientsPerSecond: 20, newClientsPerPort: 10, newClientsPortBurst: 100, rogueProbeSeconds: 0 }, deps: { network, controllers: { list: async () => [...controllers].map(id => ({ id, hostname: id, roles: ['rack'] as const, version: '0', seenAt: new Date(), linked: true, startedAt: null, addresses: [], rpcPort: null, httpPort: null, api: [] })) } } })
  const app = createApp(shared.log)
  conventions(app)
  await app.register(networkRunning.routes!, { prefix: '/api/v1/network' })
  await app.register(running.routes!, { prefix: '/api/v1/dhcp' })
  await app.ready()
  let position = await db.feed.position()
  let shown = position
  const caller = (controller: string) => ({ controller, signal: new AbortController().signal })
  const region: Region = {
    db, app, network, running, controllers,
    sync: (rack, params = {}) => running.rpc.sync({ epoch: `epoch of ${rack}`, last: 0, entries: [], forgotten: [], returned: [], subnets: [], ...params }, caller(rack)),
    async keep () {
      const [keeper] = running.services
      const stop = new AbortController()
      await keeper?.start(stop.signal, { signal: stop.signal } as Term)
      await until(() => keeper?.health().state === 'running')
      await keeper?.stop()
    },
    async call (method, url, body) {
      const answer = await app.inject({ method, url: `/api/v1${url}`, ...(body === undefined ? {} : { payload: body }) })
      return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() }
    },
    async attach (rack, interfaces) {
      const body = { interfaces: Object.entries(interfaces).map(([name, addresses], index) => ({ name, mac: `02:aa:00:00:00:0${index}`, addresses: [...addresses], up: true })) }
      await db.tx(tx => networkRunning.facts!(tx, rack, [{ kind: 'interfaces', at: new Date().toISOString(), body }]))
    },
    async subnet (cidr, range, more = {}) {
      const { body } = await region.call('POST', '/network/subnets', { vlanId: '1', cidr, ...more })
      if (range !== undefined) await region.call('POST', '/network/ranges', { subnetId: body.id, kind: 'dynamic', start: range[0], end: range[1] })
      return body.id
    },
    bind: async (rack, ...wishes) => (await running.rpc.bind({ wishes: wishes.map(wish => ({ subnet: '1', clientId: null, hostname: null, seconds: 600, ...wish })) }, caller(rack))).answers,
    grant: async (rack, subnet) => (await running.rpc.grant({ subnet }, caller(rack))).addresses,
    fact: (rack, kind, body) => db.tx(tx => running.facts!(tx, rack, [{ kind, at: new Date().toISOString(), body: { number: null, ...body } }])),
    async wanted (rack, keys) {
      // As the publisher does: every change has been shown to `touches` before anything is computed.
      const { changes, position } = await db.feed.since(shown)
      shown = position
      if (changes.length > 0) await running.touches!(changes)
      return await running.wanted!(rack, keys)
    },
    async changes () {
      const found = await db.feed.since(position)
      position = found.position
      return found.changes
    },
    async close () {
      await app.close()
      await db.drop()
    }
  }
  return region
}

/** A MAC made of a number. */
export const macOf = (number: number): string => `02:00:${[24, 16, 8, 0].map(shift => ((number >>> shift) & 255).toString(16).padStart(2, '0')).join(':')}`
