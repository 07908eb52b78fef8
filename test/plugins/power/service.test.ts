/** Configuration at rest, asking and polling. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { until } from '../../kit/wait.ts'
import { createParts, rackHere, testTerm, type Parts } from '../machines/parts.ts'
import { account, addressOf, startBmc, type Bmc } from './bmc.ts'

let parts: Parts
let bmc: Bmc
beforeAll(async () => { parts = await createParts() })
afterAll(async () => { await parts.db.drop() })
beforeEach(async () => { bmc = await startBmc(); parts.racks.clear(); parts.racks.set('r1', rackHere()) })
afterEach(async () => {
  await poll().stop()
  await bmc.close()
  await parts.db.query('delete from power.machine')
})
const poll = () => {
  const found = parts.running.power.services.find(one => one.name === 'poll')
  if (found === undefined) throw new TypeError('no service')
  return found
}
const configure = (machine: string, parameters: Record<string, unknown>, driver?: string) => parts.db.tx(tx => parts.power.configure(tx, machine, driver, parameters))
const stateOf = async (machine: string) => (await parts.power.states(parts.db, [machine])).get(machine)

test('the password is sealed, masked, and kept when only something else changes', async () => {
  await configure('m1', { address: addressOf(bmc) })
  expect(await parts.power.configuration(parts.db, 'm1')).toEqual({ driver: 'redfish', parameters: { address: `${bmc.url}/redfish/v1/Systems/1`, user: 'root', password: '••••••' } })
  const [row] = await parts.db.query<{ text: string }>('select row_to_json(m)::text as text from power.machine m')
  expect(row?.text).not.toContain(account.password)
  await configure('m1', { ...(await parts.power.configuration(parts.db, 'm1'))?.parameters, tls: 'insecure' })
  expect(await parts.power.query('m1')).toBe('off')
})

test('a password does not follow to another address', async () => {
  await configure('m1', { address: addressOf(bmc) })
  const elsewhere = await startBmc()
  try {
    await configure('m1', { address: elsewhere.url, user: 'root' }, 'redfish')
    await expect(parts.power.query('m1')).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
    expect((await parts.power.configuration(parts.db, 'm1'))?.parameters).not.toHaveProperty('password')
  } finally { await elsewhere.close() }
})

test('sealed parameters moved to another machine do not open', async () => {
  await configure('m1', { address: addressOf(bmc) })
  await parts.db.query(`insert into power.machine (machine, driver, parameters, secrets) select 'm2', driver, parameters, secrets from power.machine where machine = 'm1'`)
  await expect(parts.power.query('m2')).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' })
})

test('asking stores the answer, and a failure with its reason', async () => {
  await configure('m1', { address: addressOf(bmc) })
  bmc.state = 'On'
  expect(await parts.power.query('m1')).toBe('on')
  expect(await stateOf('m1')).toMatchObject({ state: 'on', error: null })
  await configure('m1', { address: addressOf(bmc, { user: 'root', password: 'wrong' }) })
  await expect(parts.power.query('m1')).rejects.toBeInstanceOf(BedplateError)
  expect(await stateOf('m1')).toMatchObject({ state: 'error', error: expect.stringContaining('refuses the credentials') })
  expect(await parts.power.query('nobody')).toBe('unknown')
})

test('every BMC is asked in its turn, a change is told once, and a machine by hand is not asked', async () => {
  const told: string[] = []
  parts.power.hooks.state.tapPromise('test', async (_tx, { machine, from, to }) => { told.push(`${machine} ${from} → ${to}`) })
  for (const machine of ['p1', 'p2', 'p3']) await configure(machine, { address: addressOf(bmc) })
  await configure('p4', {}, 'manual')
  const queries: string[] = []
  const here = rackHere()
  parts.racks.set('r1', { ...here, query: (params, options) => { queries.push(params.machine); return here.query(params, options) } })
  await poll().start(new AbortController().signal, testTerm(parts.db))
  const beat = async () => { const count = queries.length; await until(() => parts.clock.sleepers === 1); await parts.clock.advance(1_000); return queries.length - count }
  await until(async () => { await beat(); return told.length === 3 })
  expect(told.sort()).toEqual(['p1 unknown → off', 'p2 unknown → off', 'p3 unknown → off'])
  expect(queries.sort()).toEqual(['p1', 'p2', 'p3']) // one each: their time has not come again
  bmc.state = 'On'
  await until(async () => { await beat(); return told.length === 6 }, { timeout: 15_000 })
  expect(queries).toHaveLength(6)
  expect((await stateOf('p4'))?.checkedAt).toBeNull()
})

test('a BMC with an action before it is left alone', async () => {
  await configure('p9', { address: addressOf(bmc) })
  await parts.db.tx(tx => parts.power.enqueue(tx, 'p9', { action: 'on' }))
  await poll().start(new AbortController().signal, testTerm(parts.db))
  for (let look = 0; look < 3; look++) { await until(() => parts.clock.sleepers === 1); await parts.clock.advance(1_000) }
  await poll().stop()
  expect(bmc.log).toEqual([])
  await parts.db.tx(tx => parts.power.remove(tx, 'p9'))
})

test('many BMCs are asked a share at each beat, not all at once', async () => {
  const machines = Array.from({ length: 120 }, (_, index) => `s${index}`)
  await parts.db.tx(async tx => { for (const machine of machines) await parts.power.configure(tx, machine, 'redfish', { address: bmc.url }) })
  const perBeat: string[][] = []
  parts.racks.set('r1', { ...rackHere(), query: async ({ machine }) => { perBeat.at(-1)?.push(machine); return { state: 'off' as const } } })
  perBeat.push([])
  await poll().start(new AbortController().signal, testTerm(parts.db))
  await until(async () => {
    await until(() => parts.clock.sleepers === 1)
    const asked = await parts.db.query<{ count: number }>('select count(*)::int as count from power.machine where checked_at is not null')
    if (asked[0]?.count === machines.length) return true
    perBeat.push([])
    await parts.clock.advance(1_000)
    return false
  }, { timeout: 15_000 })
  await poll().stop()
  expect(new Set(perBeat.flat()).size).toBe(machines.length)
  expect(Math.max(...perBeat.map(beat => beat.length))).toBeLessThanOrEqual(3) // 120 in 60 s, and a quarter more
})

test('the loss of a BMC and its return are one piece of news each', async () => {
  const told: string[] = []
  parts.power.hooks.state.tapPromise('news', async (_tx, { machine, from, to }) => { if (machine === 'n1') told.push(`${from} → ${to}`) })
  await configure('n1', { address: addressOf(bmc) })
  await parts.power.query('n1')
  parts.racks.set('r1', { ...rackHere(), query: async () => { throw new BedplateError('POWER_FAILED', { action: 'query', reason: 'no route' }) } })
  for (let again = 0; again < 3; again++) await parts.power.query('n1').catch(() => {})
  parts.racks.set('r1', rackHere())
  await parts.power.query('n1')
  expect(told).toEqual(['unknown → off', 'off → error', 'error → off'])
  expect(await stateOf('n1')).toMatchObject({ state: 'off', error: null })
})
