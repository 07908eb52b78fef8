/** What racks tell, who asks, what they are told and given, and calling off: on real PostgreSQL. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { PowerOutcome } from '../../../../plugins/power/manifest.ts'
import { candidates } from '../../../../plugins/power/store/routes.ts'
import { until } from '../../../kit/wait.ts'
import { createParts, rackHere, rackThat, testTerm, type Parts } from '../../machines/parts.ts'
import { account, addressOf, startBmc, type Bmc } from '../../../kit/bmc.ts'

let parts: Parts
let bmc: Bmc
const told: string[] = []
const outcomes: PowerOutcome[] = []
beforeAll(async () => {
  parts = await createParts()
  bmc = await startBmc()
  parts.power.hooks.state.tapPromise('test', async (_tx, { machine, from, to }) => { told.push(`${machine} ${from} → ${to}`) })
  parts.power.hooks.outcome.tapPromise('test', async (_tx, outcome) => { outcomes.push(outcome) })
})
afterAll(async () => { await bmc.close(); await parts.db.drop() })
beforeEach(() => { told.length = 0; outcomes.length = 0; parts.racks.clear(); parts.racks.set('r1', rackHere()).set('r2', rackHere()) })
afterEach(async () => {
  for (const service of parts.running.power.services) await service.stop()
  for (const table of ['power.machine', 'power.action', 'power.route']) await parts.db.query(`delete from ${table}`)
})
const service = (name: string) => { const found = parts.running.power.services.find(one => one.name === name); if (found === undefined) throw new TypeError(name); return found }
const configure = (machine: string, address = addressOf(bmc)) => parts.db.tx(tx => parts.power.configure(tx, machine, undefined, { address }))
const row = async (machine: string) => (await parts.db.query<{ state: string, error: string | null, poller: string | null, version: string, turn: string, endpoint: string, checked_at: Date | null }>('select * from power.machine where machine = $1', [machine]))[0]!
const give = (rack: string, kind: 'states' | 'routes', body: unknown) => parts.db.tx(async tx => { await parts.running.power.facts?.(tx, rack, [{ kind, at: new Date().toISOString(), body }]) })
const seen = (rack: string, machine: string, state: string, more: { version?: string, turn?: string, error?: string | null } = {}) => give(rack, 'states', { seen: [{ machine, state, error: null, version: '1', turn: '0', ...more }] })
const reach = (rack: string, endpoint: string, rtt: number | null) => give(rack, 'routes', { routes: [{ endpoint, reachable: rtt !== null, rtt }] })
const asks = (machine: string, rack: string | null) => parts.db.query('update power.machine set poller = $2 where machine = $1', [machine, rack])

test('a state is believed from the rack that asks, with the present parameters, and is news once', async () => {
  await configure('m1')
  await asks('m1', 'r1')
  await seen('r2', 'm1', 'on')
  await seen('r1', 'm1', 'on', { version: '0' })
  await seen('r1', 'm1', 'on', { version: 'x' })
  expect(await row('m1')).toMatchObject({ state: 'unknown', checked_at: null })
  await seen('r1', 'm1', 'on')
  const { checked_at: first } = await row('m1')
  await parts.clock.advance(5_000)
  await seen('r1', 'm1', 'on')
  expect(told).toEqual(['m1 unknown → on'])
  expect((await row('m1')).checked_at?.getTime()).toBe((first?.getTime() ?? 0) + 5_000)
  await seen('r1', 'm1', 'error', { error: 'no route' })
  await seen('r1', 'm1', 'error', { error: 'another reason' })
  expect(told).toEqual(['m1 unknown → on', 'm1 on → error'])
  expect(await row('m1')).toMatchObject({ state: 'error', error: 'another reason' })
})

test('while an action is before the machine, and for what was asked before it ended, only its own word counts', async () => {
  await configure('m1')
  await asks('m1', 'r1')
  await parts.db.tx(tx => parts.power.enqueue(tx, 'm1', { action: 'on' }))
  await seen('r1', 'm1', 'error', { error: 'busy' })
  expect(await row('m1')).toMatchObject({ state: 'unknown', checked_at: expect.any(Date) })
  await service('actions').start(new AbortController().signal, testTerm(parts.db))
  await until(() => outcomes.length === 1)
  await until(async () => (await row('m1')).turn === '1')
  await seen('r1', 'm1', 'off') // it was so, a moment ago
  expect(await row('m1')).toMatchObject({ state: 'on', turn: '1' })
  await seen('r1', 'm1', 'off', { turn: '1' })
  expect(told).toEqual(['m1 unknown → on', 'm1 on → off'])
})

test('racks are told of every BMC, without secrets; only who asks it is given those, and only while it does', async () => {
  await configure('m1')
  await asks('m1', 'r1')
  await parts.db.tx(tx => parts.power.configure(tx, 'm2', 'manual', {}))
  const entries = await parts.running.power.wanted?.('r1')
  expect(entries).toEqual([{ kind: 'bmc', id: 'm1', value: { driver: 'redfish', endpoint: { by: 'tcp', host: '127.0.0.1', port: Number(new URL(bmc.url).port) }, poll: true, version: '1', turn: '0' } }])
  expect((await parts.running.power.wanted?.('r2', [{ kind: 'bmc', id: 'm1' }]))?.[0]?.value).toMatchObject({ poll: false })
  expect(JSON.stringify(entries)).not.toContain(account.password)
  const ask = (rack: string) => parts.running.power.rpc.credentials!({ machines: ['m1', 'm2', 'm3'] }, { controller: rack, signal: new AbortController().signal })
  expect(await ask('r1')).toEqual({ machines: [{ machine: 'm1', driver: 'redfish', parameters: expect.objectContaining({ user: account.user, password: account.password }), version: '1' }] })
  expect(await ask('r2')).toEqual({ machines: [] })
  await configure('m1', addressOf(bmc, { user: 'root', password: 'other' }))
  expect(await row('m1')).toMatchObject({ version: '2', poller: 'r1' })
  await configure('m1', 'redfish+http://root:x@127.0.0.1:9/redfish/v1/Systems/1')
  expect(await row('m1')).toMatchObject({ version: '3', poller: null, endpoint: 'tcp://127.0.0.1:9' })
})

test('a change costs its own entry, and nothing else does', async () => {
  const before = await parts.db.feed.position()
  await configure('m1')
  await asks('m1', 'r1')
  const { changes } = await parts.db.feed.since(before)
  expect(await parts.running.power.touches?.(changes)).toEqual([{ kind: 'bmc', id: 'm1' }])
  const between = await parts.db.feed.position()
  await seen('r1', 'm1', 'on')
  expect(await parts.running.power.touches?.((await parts.db.feed.since(between)).changes)).toEqual([])
})

test('who reaches a BMC asks it; who does not any more is relieved; nobody is an error that says so', async () => {
  await configure('m1')
  const { endpoint } = await row('m1')
  await service('pollers').start(new AbortController().signal, testTerm(parts.db))
  const look = async (ms = 3_000) => { await until(() => parts.clock.sleepers >= 1); await parts.clock.advance(ms) }
  await reach('r1', endpoint, null)
  await reach('r2', endpoint, 3)
  await until(async () => { await look(); return (await row('m1')).poller === 'r2' })
  await reach('r1', endpoint, 2) // a little nearer
  for (let again = 0; again < 3; again++) await look()
  expect((await row('m1')).poller).toBe('r2')
  parts.racks.delete('r2')
  await look(1_000) // it may be back in a moment
  expect((await row('m1')).poller).toBe('r2')
  await until(async () => { await look(); return (await row('m1')).poller === 'r1' })
  await reach('r1', endpoint, null)
  await until(async () => { await look(); return (await row('m1')).poller === null })
  expect(await row('m1')).toMatchObject({ state: 'error', error: expect.stringContaining('no rack reaches its BMC') })
  await reach('r1', endpoint, 4)
  await until(async () => { await look(); return (await row('m1')).poller === 'r1' })
  expect(told).toEqual(['m1 unknown → error'])
})

test('BMCs from before there were endpoints get theirs', async () => {
  await configure('m1')
  const { endpoint } = await row('m1')
  await parts.db.query('update power.machine set endpoint = null, version = 0')
  await service('pollers').start(new AbortController().signal, testTerm(parts.db))
  await until(async () => (await row('m1')).version === '1')
  expect((await row('m1')).endpoint).toBe(endpoint)
})

test('a region of the version before configures one: what was asked before is not believed, and any rack may ask', async () => {
  await configure('m1')
  await asks('m1', 'r1')
  await parts.db.query('update power.machine set driver = driver, parameters = parameters, secrets = secrets')
  expect(await row('m1')).toMatchObject({ version: '1', poller: 'r1' })
  await parts.db.query(`update power.machine set parameters = parameters || '{"user": "other"}'`)
  expect(await row('m1')).toMatchObject({ version: '2', endpoint: null, poller: null })
})

test('what waits is dropped when it is called off, and told as neither done nor failed', async () => {
  await configure('m1')
  await parts.db.tx(tx => parts.power.enqueue(tx, 'm1', { action: 'on' }))
  expect(await parts.db.tx(tx => parts.power.cancel(tx, 'm1', '999999'))).toBeUndefined()
  const id = await parts.db.tx(tx => parts.power.cancel(tx, 'm1'))
  expect(await parts.db.query('select id, state from power.action')).toEqual([{ id, state: 'cancelled' }])
  expect(outcomes).toEqual([{ machine: 'm1', action: 'on', ok: false, reason: null, rack: null, superseded: false, cancelled: true }])
  expect(await parts.db.tx(tx => parts.power.cancel(tx, 'm1'))).toBeUndefined()
})

test('what runs is stopped when it is called off; the rack that was at it is asked first from then on', async () => {
  await configure('m1')
  const calls: string[] = []
  let ended = 0
  const slow = (id: string) => rackThat({ execute: (_params, options) => { calls.push(id); return new Promise((_resolve, reject) => { options?.signal?.addEventListener('abort', () => { ended++; reject(new TypeError('called off')) }) }) } })
  parts.racks.set('r1', slow('r1')).set('r2', slow('r2'))
  await service('actions').start(new AbortController().signal, testTerm(parts.db))
  await parts.db.tx(tx => parts.power.enqueue(tx, 'm1', { action: 'on' }))
  parts.running.power.changed?.([{ seq: '1', topic: 'power.action', id: 'm1' }])
  await until(() => calls.length === 1)
  await parts.db.tx(tx => parts.power.cancel(tx, 'm1'))
  parts.running.power.changed?.([{ seq: '2', topic: 'power.action', id: 'm1' }])
  await until(async () => { await parts.clock.advance(100); return outcomes.length === 1 })
  expect(outcomes[0]).toMatchObject({ ok: false, cancelled: true })
  expect(ended).toBe(1)
  expect((await parts.db.query<{ acting: string | null }>('select acting from power.machine'))[0]?.acting).toBe(calls[0])
})

test('who may need another poller is found without reading all routes for each machine', async () => {
  const plan: string[] = []
  const explain = { async query<R> (sql: string, params?: readonly unknown[]) { for (const line of await parts.db.query<{ 'QUERY PLAN': string }>(`explain ${sql}`, params)) plan.push(line['QUERY PLAN']); return [] as R[] } }
  await candidates(explain, { asking: ['redfish'], racks: ['r1', 'r2'], much: 2, ms: 10, after: '', limit: 500 })
  expect(plan.length).toBeGreaterThan(0)
  expect(plan.filter(line => line.includes('CTE'))).toEqual([])
})
