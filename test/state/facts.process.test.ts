/** Facts from a rack's disk into PostgreSQL: many of them, and those of a process that was killed. */
import { fork } from 'node:child_process'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { onceEvent, until } from '../kit/wait.ts'
import { Installation, facts, schema } from '../rpc/installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

test('ten thousand facts get there', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  for (const n of numbers(10_000)) rack.end.report('probe', 'seen', { n })
  await until(async () => (await facts(db)).length >= 10_000, { what: 'ten thousand facts', timeout: 50_000, interval: 100 })
  expect(await facts(db)).toEqual(numbers(10_000))
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
