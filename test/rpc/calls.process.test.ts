/** Calls to a region that hangs, or has no database: noticing takes the seconds it takes. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, facts, putEntry, schema, type Region } from './installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

test('a region that hangs is noticed, and the call is answered by the other', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const rack = await installation.linked([a, b])
  let asked: Region | undefined
  for (const region of [a, b]) region.probe.onCall = () => { if (asked !== undefined) return Promise.resolve(); asked = region; region.proxy.stall(true); return Promise.resolve() }
  expect(await rack.end.call('probe', 'echo', { text: 'x' })).toMatchObject({ region: expect.not.stringMatching(`^${asked?.id ?? 'none'}$`) as string })
  expect(asked).toBeDefined()
  asked?.proxy.stall(false)
})

test('a region that loses its database keeps its links, and its racks ask another until it is back', async () => {
  let cut = false
  const query: TestDatabase['query'] = (text, values) => cut ? Promise.reject(new TypeError('no route to the database')) : db.query(text, values)
  const a = await installation.region({ ...db, query }, { timing: { tick: 20, probe: 20, cutOff: 100 } })
  const b = await installation.region(db)
  const rack = await installation.linked([a, b])
  await putEntry(db, rack.id, 'one', { n: 1 })
  await until(() => rack.probe.state.has('one'))
  cut = true
  const left = await until(() => rack.end.links().find(link => link.controller === a.id && link.reason !== undefined))
  expect(left).toMatchObject({ up: true, reason: 'this region cannot reach its database: no route to the database' })
  expect(a.end.racks()).toEqual([rack.id])
  expect(a.end.services[0]?.health()).toMatchObject({ state: 'degraded' })
  for (let n = 0; n < 5; n++) expect(await rack.end.call('probe', 'once', { text: 'x' })).toEqual({ region: b.id })
  await putEntry(db, rack.id, 'two', { n: 2 })
  await until(() => rack.probe.state.has('two'))
  rack.end.report('probe', 'seen', { n: 7 })
  await until(async () => (await facts(db)).length === 1)
  expect([a.probe.batches, b.probe.batches]).toEqual([[], [1]])
  cut = false
  await until(() => rack.end.links().every(link => link.up && link.reason === undefined), { timeout: 10_000 })
})
