/** Configuration at rest, and asking. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { createParts, rackHere, rackThat, type Parts } from '../machines/parts.ts'
import { account, addressOf, startBmc, type Bmc } from '../../kit/bmc.ts'

let parts: Parts
let bmc: Bmc
beforeAll(async () => { parts = await createParts() })
afterAll(async () => { await parts.db.drop() })
beforeEach(async () => { bmc = await startBmc(); parts.racks.clear(); parts.racks.set('r1', rackHere()) })
afterEach(async () => {
  await bmc.close()
  await parts.db.query('delete from power.machine')
})
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
  bmc.machine.set('on')
  expect(await parts.power.query('m1')).toBe('on')
  expect(await stateOf('m1')).toMatchObject({ state: 'on', error: null })
  await configure('m1', { address: addressOf(bmc, { user: 'root', password: 'wrong' }) })
  await expect(parts.power.query('m1')).rejects.toBeInstanceOf(BedplateError)
  expect(await stateOf('m1')).toMatchObject({ state: 'error', error: expect.stringContaining('refuses the credentials') })
  expect(await parts.power.query('nobody')).toBe('unknown')
})

test('the loss of a BMC and its return are one piece of news each', async () => {
  const told: string[] = []
  parts.power.hooks.state.tapPromise('news', async (_tx, { machine, from, to }) => { if (machine === 'n1') told.push(`${from} → ${to}`) })
  await configure('n1', { address: addressOf(bmc) })
  await parts.power.query('n1')
  parts.racks.set('r1', rackThat({ query: async () => { throw new BedplateError('POWER_FAILED', { action: 'query', reason: 'no route' }) } }))
  for (let again = 0; again < 3; again++) await parts.power.query('n1').catch(() => {})
  parts.racks.set('r1', rackHere())
  await parts.power.query('n1')
  expect(told).toEqual(['unknown → off', 'off → error', 'error → off'])
  expect(await stateOf('n1')).toMatchObject({ state: 'off', error: null })
})

test.each<[string, () => Promise<unknown>]>([
  ['an action came', () => parts.db.tx(tx => parts.power.enqueue(tx, 'q1', { action: 'off' }))],
  ['an action ended', () => parts.db.query(`update power.machine set turn = turn + 1 where machine = 'q1'`)],
  ['other parameters came', () => configure('q1', { address: addressOf(bmc), tls: 'insecure' })]
])('what was asked is not stored, neither the answer nor a failure, when meanwhile %s', async (_when, meanwhile) => {
  for (const answer of [async () => ({ state: 'on' as const }), async () => { throw new BedplateError('POWER_FAILED', { action: 'query', reason: 'the BMC is busy' }) }]) {
    await parts.db.query('delete from power.action')
    await configure('q1', { address: addressOf(bmc) })
    parts.racks.set('r1', rackThat({ query: async () => { await meanwhile(); return await answer() } }))
    await parts.power.query('q1').catch(() => {})
    expect(await stateOf('q1')).toMatchObject({ state: 'unknown', error: null })
  }
  await parts.db.query('delete from power.action')
})
