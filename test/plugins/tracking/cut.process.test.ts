/** Links that are cut: what is missing is named on both sides with the reason, and what happened meanwhile arrives once, in order. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from '../../kit/wait.ts'
import { proxy } from '../../rpc/installation.ts'
import type { Proxy } from '../../rpc/installation.ts'
import { Cluster, controllerAt, controllersAt, dead, degraded, heartAt, historyAt, running } from './installation.ts'

let cluster: Cluster
let front: Proxy | undefined
beforeEach(async () => { cluster = await Cluster.open() })
afterEach(async () => { await cluster.close(); await front?.close(); front = undefined })
const nowhere = { config: { rpc: { host: '127.0.0.1', port: 0, advertise: ['127.0.0.2'] } } } // told to racks, and nobody is there

test('a rack that reaches one region of two, and the region it misses, are degraded and say which and why', async () => {
  const a = await cluster.region('region-a')
  const b = await cluster.region('region-b', nowhere)
  const rack = await cluster.rack('rack-1', [a])
  const port = b.daemon.kernel.region!.port()
  const why = `127\\.0\\.0\\.2:${port}: .*ECONNREFUSED.*`
  for (const at of [a, b]) {
    await until(async () => new RegExp(`^linked to 1 of 2 regions: misses region-b \\(${why}\\)`).test((await controllerAt(at, rack))?.reason ?? ''), { what: 'the rack to miss region-b', interval: 100 })
    expect((await controllerAt(at, b))).toMatchObject({ state: 'degraded', reason: expect.stringMatching(new RegExp(`^linked to 0 of 1 racks: misses rack-1 \\(${why}\\)`)) })
    expect((await controllerAt(at, a))).toMatchObject({ state: 'running', reason: null })
  }
  expect((await controllerAt(a, rack))?.regions).toMatchObject([{ hostname: 'region-a', up: true, reason: null }, { hostname: 'region-b', up: false }])
  await until(async () => (await historyAt(b, `&controller=${rack.id}`)).some(({ plugin, state, reason }) => plugin === null && state === 'degraded' && reason?.includes('misses region-b')), { what: 'the history to have it' })
  const text = async () => await (await fetch(`${a.daemon.url}/metrics`)).text()
  await until(async () => (await text()).includes(`bedplate_tracking_links_missing{controller="${rack.id}",hostname="rack-1"} 1`), { what: 'the metric', interval: 100 })
})

test('what a rack went through while it was cut off arrives in order, each change once, and it is believed again', async () => {
  const region = await cluster.region('region-a', nowhere)
  front = await proxy(region.daemon.kernel.region!.port() ?? 1)
  const rack = await cluster.rack('rack-1', [region], { config: { regions: [front.url] } })
  await until(async () => (await controllersAt(region)).every(({ state }) => state === 'running'), { what: 'everything running', interval: 100 })
  const heart = rack.daemon.kernel.hooks.service
  const seen: string[] = []
  heart.tap('test', ({ service, state }) => { if (service === 'heart') seen.push(state) })
  front.live = false
  front.cut()
  await until(async () => (await heartAt(region, rack))?.state === 'unknown', { what: 'the rack to be unknown' })
  for (const [health, state] of [[degraded('slow'), 'degraded'], [dead('still'), 'dead'], [running, 'running'], [degraded('slow again'), 'degraded']] as const) {
    rack.patient.health = health
    await until(() => seen.at(-1) === state, { what: state })
  }
  expect(await heartAt(region, rack)).toMatchObject({ state: 'unknown', reason: expect.stringMatching(/^not heard of since /) })
  front.live = true
  await until(async () => (await heartAt(region, rack))?.reason === 'slow again', { what: 'what it says to be believed', interval: 50 })
  const told = async () => (await historyAt(region, `&controller=${rack.id}&plugin=patient`)).map(({ state }) => state).toReversed()
  await until(async () => (await told()).length >= 6, { what: 'the history' })
  expect(await told()).toEqual(['running', 'unknown', ...seen])
  await until(async () => (await controllerAt(region, rack))?.state === 'degraded')
  expect(await told()).toEqual(['running', 'unknown', ...seen])
})

test('a region that is a rack as well tells of both, once', async () => {
  const both = await cluster.region('both', { roles: ['region', 'rack'] })
  await until(async () => (await controllerAt(both, both))?.state === 'running', { what: 'it to run', interval: 50 })
  const shown = (await controllerAt(both, both))!
  expect([shown.regions, shown.racks].map(peers => peers.map(({ id, up }) => [id, up]))).toEqual([[[both.id, true]], [[both.id, true]]])
  expect(Object.values(shown.services).reduce((sum, count) => sum + count, 0)).toBe(both.daemon.kernel.status().services.length)
  both.patient.health = degraded('Slow.')
  await until(async () => (await historyAt(both, '&plugin=patient')).length === 4)
  expect((await historyAt(both, '&plugin=patient')).map(({ state }) => state)).toEqual(['degraded', 'degraded', 'running', 'running'])
})
