/** Calls to a region that hangs: noticing takes the seconds it takes. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { Installation, schema, type Region } from './installation.ts'

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

