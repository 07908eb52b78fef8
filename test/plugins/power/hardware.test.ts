/** What a BMC tells besides power, its virtual drive, and the machines of a chassis: through the API, a rack and a simulated BMC. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { hostnameOf } from '../../../plugins/machines/chassis.ts'
import { hostnamePattern } from '../../../plugins/machines/names.ts'
import { capabilities } from '../../../plugins/power/capabilities.ts'
import { drivers } from '../../../plugins/power/drivers.ts'
import { startBmc, type Bmc } from '../../../sim/bmc/bmc.ts'
import { createNothing } from '../../../sim/machine/nothing.ts'
import fc from 'fast-check'
import { createCaller, type Caller } from '../machines/caller.ts'
import { createParts, rackHere, rackThat, type Parts } from '../machines/parts.ts'

let parts: Parts
let caller: Caller
let bmc: Bmc
let chassis: Bmc
beforeAll(async () => {
  parts = await createParts()
  bmc = await startBmc({ redfish: {} })
  chassis = await startBmc({ redfish: {}, account: { user: 'chef', password: 'only-the-chassis', privilege: 'administrator' }, machines: [createNothing({ name: 'blade-1' }), createNothing({ name: 'blade-2' }), createNothing({ name: 'blade-3', hardware: { macs: [] } })] })
  caller = await createCaller(parts)
})
afterAll(async () => { await caller.close(); await bmc.close(); await chassis.close(); await parts.db.drop() })
afterEach(() => { parts.racks.clear(); parts.racks.set('r1', rackHere()) })

const call: Caller['call'] = (...asked) => caller.call(...asked)
let serial = 0
const machine = async (power?: object): Promise<string> => (await call('POST', 'machines', { macs: [`52:54:00:60:00:${(++serial).toString(16).padStart(2, '0')}`], ...power === undefined ? {} : { power } })).body.id
const powered = () => machine({ address: bmc.redfish?.address() })

test('identity, sensors, log and firmware are what the BMC says', async () => {
  const id = await powered()
  const { uuid, manufacturer, model, serial: number } = bmc.machine.hardware
  expect(await call('GET', `power/machines/${id}/identity`)).toMatchObject({ status: 200, body: { uuid, manufacturer, model, serial: number, bmcVersion: expect.any(String) } })
  expect((await call('GET', `power/machines/${id}/sensors`)).body.items).toContainEqual(expect.objectContaining({ kind: 'temperature', value: 21, status: 'ok' }))
  bmc.model.systems[0].log.add('input lost')
  expect((await call('GET', `power/machines/${id}/log`)).body.items).toContainEqual(expect.objectContaining({ severity: 'critical', message: expect.stringContaining('has lost its input') }))
  expect((await call('GET', `power/machines/${id}/firmware`)).body.items).toContainEqual(expect.objectContaining({ name: expect.any(String), version: expect.any(String) }))
})

test('an image goes into the virtual drive and out again', async () => {
  const id = await powered()
  const image = 'http://10.0.0.1/rescue.iso'
  expect((await call('GET', `power/machines/${id}/media`)).body).toEqual({ image: null })
  expect(await call('PUT', `power/machines/${id}/media`, { image })).toMatchObject({ status: 200, body: { image } })
  expect((await call('GET', `power/machines/${id}/media`)).body).toEqual({ image })
  expect((await call('DELETE', `power/machines/${id}/media`)).body).toEqual({ image: null })
  expect((await call('PUT', `power/machines/${id}/media`, { image: 'file:///etc/passwd' })).status).toBe(400)
})

test.each([['GET', 'identity', 'tell what its machine is'], ['GET', 'sensors', 'read sensors'], ['GET', 'log', 'read a log'], ['GET', 'firmware', 'list firmware'], ['GET', 'media', 'tell what is in a virtual drive'], ['DELETE', 'media', 'put an image into a virtual drive']] as const)('%s %s of a machine by hand is refused in words: it cannot %s', async (method, what, words) => {
  parts.racks.clear() // and no rack is asked
  expect(await call(method, `power/machines/${await machine()}/${what}`)).toMatchObject({ status: 422, body: { code: 'POWER_UNSUPPORTED', detail: `The power driver manual cannot ${words}.` } })
})

test('where no rack reaches the BMC, or one answers what nobody understands, that is said', async () => {
  const id = await powered()
  parts.racks.set('r1', rackThat({ look: async () => { throw new BedplateError('POWER_FAILED', { action: 'look', reason: 'no route' }) } }))
  expect(await call('GET', `power/machines/${id}/sensors`)).toMatchObject({ status: 502, body: { code: 'POWER_FAILED', detail: expect.stringContaining('no route') } })
  parts.racks.set('r1', rackThat({ look: async () => ({ value: [{ name: 1 }] }) }))
  expect(await call('GET', `power/machines/${id}/sensors`)).toMatchObject({ status: 502, body: { detail: expect.stringContaining('does not understand') } })
  parts.racks.clear()
  expect(await call('GET', `power/machines/${id}/sensors`)).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } })
})

test('a driver tells the API what it can do', () => {
  const redfish = drivers.find(({ name }) => name === 'redfish')
  expect(redfish === undefined ? [] : capabilities(redfish)).toEqual(expect.arrayContaining(['on', 'off', 'state', 'boot-device', 'identity', 'sensors', 'log', 'firmware', 'media', 'members']))
})

const add = (body: object) => call('POST', 'machines/chassis', body)

test('the machines of a chassis are added with their power, once; who cannot be added is named with the reason', async () => {
  const address = chassis.redfish?.address()
  const first = await add({ address: address?.replace(/\/redfish\/v1.*/, '') })
  expect(first).toMatchObject({ status: 200, body: { driver: 'redfish', known: [], failed: [{ reason: expect.stringContaining('no MAC address') }] } })
  expect(first.body.added).toHaveLength(2)
  const password = chassis.account.password
  for (const [index, { id, configured }] of first.body.added.entries()) {
    expect(configured).toBe(true)
    const shown = await call('GET', `machines/${id}`)
    expect(shown.body).toMatchObject({ status: 'New', interfaces: [{ mac: chassis.machines[index]?.hardware.macs[0], boot: true }], power: { driver: 'redfish' } })
    expect(await call('GET', `machines/${id}/power/state`)).toMatchObject({ status: 200, body: { state: 'off' } }) // the chassis's password is known for it
    expect((await call('GET', `machines/${id}/power`)).text).not.toContain(password)
    expect((await call('GET', `machines/${id}/events`)).text).toMatch(/Powered through its chassis as [^"]+, by redfish; added by ann/)
  }
  const again = await add({ address })
  expect(again.body).toMatchObject({ added: [], known: first.body.added.map((one: object) => ({ ...one, configured: false })) })
})

test('a member that is known by its MAC is not added; it is powered by the chassis where nothing powers it, else keeps what it has', async () => {
  const [one, two] = [createNothing({ name: 'other-1' }), createNothing({ name: 'other-2' })]
  const other = await startBmc({ redfish: {}, machines: [one, two] })
  try {
    const [bare, own] = [(await call('POST', 'machines', { macs: [one.hardware.macs[0]] })).body.id, (await call('POST', 'machines', { macs: [two.hardware.macs[0]], power: { driver: 'manual' } })).body.id]
    const { body } = await add({ driver: 'redfish', parameters: { address: other.redfish?.url, ...other.account.user === undefined ? {} : { user: other.account.user, password: other.account.password } } })
    expect(body.added).toEqual([])
    expect(body.known.map(({ id, configured }: { id: string, configured: boolean }) => [id, configured])).toEqual([[bare, true], [own, false]])
    expect((await call('GET', `machines/${own}/power`)).body.driver).toBe('manual')
  } finally { await other.close() }
})

test.each([[{ driver: 'manual' }, 422, 'POWER_UNSUPPORTED'], [{ address: 'redfish+https://' }, 422, 'POWER_PARAMETERS_INVALID'], [{}, 422, 'POWER_PARAMETERS_INVALID'], [{ address: 'http://127.0.0.1:1', driver: 'redfish', colour: 'red' }, 400, 'INVALID_REQUEST']])('%j is no chassis', async (body, status, code) => { expect(await add(body)).toMatchObject({ status, body: { code } }) })

test('a member\'s name becomes a hostname where it can', () => {
  expect(['Blade 1', 'node_7.rack', '--', '', 'Ü', 'a'.repeat(80), '1'].map(hostnameOf)).toEqual(['blade-1', 'node-7-rack', undefined, undefined, undefined, 'a'.repeat(63), expect.toSatisfy((name: string | undefined) => name === undefined || name === '1')])
  fc.assert(fc.property(fc.string(), text => { const name = hostnameOf(text); if (name !== undefined) expect(name).toMatch(new RegExp(hostnamePattern)) }))
})
