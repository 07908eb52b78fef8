/** What is stored of reports, links and history, and what goes from it again. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { manifest } from '../../../plugins/tracking/manifest.ts'
import type { ServiceReport } from '../../../plugins/tracking/manifest.ts'
import { everything, forget, history, prune, putAll, putLinks, putMissed, putServices, renewLink, show } from '../../../plugins/tracking/store.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'

let db: TestDatabase
beforeAll(async () => { db = await testDatabase({ migrations: [manifest] }) })
afterAll(async () => { await db.drop() })
beforeEach(async () => { await db.query('truncate tracking.controller, tracking.service, tracking.link, tracking.missed, tracking.history restart identity') })

const report = (service: string, more: Partial<ServiceReport> = {}): ServiceReport => ({ plugin: 'p', role: 'rack', service, state: 'running', since: '2030-01-01T00:00:00.000Z', restarts: 0, ...more })
const states = async () => (await everything(db)).services.map(({ service, state }) => `${service} ${state}`)
const told = async () => (await history(db, {}, undefined, 100)).map(({ service, state }) => `${service} ${state}`).toReversed()

test('a whole report is stored once, however often it comes, and each change is told', async () => {
  const before = await db.feed.position()
  for (let round = 0; round < 3; round++) await db.tx(tx => putAll(tx, 'r1', '1.0 rack', [report('one'), report('two', { state: 'off', reason: 'Not wanted.' })]))
  expect(await states()).toEqual(['one running', 'two off'])
  expect(await told()).toEqual(['one running', 'two off'])
  expect((await db.feed.since(before)).changes.map(({ topic, id }) => [topic, id])).toEqual([['tracking.service', 'r1/p/one@rack'], ['tracking.service', 'r1/p/two@rack']])
})

test('changes of one service in one batch are all in the history, in order', async () => {
  await db.tx(tx => putServices(tx, 'r1', [report('one'), report('two'), report('one', { state: 'dead', reason: 'x', since: '2030-01-01T00:00:01.000Z' }), report('one', { restarts: 1, since: '2030-01-01T00:00:02.000Z' })]))
  expect(await told()).toEqual(['one running', 'two running', 'one dead', 'one running'])
  expect((await everything(db)).services).toMatchObject([{ service: 'one', state: 'running', restarts: 1 }, { service: 'two' }])
  expect((await history(db, { service: 'one', state: 'dead' }, undefined, 10))).toMatchObject([{ controller: 'r1', role: 'rack', plugin: 'p', reason: 'x', at: new Date('2030-01-01T00:00:01Z') }])
})

test('a service that is missing from a later report is expected; another version brings other services', async () => {
  await db.tx(tx => putAll(tx, 'r1', '1.0 rack', [report('one'), report('two')]))
  await db.tx(tx => putAll(tx, 'r1', '1.0 rack', [report('one')]))
  await db.tx(tx => putAll(tx, 'r1', '1.0 rack', [report('one')]))
  expect(await states()).toEqual(['one running', 'two dead'])
  expect((await everything(db)).services[1]?.reason).toMatch(/^expected but not reported/)
  expect(await told()).toEqual(['one running', 'two running', 'two dead'])
  await db.tx(tx => putAll(tx, 'r1', '1.0 rack', [report('one'), report('two')]))
  expect(await states()).toEqual(['one running', 'two running'])
  await db.tx(tx => putAll(tx, 'r1', '1.1 rack', [report('one'), report('three')]))
  expect(await states()).toEqual(['one running', 'three running'])
})

test('a report in the midst of what the leader shows does not repeat itself', async () => {
  await db.tx(tx => putAll(tx, 'r1', 'm', [report('one')]))
  const [row] = (await everything(db)).services
  await db.tx(tx => show(tx, [{ ...row!, state: 'unknown', reason: 'silence', since: new Date() }], [{ id: 'r1', state: 'unknown', reason: 'silence', regions: [], racks: [] }], new Date()))
  await db.tx(tx => putAll(tx, 'r1', 'm', [report('one')])) // nothing new: the leader says when it is believed again
  const { shown, controllers, services } = await everything(db)
  expect([services[0]?.state, shown.get('r1 p/one@rack')?.state, controllers.get('r1')?.state]).toEqual(['running', 'unknown', 'unknown'])
  expect(await told()).toEqual(['one running', 'one unknown', 'null unknown'])
})

test('links are kept as the region tells; a link that was renewed is newer than what the rack missed', async () => {
  await db.tx(async tx => { await putLinks(tx, 'a', ['r1', 'r2']); await putLinks(tx, 'b', ['r1']) })
  await db.tx(tx => putMissed(tx, 'r1', [{ controller: 'a', url: 'wss://a', up: false, reason: 'silent' }, { controller: 'b', url: 'wss://b', up: true }]))
  expect((await everything(db)).missed).toMatchObject([{ rack: 'r1', region: 'a', reason: 'silent' }])
  const { missed: [first] } = await everything(db)
  await db.tx(tx => putMissed(tx, 'r1', [{ controller: 'a', url: 'wss://a', up: false, reason: 'refused' }]))
  expect((await everything(db)).missed).toEqual([{ ...first, reason: 'refused' }]) // missed for as long as before
  await db.tx(tx => renewLink(tx, 'a', 'r1'))
  await db.tx(tx => putLinks(tx, 'a', ['r1']))
  const { links, missed } = await everything(db)
  expect(links.map(({ region, rack }) => region + rack).sort()).toEqual(['ar1', 'br1'])
  expect(links.find(({ region }) => region === 'a')!.since.getTime()).toBeGreaterThan(missed[0]!.since.getTime())
  await db.tx(tx => putMissed(tx, 'r1', []))
  expect((await everything(db)).missed).toEqual([])
})

test('a controller that is removed leaves its history alone', async () => {
  await db.tx(async tx => { await putAll(tx, 'r1', 'm', [report('one')]); await putLinks(tx, 'a', ['r1']); await putMissed(tx, 'r1', [{ controller: 'b', url: 'u', up: false }]) })
  await db.tx(tx => forget(tx, ['r1']))
  expect(await everything(db)).toMatchObject({ services: [], links: [], missed: [] })
  expect((await everything(db)).controllers.size).toBe(0)
  expect(await told()).toEqual(['one running'])
})

test('the history is bounded by age and by number', async () => {
  await db.query(`insert into tracking.history (at, controller, state) select now() - make_interval(days => 40 - n), 'r' || n, 'running' from generate_series(1, 40) n`)
  await db.tx(tx => prune(tx, 30, 1000))
  expect((await history(db, {}, undefined, 100)).map(({ controller }) => controller)).toEqual(Array.from({ length: 30 }, (_, n) => `r${40 - n}`))
  await db.tx(tx => prune(tx, 30, 7))
  const kept = await history(db, {}, undefined, 100)
  expect(kept.map(({ controller }) => controller)).toEqual(['r40', 'r39', 'r38', 'r37', 'r36', 'r35', 'r34'])
  expect(await history(db, {}, kept[2]!.id, 2)).toEqual(kept.slice(3, 5))
  expect(await history(db, {}, 'nonsense', 100)).toEqual(kept)
})
