/** An installation for tests of the traffic: regions and racks with one small plugin, over real TLS through proxies that can be cut, or over loopback. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import type { ActiveRack, ActiveRegion } from '../../core/active.ts'
import { systemClock } from '../../core/clock.ts'
import { createHooks } from '../../core/hooks.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics, type Metrics } from '../../core/metrics.ts'
import { defineManifest, method, type Caller, type Change, type Entry, type Key, type Role, type WantedChange } from '../../core/plugin.ts'
import { createSecrets } from '../../core/secrets.ts'
import { createRackEnd } from '../../core/rpc/client.ts'
import type { Installation as RegionShares } from '../../core/rpc/needs.ts'
import type { FedDatabase, RackEnd, RegionEnd, RegionLoopback } from '../../core/rpc/ends.ts'
import { createRegionEnd } from '../../core/rpc/server.ts'
import type { Wire } from '../../core/rpc/wire.ts'
import { until } from '../kit/wait.ts'

const Number_ = Type.Object({ n: Type.Integer() }, { additionalProperties: false })
const Text = Type.Object({ text: Type.String() })

export const probe = defineManifest({
  name: 'probe', config: Type.Object({}),
  rpc: {
    echo: method({ answeredBy: 'region', idempotent: true, params: Text, result: Type.Object({ text: Type.String(), region: Type.String(), rack: Type.String() }) }),
    once: method({ answeredBy: 'region', params: Text, result: Type.Object({ region: Type.String() }) }),
    hang: method({ answeredBy: 'region', timeout: 200, params: Type.Object({}), result: Type.Object({}) }),
    wrong: method({ answeredBy: 'region', params: Type.Object({}), result: Text }),
    refuse: method({ answeredBy: 'region', params: Type.Object({ how: Type.String() }), result: Type.Object({}) }),
    nod: method({ answeredBy: 'rack', idempotent: true, params: Text, result: Type.Object({ text: Type.String(), region: Type.String() }) })
  },
  wanted: { entry: Number_ },
  facts: { seen: Number_ }
})
export const schema = `
  create schema probe;
  create table probe.entry (rack text not null, id text not null, value jsonb not null, primary key (rack, id));
  create table probe.fact (id bigint generated always as identity primary key, rack text not null, n integer not null)`

type Db = FedDatabase
const textOf = (params: unknown): string => (params as { text: string }).text

export const putEntry = (db: Db, rack: string, id: string, value: unknown): Promise<void> => db.tx(async tx => {
  await tx.query('insert into probe.entry values ($1, $2, $3) on conflict (rack, id) do update set value = excluded.value', [rack, id, JSON.stringify(value)])
  await tx.changed('probe.entry', id)
})
export const removeEntry = (db: Db, rack: string, id: string): Promise<void> => db.tx(async tx => {
  await tx.query('delete from probe.entry where rack = $1 and id = $2', [rack, id])
  await tx.changed('probe.entry', id)
})
export const facts = async (db: Db): Promise<number[]> => (await db.query<{ n: number }>('select n from probe.fact order by id')).map(row => row.n)

/** What happened in one region's half, and ways to interfere. */
export interface RegionProbe { readonly half: ActiveRegion, readonly asked: (readonly string[] | 'all')[], readonly once: string[], readonly batches: number[], aborted: number, onCall?: ((text: string) => Promise<void>) | undefined, onFacts?: ((ns: readonly number[]) => Promise<void> | void) | undefined }

export function regionProbe (db: Db, id: string): RegionProbe {
  const self: RegionProbe = {
    asked: [], once: [], batches: [], aborted: 0,
    half: {
      manifest: probe,
      running: {
        provides: {}, services: [],
        rpc: {
          async echo (params: unknown, caller: Caller) { const text = textOf(params); await self.onCall?.(text); return { text, region: id, rack: caller.controller } },
          async once (params: unknown) { const text = textOf(params); self.once.push(text); await self.onCall?.(text); return { region: id } },
          hang: (_: unknown, { signal }: Caller) => new Promise<never>(() => { signal.addEventListener('abort', () => { self.aborted++ }) }),
          async wrong () { return { text: 7 } },
          async refuse (params: unknown) { const { how } = params as { how: string }; throw how === 'coded' ? await coded() : new TypeError(how) }
        },
        async wanted (rack: string, keys?: readonly Key[]) {
          self.asked.push(keys === undefined ? 'all' : keys.map(key => key.id))
          const rows = await db.query<{ id: string, value: { n: number } }>('select id, value from probe.entry where rack = $1 and ($2::text[] is null or id = any($2)) order by id', [rack, keys?.map(key => key.id) ?? null])
          return rows.map((row): Entry => ({ kind: 'entry', id: row.id, value: row.value }))
        },
        async touches (changes: readonly Change[]) { return changes.filter(change => change.topic === 'probe.entry').map(change => ({ kind: 'entry', id: change.id })) },
        async facts (tx: { query: Db['query'] }, rack: string, batch: readonly { body: unknown }[]) {
          const ns = batch.map(fact => (fact.body as { n: number }).n)
          self.batches.push(ns.length)
          await tx.query('insert into probe.fact (rack, n) select $1, n from unnest($2::int[]) with ordinality as t(n, o) order by o', [rack, ns])
          await self.onFacts?.(ns)
        }
      }
    }
  }
  return self
}
async function coded (): Promise<Error> {
  const { BedplateError } = await import('../../core/errors.ts')
  return new BedplateError('NOT_FOUND', { what: 'probe', id: '7' })
}

export interface RackProbe { readonly half: ActiveRack, readonly state: Map<string, unknown>, readonly applied: { change: WantedChange, whole: boolean }[], onApply?: ((change: WantedChange) => void) | undefined, onNod?: (() => Promise<void>) | undefined }
export function rackProbe (): RackProbe {
  const self: RackProbe = {
    state: new Map(), applied: [],
    half: {
      manifest: probe,
      running: {
        provides: {}, services: [],
        rpc: { async nod (params: unknown, caller: Caller) { await self.onNod?.(); return { text: textOf(params), region: caller.controller } } },
        apply (change: WantedChange, whole: boolean) {
          self.onApply?.(change)
          if (whole) self.state.clear()
          for (const entry of change.put) self.state.set(entry.id, entry.value)
          for (const key of change.remove) self.state.delete(key.id)
          self.applied.push({ change, whole })
        }
      }
    }
  }
  return self
}

/** A TCP proxy before a region. `live` decides over new connections; `budget` gives the bytes a connection may carry before it is cut. */
export interface Proxy { readonly url: string, cut(): void, stall(on: boolean): void, live: boolean, budget: (() => number) | undefined, readonly connections: number, close(): Promise<void> }
export async function proxy (port: number): Promise<Proxy> {
  const pairs = new Set<[Socket, Socket]>()
  let stalled = false
  let connections = 0
  const server = createServer(near => {
    if (!self.live) { near.destroy(); return }
    connections++
    const far = connect(port, '127.0.0.1')
    const pair: [Socket, Socket] = [near, far]
    pairs.add(pair)
    let left = self.budget?.() ?? Infinity
    const end = () => { pairs.delete(pair); near.destroy(); far.destroy() }
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (data: Buffer) => {
        left -= data.length
        if (left < 0) { end(); return }
        if (!to.write(data)) { from.pause(); to.once('drain', () => { if (!stalled) from.resume() }) }
      })
      from.on('close', end)
      from.on('error', end)
      if (stalled) from.pause()
    }
    pass(near, far)
    pass(far, near)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const self: Proxy = {
    url: `127.0.0.1:${(server.address() as AddressInfo).port}`, live: true, budget: undefined,
    get connections () { return connections },
    cut () { for (const [near, far] of pairs) { near.destroy(); far.destroy() } },
    stall (on) { stalled = on; for (const pair of pairs) for (const socket of pair) { if (on) socket.pause(); else socket.resume() } },
    close: () => new Promise(resolve => { server.close(() => { resolve() }); self.cut() })
  }
  return self
}

/** A loopback that can be cut like a socket: `live` and `cut` as above, `budget` in frames. */
export function cuttable (inner: RegionLoopback): RegionLoopback & { cut(): void, live: boolean, budget: (() => number) | undefined } {
  const wires = new Set<Wire>()
  const self = {
    controller: inner.controller, live: true, budget: undefined as (() => number) | undefined,
    cut () { for (const wire of wires) wire.close('cut') },
    connect (): Wire {
      if (!self.live) throw new TypeError('the loopback is cut')
      const wire = inner.connect()
      let left = self.budget?.() ?? Infinity
      const spend = (): boolean => { if (--left >= 0) return true; wire.close('cut'); return false }
      wires.add(wire)
      return {
        ...wire,
        send (text) { if (spend()) wire.send(text) },
        listen (received, closed) { wire.listen(text => { if (spend()) received(text) }, reason => { wires.delete(wire); closed(reason) }) }
      }
    }
  }
  return self
}

const log = createLogger('silent')
export const newId = (what: string): string => `${what}-${randomBytes(4).toString('hex')}`

export interface Region { readonly id: string, readonly dataDirectory: string, readonly end: RegionEnd, readonly probe: RegionProbe, readonly db: Db, readonly metrics: Metrics, readonly proxy: Proxy, stop(): Promise<void> }
export interface Rack { readonly id: string, readonly end: RackEnd, readonly probe: RackProbe, readonly metrics: Metrics, readonly directory: string, start(): Promise<void>, stop(): Promise<void> }
export interface RackOptions { readonly id?: string, readonly directory?: string, readonly token?: string, readonly regions?: readonly string[], readonly loopback?: RegionLoopback, readonly probe?: RackProbe, readonly outboxLimit?: number, readonly roles?: readonly Role[] }

/** Makes and ends everything of one test. */
export class Installation {
  readonly #ends: (() => Promise<unknown>)[] = []
  readonly secrets = createSecrets(randomBytes(32))

  async directory (): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'bedplate-rpc-'))
    this.#ends.push(() => rm(path, { recursive: true, force: true }))
    return path
  }

  /** `advertise`: by default an address nobody listens at, so that racks keep to the proxies. */
  async region (db: Db, { id = newId('region'), roles = ['region'] as readonly Role[], start = true, advertise = '127.0.0.2', timing = {}, shares = undefined as RegionShares | undefined, removed = undefined as ((reason: string) => void) | undefined, version = '1.0.0' } = {}): Promise<Region> {
    const metrics = createMetrics()
    const probe = regionProbe(db, id)
    const dataDirectory = await this.directory()
    const end = createRegionEnd({
      controller: { id, hostname: 'localhost', roles, version, dataDirectory },
      ...shares === undefined ? {} : { installation: shares }, ...removed === undefined ? {} : { removed },
      db, secrets: this.secrets, halves: [probe.half], log, clock: systemClock, metrics, hooks: createHooks(), listen: { host: '127.0.0.1', port: 0, advertise: [advertise] }, timing
    })
    const stop = async () => { for (const service of [...end.services].reverse()) await service.stop() }
    this.#ends.push(stop)
    if (start) for (const service of end.services) await service.start(AbortSignal.timeout(10_000))
    const front = await proxy(end.port() ?? 1)
    this.#ends.push(() => front.close())
    return { id, dataDirectory, end, probe, db, metrics, proxy: front, stop }
  }

  async rack (o: RackOptions = {}): Promise<Rack> {
    const metrics = createMetrics()
    const probe = o.probe ?? rackProbe()
    const id = o.id ?? o.loopback?.controller ?? newId('rack')
    const directory = o.directory ?? await this.directory()
    const end = createRackEnd({
      controller: { id, hostname: 'rack.test', roles: o.roles ?? (o.loopback ? ['region', 'rack'] : ['rack']), version: '1.0.0', dataDirectory: directory },
      halves: [probe.half], log, clock: systemClock, metrics, hooks: createHooks(), regions: o.regions ?? [],
      ...(o.loopback ? { loopback: o.loopback } : {}), ...(o.token ? { token: o.token } : {}), ...(o.outboxLimit ? { outboxLimit: o.outboxLimit } : {})
    })
    const stop = async () => { for (const service of [...end.services].reverse()) await service.stop() }
    const start = async () => {
      await end.restore()
      for (const service of end.services) await service.start(AbortSignal.timeout(10_000))
    }
    this.#ends.push(stop)
    return { id, end, probe, metrics, directory, start, stop }
  }

  /** A rack enrolled with a fresh token and linked to every region given, through their proxies only. */
  async linked (regions: readonly Region[], o: RackOptions = {}): Promise<Rack> {
    const [first] = regions
    const rack = await this.rack({ ...o, regions: regions.map(region => region.proxy.url), token: await first?.end.createToken(['rack'], 60) ?? '' })
    await rack.start()
    await until(() => regions.every(region => rack.end.links().some(link => link.up && link.controller === region.id) && region.end.racks().includes(rack.id)), { what: 'all links up', timeout: 10_000 })
    return rack
  }

  /** Ends everything and forgets the controllers of this test. */
  async end (db?: Db): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
    await db?.query('truncate core.controller, core.enrolment_token, core.rack_state, core.fact_cursor, core.fact_rejected, core.controller_removed, probe.entry, probe.fact restart identity')
  }
}
