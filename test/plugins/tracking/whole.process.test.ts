/** Two regions and two racks in one process: what dies, falls silent or loses its links is shown at every region, told, and remembered. */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ownInterfaces } from '../../../plugins/tracking/interfaces.ts'
import { until } from '../../kit/wait.ts'
import { Cluster, controllerAt, controllersAt, dead, degraded, heartAt, historyAt, quiet, running, servicesAt } from './installation.ts'
import type { Member } from './installation.ts'

let cluster: Cluster
let a: Member, b: Member, one: Member, two: Member
beforeAll(async () => {
  cluster = await Cluster.open()
  a = await cluster.region('region-a')
  b = await cluster.region('region-b')
  one = await cluster.rack('rack-1', [a, b])
  two = await cluster.rack('rack-2', [a, b])
}, 60_000)
afterAll(async () => { await cluster?.close() }, 60_000)
/** Everything runs, and the leader has written so. */
const settled = () => until(async () => {
  const [all, history] = [await controllersAt(a), (await historyAt(a)).filter(({ plugin }) => plugin === null)]
  return all.every(({ id, state }) => state === 'running' && history.find(({ controller }) => controller === id)?.state === 'running')
}, { what: 'everything running', interval: 100 })

test('every controller is there with its role, version and links, the same at every region', async () => {
  await settled()
  const all = await controllersAt(a)
  expect(all.map(({ hostname, roles, state, reason }) => [hostname, roles, state, reason])).toEqual([
    ['region-a', ['region'], 'running', null], ['region-b', ['region'], 'running', null], ['rack-1', ['rack'], 'running', null], ['rack-2', ['rack'], 'running', null]
  ])
  expect(all.map(({ version }) => version)).toEqual(Array.from({ length: 4 }, () => a.daemon.kernel.controller.version))
  expect(all[0]!.racks.map(({ hostname, up }) => [hostname, up])).toEqual([['rack-1', true], ['rack-2', true]])
  expect(all[2]!.regions.map(({ hostname, up }) => [hostname, up])).toEqual([['region-a', true], ['region-b', true]])
  const plain = (some: readonly object[]) => some.map(entry => ({ ...entry, seenAt: '' }))
  await until(async () => isDeepStrictEqual(plain(await controllersAt(b)), plain(await controllersAt(a))), { what: 'the same answer, once the leader has looked' })
})

test('interfaces are shown with their VLANs, of racks and of regions', async () => {
  const { name } = ownInterfaces({ eth0: [{ address: '10.77.0.5', cidr: '10.77.0.5/24', mac: '52:54:00:00:00:01', internal: false, family: 'IPv4', netmask: '255.255.255.0' }] })[0]!
  expect((await a.daemon.request('POST', '/api/v1/network/subnets', { vlanId: '1', cidr: '10.77.0.0/24' })).status).toBe(201)
  await cluster.db.query(`insert into network.rack_interface values ($1, 'eth7', '52:54:00:00:00:07', true) on conflict do nothing`, [one.id])
  await cluster.db.query(`insert into network.rack_address values ($1, 'eth7', '10.77.0.7', 24) on conflict do nothing`, [one.id])
  await cluster.db.query(`update tracking.controller set interfaces = $2 where id = $1`, [b.id, JSON.stringify([{ name, mac: '52:54:00:00:00:01', addresses: ['10.77.0.5/24'] }])])
  expect((await controllerAt(a, one))?.interfaces).toContainEqual({ name: 'eth7', mac: '52:54:00:00:00:07', up: true, addresses: ['10.77.0.7/24'], vlans: [expect.objectContaining({ vid: 0, name: 'untagged' })] })
  expect((await controllerAt(a, b))?.interfaces).toEqual([{ name: 'eth0', mac: '52:54:00:00:00:01', up: true, addresses: ['10.77.0.5/24'], vlans: [expect.objectContaining({ vid: 0 })] }])
})

test('every supervised service is there with its state; those of the leader run once and are off elsewhere', async () => {
  for (const member of [a, b, one, two]) {
    const own = member.daemon.kernel.status().services.map(({ plugin, service, state }) => `${plugin}/${service} ${state}`).sort()
    expect((await servicesAt(b, `&controller=${member.id}`)).map(({ plugin, service, state }) => `${plugin}/${service} ${state}`).sort()).toEqual(own)
  }
  const leading = (await servicesAt(a, '&plugin=tracking')).filter(({ leader }) => leader)
  expect(leading.map(({ state, reason }) => [state, reason]).sort()).toEqual([['off', 'Runs on the leading region only.'], ['running', null]])
})

test('a service that dies on a rack is dead with its reason at every region within 2 s, once in the history, and an event', async () => {
  const position = await cluster.db.feed.position()
  const heard = Promise.withResolvers<number>()
  one.daemon.kernel.hooks.service.tap('test', ({ service, state }) => { if (service === 'heart' && state === 'dead') heard.resolve(performance.now()) })
  one.patient.health = dead('The fan stands still: replace it.')
  const since = await heard.promise
  await Promise.all([a, b].map(region => until(async () => (await heartAt(region, one))?.state === 'dead', { timeout: 2_000 })))
  expect(performance.now() - since).toBeLessThan(2_000)
  expect(await heartAt(b, one)).toMatchObject({ hostname: 'rack-1', role: 'rack', state: 'dead', reason: 'The fan stands still: replace it.' })
  await until(async () => (await controllerAt(a, one))?.state === 'degraded')
  expect((await controllerAt(a, one))?.reason).toBe('patient/heart is dead: The fan stands still: replace it.')
  await until(async () => (await cluster.db.feed.since(position)).changes.some(({ topic, id }) => topic === 'tracking.controller' && id === one.id), { what: 'the leader to tell' })
  expect((await cluster.db.feed.since(position)).changes.some(({ topic, id }) => topic === 'tracking.service' && id === `${one.id}/patient/heart@rack`)).toBe(true)
  one.patient.health = running
  await settled()
  const told = (await historyAt(a, `&controller=rack-1&plugin=patient`)).map(({ state }) => state)
  expect(told).toEqual(['running', 'dead', 'running'])
  expect((await heartAt(a, one))?.restarts).toBe(1)
})

test('the metrics tell the same on every region', async () => {
  two.patient.health = degraded('The fan is slow.')
  for (const { daemon } of [a, b]) {
    await until(async () => (await (await fetch(`${daemon.url}/metrics`)).text()).includes(`bedplate_tracking_service_state{controller="${two.id}",hostname="rack-2",role="rack",plugin="patient",service="heart",state="degraded"} 1`), { what: 'the metric', interval: 100 })
    const text = await (await fetch(`${daemon.url}/metrics`)).text()
    expect(text).toContain(`bedplate_tracking_controller_state{controller="${two.id}",hostname="rack-2",state="degraded"} 1`)
    expect(text).toContain(`bedplate_tracking_links_missing{controller="${two.id}",hostname="rack-2"} 0`)
    expect(text).not.toContain(`role="rack",plugin="patient",service="heart",state="dead"`)
  }
  two.patient.health = running
  await settled()
})

test('pages of services and of the history go through everything once', async () => {
  const pages = async (path: string): Promise<string[]> => {
    const seen: string[] = []
    for (let after = ''; ;) {
      const { body } = await a.daemon.request<{ items: object[], next?: string }>('GET', `/api/v1/tracking/${path}?limit=3${after}`)
      seen.push(...body.items.map(item => JSON.stringify(item)))
      if (body.next === undefined) return seen
      after = `&after=${encodeURIComponent(body.next)}`
    }
  }
  expect(new Set(await pages('services'))).toEqual(new Set((await servicesAt(a)).map(row => JSON.stringify(row))))
  expect(await pages('history')).toEqual((await historyAt(a)).map(row => JSON.stringify(row)))
  expect((await a.daemon.request('GET', '/api/v1/tracking/controllers/nobody')).status).toBe(404)
  expect((await a.daemon.request('GET', '/api/v1/tracking/controllers/rack-1')).body).toMatchObject({ id: one.id, items: expect.arrayContaining([expect.objectContaining({ plugin: 'patient', service: 'heart' })]) })
  expect((await a.daemon.request('GET', '/api/v1/tracking/services?state=broken')).status).toBe(400)
})

test('a rack that falls silent is missed by name, then unknown with since when; back, it runs, and the history has each change once', async () => {
  const last = (await historyAt(a))[0]!.id
  await cluster.stop(two)
  await until(async () => (await controllerAt(a, a))?.state === 'degraded', { what: 'the region to miss it' })
  expect((await controllerAt(a, a))?.reason).toMatch(/^linked to 1 of 2 racks: misses rack-2 \(/)
  await until(async () => (await controllerAt(b, two))?.state === 'unknown', { what: 'the rack to be unknown' })
  const { seenAt, reason } = (await controllerAt(b, two))!
  expect(reason).toBe(`not heard of since ${seenAt.replace(/\.\d+Z/, 'Z')}; see whether the host runs, and on it: systemctl status bedplate`)
  expect(await heartAt(a, two)).toMatchObject({ state: 'unknown', since: seenAt, reason })
  expect((await servicesAt(b, `&controller=${two.id}`)).every(({ state }) => state === 'unknown')).toBe(true)
  await until(async () => (await historyAt(a, `&controller=${two.id}&plugin=patient`))[0]?.state === 'unknown')
  two = await cluster.rack('rack-2', [a, b])
  await settled()
  await until(async () => (await historyAt(a, `&controller=${two.id}&plugin=patient`))[0]?.state === 'running')
  const since = (await historyAt(a, `&controller=${two.id}`)).filter(({ id }) => BigInt(id) > BigInt(last))
  expect(since.filter(({ plugin }) => plugin === 'patient').map(({ state }) => state)).toEqual(['running', 'unknown'])
  expect(since.filter(({ plugin, state }) => plugin === null && state === 'unknown').length).toBe(1)
}, 60_000)

test('a region that is gone is unknown, its racks miss it by name, and comes back with its history', async () => {
  await settled()
  const before = (await historyAt(a)).length
  await cluster.stop(b)
  await until(async () => (await controllerAt(a, one))?.state === 'degraded', { what: 'the rack to miss it' })
  expect((await controllerAt(a, one))?.reason).toMatch(/^linked to 1 of 2 regions: misses region-b \(/)
  await until(async () => (await controllerAt(a, b))?.state === 'unknown', { timeout: quiet * 5_000, what: 'the region to be unknown' })
  expect((await controllerAt(a, one))?.reason).toMatch(/misses region-b \(not heard of since /)
  expect((await servicesAt(a, `&controller=${b.id}`)).every(({ state }) => state === 'unknown')).toBe(true)
  b = await cluster.region('region-b')
  await settled()
  expect((await historyAt(b)).length).toBeGreaterThan(before)
  expect(await historyAt(b)).toEqual(await historyAt(a))
}, 60_000)
