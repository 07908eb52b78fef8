/** A region that stops in good order: what it is answering is answered first, and racks ask elsewhere meanwhile. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { drainFor } from '../../core/rpc/drain.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, cuttable, schema, type Rack, type Region } from './installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

/** A call that is not idempotent, under way in the region until it is let go. */
async function underWay (rack: Rack, region: Region) {
  const gate = Promise.withResolvers<void>()
  region.probe.onCall = () => gate.promise
  const answer = rack.end.call('probe', 'once', { text: 'x' })
  const outcome = answer.then(() => 'answered', (error: { code: string }) => error.code)
  await until(() => region.probe.once.length === 1, { what: 'the call to arrive' })
  return { answer, outcome, letGo: gate.resolve }
}
const linkTo = (rack: Rack, region: Region) => rack.end.links().find(link => link.controller === region.id)
const saysSo = (rack: Rack, region: Region) => until(() => linkTo(rack, region)?.up === true && linkTo(rack, region)?.reason === 'this region is stopping', { timeout: 1500, what: 'the rack to be told' })

test('a call under way at a stop is answered, over a socket', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  const { answer, letGo } = await underWay(rack, region)
  const stopped = region.stop()
  await saysSo(rack, region)
  letGo()
  expect(await answer).toEqual({ region: region.id })
  await stopped
  await until(() => linkTo(rack, region)?.up === false)
  expect(region.end.racks()).toEqual([])
})

test('the same in one process', async () => {
  const region = await installation.region(db, { roles: ['region', 'rack'] })
  const rack = await installation.rack({ loopback: cuttable(region.end.loopback()) })
  await rack.start()
  await until(() => rack.end.links().some(link => link.up) && region.end.racks().length > 0)
  const { answer, letGo } = await underWay(rack, region)
  const stopped = region.stop()
  await saysSo(rack, region)
  letGo()
  expect(await answer).toEqual({ region: region.id })
  await stopped
})

test('meanwhile another region is asked', async () => {
  const first = await installation.region(db)
  const rack = await installation.linked([first])
  const { answer, letGo } = await underWay(rack, first)
  const second = await installation.region(db, { advertise: '127.0.0.1' })
  await first.end.refresh()
  await until(() => linkTo(rack, second)?.up === true, { what: 'the link to the second region' })
  const stopped = first.stop()
  await saysSo(rack, first)
  expect(await rack.end.call('probe', 'once', { text: 'y' })).toEqual({ region: second.id })
  letGo()
  expect(await answer).toEqual({ region: first.id })
  await stopped
})

test('a call that takes longer is cut, and its caller told that it may have been done', async () => {
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  const { outcome, letGo } = await underWay(rack, region)
  const began = performance.now()
  await region.stop()
  expect(performance.now() - began).toBeGreaterThan(drainFor - 100)
  expect(performance.now() - began).toBeLessThan(drainFor + 2000)
  expect(await outcome).toBe('CALL_UNKNOWN')
  letGo()
})

test('a region that answers nothing stops at once', async () => {
  const region = await installation.region(db)
  await installation.linked([region])
  const began = performance.now()
  await region.stop()
  expect(performance.now() - began).toBeLessThan(drainFor / 2)
})

test('a region that is started again is well again', async () => {
  const region = await installation.region(db, { roles: ['region', 'rack'] })
  const rack = await installation.rack({ loopback: cuttable(region.end.loopback()) })
  await rack.start()
  await until(() => linkTo(rack, region)?.up === true)
  await region.stop()
  await until(() => linkTo(rack, region)?.up === false)
  for (const service of region.end.services) await service.start(AbortSignal.timeout(10_000))
  await until(() => linkTo(rack, region)?.up === true, { what: 'the link to come up' })
  expect(await rack.end.call('probe', 'once', { text: 'x' })).toEqual({ region: region.id })
  expect(linkTo(rack, region)?.reason).toBeUndefined()
})
