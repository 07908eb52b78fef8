/** Facts from a rack's disk into PostgreSQL: in order, once, whatever the links do. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, facts, schema, type RackOptions, type Region } from '../rpc/installation.ts'
import { names, numbers, reported, stored, transports, value } from './reporting.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

const rejected = () => db.query<{ seq: string, kind: string, reason: string, body: unknown }>('select seq, kind, reason, body from core.fact_rejected order by seq')
describe.each(names)('facts over %s', name => {
  const make = (o?: RackOptions) => transports[name].make(installation, db, o)

  test('are stored in order, and leave the rack', async () => {
    const { region, rack } = await make()
    reported(rack, 50)
    await stored(db, numbers(50))
    await until(async () => await value(rack, 'bedplate_outbox_facts') === 0)
    expect(await value(region, 'bedplate_facts_stored_total')).toBe(50)
  })

  test('whoever reported one hears when a region has stored it, and not before', async () => {
    const { region, rack } = await make()
    const gate = Promise.withResolvers<void>()
    let waited = false
    region.probe.onFacts = async () => { await gate.promise }
    const heard = rack.end.report('probe', 'seen', { n: 0 }).stored().then(stored => { waited = true; return stored })
    expect(await rack.end.report('probe', 'seen', { n: 1 }).stored(AbortSignal.timeout(50))).toBe(false)
    expect(waited).toBe(false)
    gate.resolve()
    expect(await heard).toBe(true)
    expect((await facts(db)).slice(0, 1)).toEqual([0])
    expect(await rack.end.report('probe', 'seen', { n: 'not a number' }).stored()).toBe(false)
  })

  test('reported without a link are kept, and delivered later', async () => {
    const { rack, path } = await make()
    await until(() => rack.end.links().some(link => link.up))
    path.live = false
    path.cut()
    await until(() => rack.end.links().every(link => !link.up))
    reported(rack, 20)
    expect(await value(rack, 'bedplate_outbox_facts')).toBe(20)
    path.live = true
    await stored(db, numbers(20))
  })

  test('a poison fact is set aside with its reason, and the rest goes on in order', async () => {
    const { region, rack } = await make()
    let tries = 0
    region.probe.onFacts = ns => { if (ns.includes(13)) { if (ns.length === 1) tries++; throw new TypeError('unlucky') } }
    reported(rack, 30)
    await stored(db, numbers(30).filter(n => n !== 13))
    expect(await rejected()).toMatchObject([{ seq: '14', kind: 'seen', reason: 'unlucky', body: { n: 13 } }])
    expect(tries).toBe(3)
    expect(await value(region, 'bedplate_facts_rejected_total')).toBe(1)
  })

  test('a database that is briefly unwilling costs a delay, and counts against no fact', async () => {
    const { region, rack } = await make()
    let refusals = 8
    region.probe.onFacts = () => { if (refusals-- > 0) throw Object.assign(new TypeError('shutting down'), { code: '57P01' }) }
    reported(rack, 5)
    await stored(db, numbers(5))
    expect(await rejected()).toEqual([])
  })

  test('one that is not valid here is set aside at once', async () => {
    const { rack } = await make()
    await rack.stop()
    const { DatabaseSync } = await import('node:sqlite')
    const disk = new DatabaseSync(`${rack.directory}/rack.db`)
    disk.exec(`insert into outbox (plugin, kind, at, body) values ('probe', 'seen', '2030-01-01T00:00:00Z', '{"n":1}'), ('probe', 'seen', 'yesterday', '{"n":2}'),
      ('probe', 'seen', '2030-01-01T00:00:00Z', '{"n":"three"}'), ('gone', 'seen', '2030-01-01T00:00:00Z', '{"text":"a\\u0000b"}'), ('probe', 'toString', '2030-01-01T00:00:00Z', '{}'), ('probe', 'seen', '2030-01-01T00:00:00Z', '{"n":6}')`)
    disk.close()
    await rack.start()
    await stored(db, [1, 6])
    expect((await rejected()).map(row => row.reason)).toEqual(['its time is not valid', expect.stringContaining('/n must be integer'), 'no plugin gone takes facts here', 'the plugin probe knows no fact toString'])
  })
})

test('with two regions, a batch whose region dies before it answers is stored once', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const rack = await installation.linked([a, b])
  let storing: Region | undefined
  for (const region of [a, b]) region.probe.onFacts = async () => { if (storing === undefined) { storing = region; region.proxy.live = false; region.proxy.cut() } }
  reported(rack, 40)
  await stored(db, numbers(40))
  await until(async () => await value(rack, 'bedplate_outbox_facts') === 0)
  expect(await facts(db)).toEqual(numbers(40)) // the second region was given it too, and knew it
  expect(storing).toBeDefined()
})

test('a new life of the outbox begins a new count: nothing of it is taken for a repetition', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  reported(rack, 3)
  await stored(db, numbers(3))
  await rack.stop()
  const { rm } = await import('node:fs/promises')
  for (const suffix of ['', '-wal', '-shm']) await rm(`${rack.directory}/rack.db${suffix}`, { force: true })
  await rack.start()
  reported(rack, 3, 3)
  await stored(db, numbers(6))
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
  await stored(db, numbers(100, 50))
  await until(() => rack.end.services[0]?.health().state === 'running')
})

test('a fact its own schema refuses is dropped, counted and stops nothing', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  rack.end.report('probe', 'seen', { n: 'x' })
  rack.end.report('probe', 'unheard', {})
  rack.end.report('probe', 'seen', { n: 1 })
  await stored(db, [1])
  expect(await value(rack, 'bedplate_facts_invalid_total')).toBe(2)
})
