/** Facts from a rack's disk into PostgreSQL: in order, once, whatever the links do. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, cuttable, facts, schema, type Rack, type RackOptions, type Region } from '../rpc/installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, n) => from + n)
const reported = (rack: Rack, count: number, from = 0) => { for (const n of numbers(count, from)) rack.end.report('probe', 'seen', { n }) }
const stored = (expected: readonly number[], timeout = 15_000) => until(async () => (await facts(db)).length >= expected.length, { what: `${expected.length} facts`, timeout }).then(async () => { expect(await facts(db)).toEqual(expected) })
const rejected = () => db.query<{ seq: string, kind: string, reason: string, body: unknown }>('select seq, kind, reason, body from core.fact_rejected order by seq')
const value = async (of: { readonly metrics: Rack['metrics'] }, name: string): Promise<number> => {
  const metric = await of.metrics.registry.getSingleMetric(name)?.get()
  return (metric?.values ?? []).reduce((sum, one) => sum + one.value, 0)
}

/** mulberry32: the same seed cuts at the same places. */
const random = (seed: number) => () => {
  seed = (seed + 0x6D2B79F5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

interface Pair { readonly region: Region, readonly rack: Rack, readonly path: { budget: (() => number) | undefined, live: boolean, cut(): void } }
const transports: Record<string, { make: (o?: RackOptions) => Promise<Pair>, budget: (random: () => number) => number }> = {
  sockets: {
    async make (o) {
      const region = await installation.region(db)
      return { region, rack: await installation.linked([region], o), path: region.proxy }
    },
    budget: random => 3000 + random() * 30_000 // bytes, the TLS handshake included
  },
  loopback: {
    async make (o) {
      const region = await installation.region(db, { roles: ['region', 'rack'] })
      const path = cuttable(region.end.loopback())
      const rack = await installation.rack({ loopback: path, ...o })
      await rack.start()
      return { region, rack, path }
    },
    budget: random => Math.floor(2 + random() * 8) // frames
  }
}

describe.each(Object.keys(transports))('facts over %s', name => {
  const transport = transports[name] as typeof transports[string]

  test('are stored in order, and leave the rack', async () => {
    const { region, rack } = await transport.make()
    reported(rack, 50)
    await stored(numbers(50))
    await until(async () => await value(rack, 'bedplate_outbox_facts') === 0)
    expect(await value(region, 'bedplate_facts_stored_total')).toBe(50)
  })

  test('reported without a link are kept, and delivered later', async () => {
    const { rack, path } = await transport.make()
    await until(() => rack.end.links().some(link => link.up))
    path.live = false
    path.cut()
    await until(() => rack.end.links().every(link => !link.up))
    reported(rack, 20)
    expect(await value(rack, 'bedplate_outbox_facts')).toBe(20)
    path.live = true
    await stored(numbers(20))
  })

  test.each([1, 2, 3])('are stored once though links die everywhere (seed %i)', async seed => {
    const dice = random(seed)
    const { rack, path } = await transport.make()
    path.budget = () => transport.budget(dice)
    path.cut()
    for (const from of numbers(20)) {
      reported(rack, 30, from * 30)
      await until(async () => (await facts(db)).length >= from * 30)
      if (from === 15) path.budget = undefined // a schedule may cut every batch; let it end
    }
    path.cut()
    await stored(numbers(600))
    await until(async () => await value(rack, 'bedplate_outbox_facts') === 0)
    expect(await facts(db)).toEqual(numbers(600))
    expect(await rejected()).toEqual([])
  })

  test('a poison fact is set aside with its reason, and the rest goes on in order', async () => {
    const { region, rack } = await transport.make()
    let tries = 0
    region.probe.onFacts = ns => { if (ns.includes(13)) { if (ns.length === 1) tries++; throw new TypeError('unlucky') } }
    reported(rack, 30)
    await stored(numbers(30).filter(n => n !== 13))
    expect(await rejected()).toMatchObject([{ seq: '14', kind: 'seen', reason: 'unlucky', body: { n: 13 } }])
    expect(tries).toBe(3)
    expect(await value(region, 'bedplate_facts_rejected_total')).toBe(1)
  })

  test('a database that is briefly unwilling costs a delay, and counts against no fact', async () => {
    const { region, rack } = await transport.make()
    let refusals = 8
    region.probe.onFacts = () => { if (refusals-- > 0) throw Object.assign(new TypeError('shutting down'), { code: '57P01' }) }
    reported(rack, 5)
    await stored(numbers(5))
    expect(await rejected()).toEqual([])
  })

  test('one that is not valid here is set aside at once', async () => {
    const { rack } = await transport.make()
    await rack.stop()
    const { DatabaseSync } = await import('node:sqlite')
    const disk = new DatabaseSync(`${rack.directory}/rack.db`)
    disk.exec(`insert into outbox (plugin, kind, at, body) values ('probe', 'seen', '2030-01-01T00:00:00Z', '{"n":1}'), ('probe', 'seen', 'yesterday', '{"n":2}'),
      ('probe', 'seen', '2030-01-01T00:00:00Z', '{"n":"three"}'), ('gone', 'seen', '2030-01-01T00:00:00Z', '{"text":"a\\u0000b"}'), ('probe', 'toString', '2030-01-01T00:00:00Z', '{}'), ('probe', 'seen', '2030-01-01T00:00:00Z', '{"n":6}')`)
    disk.close()
    await rack.start()
    await stored([1, 6])
    expect((await rejected()).map(row => row.reason)).toEqual(['its time is not valid', expect.stringContaining('/n must be integer'), 'no plugin gone takes facts here', 'the plugin probe knows no fact toString'])
  })
})

test('with two regions, a batch whose region dies before it answers is stored once', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const rack = await installation.linked([a, b])
  let storing: Region | undefined
  for (const region of [a, b]) region.probe.onFacts = async () => { if (storing === undefined) { storing = region; region.proxy.live = false; region.proxy.cut() } }
  reported(rack, 40)
  await stored(numbers(40))
  await until(async () => await value(rack, 'bedplate_outbox_facts') === 0)
  expect(await facts(db)).toEqual(numbers(40)) // the second region was given it too, and knew it
  expect(storing).toBeDefined()
})

test('a new life of the outbox begins a new count: nothing of it is taken for a repetition', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  reported(rack, 3)
  await stored(numbers(3))
  await rack.stop()
  const { rm } = await import('node:fs/promises')
  for (const suffix of ['', '-wal', '-shm']) await rm(`${rack.directory}/rack.db${suffix}`, { force: true })
  await rack.start()
  reported(rack, 3, 3)
  await stored(numbers(6))
})

test('a full outbox drops the oldest, says so, and recovers', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region], { outboxLimit: 100 })
  region.proxy.live = false
  region.proxy.cut()
  await until(() => rack.end.links().every(link => !link.up))
  reported(rack, 150)
  expect(rack.end.services[0]?.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('50 were dropped') })
  expect(await value(rack, 'bedplate_outbox_dropped_total')).toBe(50)
  region.proxy.live = true
  await stored(numbers(100, 50))
  await until(() => rack.end.services[0]?.health().state === 'running')
})

test('a fact its own schema refuses is dropped, counted and stops nothing', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  rack.end.report('probe', 'seen', { n: 'x' })
  rack.end.report('probe', 'unheard', {})
  rack.end.report('probe', 'seen', { n: 1 })
  await stored([1])
  expect(await value(rack, 'bedplate_facts_invalid_total')).toBe(2)
})
