/** Facts from a rack's disk into PostgreSQL: many of them, over links that die all the time, and those of a process that was killed. */
import { fork } from 'node:child_process'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { onceEvent, until } from '../kit/wait.ts'
import { Installation, facts, schema } from '../rpc/installation.ts'
import { names, numbers, reported, stored, transports, value } from './reporting.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

/** mulberry32: the same seed cuts at the same places. */
const random = (seed: number) => () => {
  seed = (seed + 0x6D2B79F5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

describe.each(names)('facts over %s', name => {
  test.each([1, 2, 3])('are stored once though links die everywhere (seed %i)', async seed => {
    const dice = random(seed)
    const { rack, path } = await transports[name].make(installation, db)
    path.budget = () => transports[name].budget(dice)
    path.cut()
    for (const from of numbers(20)) {
      reported(rack, 30, from * 30)
      await until(async () => (await facts(db)).length >= from * 30)
      if (from === 15) path.budget = undefined // a schedule may cut every batch; let it end
    }
    path.cut()
    await stored(db, numbers(600))
    await until(async () => await value(rack, 'bedplate_outbox_facts') === 0)
    expect(await facts(db)).toEqual(numbers(600))
    expect(await db.query('select from core.fact_rejected')).toEqual([])
  })
})

test('ten thousand facts get there', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  reported(rack, 10_000)
  await stored(db, numbers(10_000), 50_000)
  expect(region.probe.batches.every(size => size <= 500)).toBe(true)
}, 60_000) // each is synced to a disk that others use too

test('what report() returned from survives kill -9', async () => {
  const directory = await installation.directory()
  const child = fork(new URL('./reporter.ts', import.meta.url), [directory], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  let last = -1
  child.on('message', (n: number) => { last = n })
  await until(() => last >= 200, { timeout: 10_000 })
  child.kill('SIGKILL')
  await onceEvent(child, 'exit')
  const region = await installation.region(db)
  const rack = await installation.linked([region], { directory })
  await until(async () => (await facts(db)).length > last)
  const all = await facts(db)
  expect(all).toEqual(numbers(all.length))
  expect(rack.end.services[0]?.health()).toEqual({ state: 'running' })
})
