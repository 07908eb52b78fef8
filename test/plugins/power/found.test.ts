/** Scans on a region: cut into chunks, shared out to racks, survived, called off; and what becomes of the BMCs they find. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { systemClock } from '../../../core/clock.ts'
import type { Inventory } from '../../../plugins/machines/manifest.ts'
import type { RackClient } from '../../../plugins/power/region/racks.ts'
import { replaceInterfaces } from '../../../plugins/network/store.ts'
import { until } from '../../kit/wait.ts'
import { createCaller, type Caller } from '../machines/caller.ts'
import { createParts, rackThat, testTerm, type Parts } from '../machines/parts.ts'

type ScanResult = Awaited<ReturnType<RackClient['scan']>>
type Found = ScanResult['found'][number]
let parts: Parts
let caller: Caller
let terms: ReturnType<typeof testTerm>[] = []
const account = { user: 'root', password: 'calvin/&?%é' }
beforeAll(async () => {
  parts = await createParts({ clock: { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) } }) // its pauses, not its time
  caller = await createCaller(parts)
})
afterAll(async () => { await caller.close(); await parts.db.drop() })
beforeEach(() => { parts.racks.clear(); terms = [] })
afterEach(async () => {
  await scans().stop()
  await parts.db.query('truncate power.scan, power.found, power.machine; truncate machines.machine cascade')
})
const scans = () => {
  const service = parts.running.power.services.find(one => one.name === 'scans')
  if (service === undefined) throw new TypeError('no service')
  return service
}
const lead = async () => { const term = testTerm(parts.db); terms.push(term); await scans().start(new AbortController().signal, term) }
const call: Caller['call'] = (...asked) => caller.call(...asked)
const begin = async (range: string, credentials: object = {}): Promise<string> => (await call('POST', 'power/scans', { range, ...credentials })).body.id
const ended = (id: string) => until(async () => { const { body } = await call('GET', `power/scans/${id}`); return body.state === 'running' ? undefined : body }, { timeout: 10_000, what: 'the scan to end' })

let serial = 0
const uuidOf = (index: number): string => `${(0x10203040 + index).toString(16).padStart(8, '0')}-1122-4455-8899-aabbccddeeff`
const swapped = (uuid: string): string => uuid.split('-').map((field, index) => index < 3 ? (field.match(/../g) ?? []).reverse().join('') : field).join('-')
const redfishAt = (host: string, more: Partial<Found> = {}): Found => ({ host, driver: 'redfish', address: `redfish+https://${host}`, uuid: null, vendor: 'Contoso', model: 'C1', serial: null, problem: null, tls: `sha256:${'ab'.repeat(32)}`, ...more })
const ipmiAt = (host: string, more: Partial<Found> = {}): Found => ({ host, driver: 'ipmi', address: `ipmi://${host}`, uuid: null, vendor: null, model: null, serial: null, problem: null, ...more })
/** A rack that finds what is at these addresses, and tells what it was asked. */
function finds (found: readonly Found[], asked: Parameters<RackClient['scan']>[0][] = []): RackClient {
  return rackThat({ scan: async params => { asked.push(params); return { found: found.filter(one => params.addresses.includes(one.host)) } } })
}
const inventory = (dmi: Record<string, string>, bmc?: string): Inventory => ({ architecture: 'amd64', firmware: 'uefi', cpu: { count: 1, model: 'x' }, memory: 1, disks: [], interfaces: [], dmi, ...bmc === undefined ? {} : { bmc: { address: bmc } } })
const enlist = (dmi: Record<string, string>, bmc?: string) => {
  const mac = `52:54:00:40:00:${(++serial).toString(16).padStart(2, '0')}`
  return parts.db.tx(tx => parts.machines.enlist(tx, { macs: [mac], bootMac: mac, architecture: 'amd64', firmware: 'uefi', vlanId: null, inventory: inventory(dmi, bmc) }))
}
const powerOf = (id: string) => parts.power.configuration(parts.db, id)
const history = async (id: string): Promise<string[]> => (await call('GET', `machines/${id}/events`)).body.items.map((one: { message: string }) => one.message)

test('a range is shared out in chunks to the racks in whose network it lies, and what they find is stored, without a secret', async () => {
  await parts.db.tx(tx => replaceInterfaces(tx, 'near', [{ name: 'bmc', mac: '52:54:00:00:00:01', addresses: ['10.0.1.1/24'], up: true }]))
  const [near, far]: [Parameters<RackClient['scan']>[0][], Parameters<RackClient['scan']>[0][]] = [[], []]
  parts.racks.set('near', finds([redfishAt('10.0.1.9', { uuid: uuidOf(1), serial: 'S1' }), ipmiAt('10.0.1.9'), redfishAt('10.0.1.10', { problem: 'The BMC refuses the credentials (HTTP 401).' })], near))
  parts.racks.set('far', finds([], far))
  const made = await call('POST', 'power/scans', { range: '10.0.0.250-10.0.1.20', ...account })
  expect(made).toMatchObject({ status: 202, body: { state: 'running', addresses: 27, looked: 0, found: 0 } })
  await lead()
  expect(await ended(made.body.id)).toMatchObject({ state: 'done', looked: 27, found: 3, error: null })
  expect(near.map(({ addresses, ...credentials }) => [addresses.length, credentials])).toEqual([[21, account]])
  expect(far.map(({ addresses }) => addresses)).toEqual([['10.0.0.250', '10.0.0.251', '10.0.0.252', '10.0.0.253', '10.0.0.254', '10.0.0.255']])
  const found = await call('GET', 'power/found')
  expect(found.body.items).toMatchObject([
    { host: '10.0.1.9', driver: 'ipmi', rack: 'near', machines: [], credentials: true }, { host: '10.0.1.9', driver: 'redfish', uuid: uuidOf(1), serial: 'S1', credentials: true, problem: null },
    { host: '10.0.1.10', driver: 'redfish', credentials: false, problem: expect.stringContaining('refuses') }
  ])
  const [rows] = await parts.db.query<{ text: string }>('select (select json_agg(f) from power.found f)::text || (select json_agg(s) from power.scan s)::text as text')
  for (const text of [found.text, made.text, rows?.text]) expect(text).not.toContain(account.password)
  expect(await parts.db.query('select secrets from power.scan')).toEqual([{ secrets: null }])
})

test('pages of what was found go on where the last one ended', async () => {
  const hosts = ['10.0.0.9', '10.0.0.10', '10.0.0.100']
  parts.racks.set('r1', finds(hosts.flatMap(host => [redfishAt(host), ipmiAt(host)])))
  await lead()
  await ended(await begin('10.0.0.0/24'))
  const seen: string[] = []
  for (let after = ''; ;) {
    const { body } = await call('GET', `power/found?limit=2${after}`)
    seen.push(...body.items.map((one: Found) => `${one.host} ${one.driver}`))
    if (body.next === undefined) break
    after = `&after=${encodeURIComponent(body.next)}`
  }
  expect(seen).toEqual(hosts.flatMap(host => [`${host} ipmi`, `${host} redfish`]))
  expect((await call('DELETE', 'power/found/10.0.0.10')).status).toBe(204)
  expect((await call('DELETE', 'power/found/10.0.0.10')).body).toMatchObject({ code: 'NOT_FOUND' })
  expect((await call('GET', 'power/found')).body.items).toHaveLength(4)
})

test.each([
  [{ range: '10.0.0.0/8' }, 'scan it in parts'], [{ range: 'all of them' }, 'no range'], [{ range: '10.0.0.0/24', user: 'root' }, 'go together'], [{}, 'range'], [{ range: '10.0.0.0/24', community: 'public' }, '']
])('a scan of %j is refused', async (body, why) => { expect(await call('POST', 'power/scans', body)).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST', detail: expect.stringContaining(why) } }) })
test.each([['GET', 'power/scans/77', 404], ['DELETE', 'power/scans/77', 404], ['GET', 'power/scans/x', 400], ['GET', 'power/found?after=x', 400], ['DELETE', 'power/found/x', 400]] as const)('%s %s is answered %i', async (method, path, status) => { expect((await call(method, path)).status).toBe(status) })

test('a rack that fails is followed by the next; what no rack can look at is said, and the rest is done', async () => {
  parts.racks.set('a', rackThat({ scan: async ({ addresses }) => { throw new BedplateError('LINK_DOWN', { controller: `a ${addresses.length}` }) } }))
  parts.racks.set('b', finds([ipmiAt('10.0.0.7')]))
  await lead()
  expect(await ended(await begin('10.0.0.0/24'))).toMatchObject({ state: 'done', found: 1 })
  expect((await call('GET', 'power/found')).body.items).toMatchObject([{ host: '10.0.0.7', rack: 'b' }])
  parts.racks.set('b', rackThat({ scan: async ({ addresses }) => { if (addresses.includes('10.0.1.1')) throw new BedplateError('CALL_TIMEOUT', { method: `scan with ${account.password}`, seconds: 1, controller: 'b' }); return { found: [] } } }))
  expect(await ended(await begin('10.0.0.200-10.0.1.20', account))).toMatchObject({ state: 'failed', looked: 77, error: expect.stringMatching(/^10\.0\.1\.0 to 10\.0\.1\.20 could not be looked at: .*\[redacted\]/) })
})

test('a leader that dies in the middle is followed by one that does what is left, and nothing twice', async () => {
  const asked: string[] = []
  let hang = true
  parts.racks.set('r1', rackThat({
    async scan ({ addresses }, options) {
      asked.push(addresses[0] ?? '')
      if (hang && addresses[0] !== '10.0.0.1') await new Promise((_, reject) => { options?.signal?.addEventListener('abort', () => { reject(new BedplateError('LINK_DOWN', { controller: 'r1' })) }) })
      return { found: addresses[0] === '10.0.0.1' ? [ipmiAt('10.0.0.5')] : [] }
    }
  }))
  const id = await begin('10.0.0.0/22', account)
  await lead()
  await until(async () => (await call('GET', `power/scans/${id}`)).body.looked === 255 && asked.length === 4)
  for (const term of terms) term.lose()
  await scans().stop()
  expect((await call('GET', `power/scans/${id}`)).body).toMatchObject({ state: 'running', found: 1 })
  hang = false
  asked.length = 0
  await lead()
  expect(await ended(id)).toMatchObject({ state: 'done', looked: 1022 })
  expect(asked.sort()).toEqual(['10.0.1.0', '10.0.2.0', '10.0.3.0'])
})

test('a scan that is called off is stopped on the racks, keeps what it found, and leaves the credentials nowhere', async () => {
  let stopped = 0
  parts.racks.set('r1', rackThat({ scan: (_, options) => new Promise((_resolve, reject) => { options?.signal?.addEventListener('abort', () => { stopped++; reject(new BedplateError('LINK_DOWN', { controller: 'r1' })) }) }) }))
  const id = await begin('10.0.0.0/24', account)
  await lead()
  await until(async () => (await call('GET', 'power/scans')).body.items[0]?.id === id)
  expect((await call('DELETE', `power/scans/${id}`)).body).toMatchObject({ state: 'cancelled', looked: 0 })
  await until(() => { parts.running.power.changed?.([{ seq: '1', topic: 'power.scan', id }]); return stopped === 1 })
  expect((await call('DELETE', `power/scans/${id}`)).body).toMatchObject({ state: 'cancelled' })
  expect(await parts.db.query('select secrets from power.scan')).toEqual([{ secrets: null }])
})

test('a later scan without credentials forgets nothing of the same BMC, and everything of another one at its address', async () => {
  await lead()
  parts.racks.set('r1', finds([redfishAt('10.0.0.9', { uuid: uuidOf(3) })]))
  await ended(await begin('10.0.0.9', account))
  parts.racks.set('r1', finds([redfishAt('10.0.0.9')]))
  await ended(await begin('10.0.0.9'))
  expect((await call('GET', 'power/found')).body.items).toMatchObject([{ uuid: uuidOf(3), credentials: true }])
  parts.racks.set('r1', finds([redfishAt('10.0.0.9', { tls: `sha256:${'cd'.repeat(32)}` })]))
  await ended(await begin('10.0.0.9'))
  expect((await call('GET', 'power/found')).body.items).toMatchObject([{ uuid: null, credentials: false }])
})

test('credentials that got in stay as they are when others do not; when they are refused themselves it is told, and they link nothing until they get in again', async () => {
  await lead()
  const good = redfishAt('10.0.0.9', { uuid: uuidOf(4) })
  const refusing = redfishAt('10.0.0.9', { problem: 'it refuses them' })
  const row = async (found: Found, credentials: object) => {
    parts.racks.set('r1', finds([found]))
    await ended(await begin('10.0.0.9', credentials))
    const { body: { items: [one] } } = await call('GET', 'power/found')
    return [one.uuid, one.credentials, one.problem]
  }
  const other = { ...account, password: 'another' }
  expect(await row(refusing, other)).toEqual([null, false, 'it refuses them'])
  expect(await row(redfishAt('10.0.0.9'), {}), 'nobody tried since').toEqual([null, false, 'it refuses them'])
  expect(await row(good, account)).toEqual([uuidOf(4), true, null])
  expect(await row(refusing, other)).toEqual([uuidOf(4), true, null])
  expect(await row(refusing, account)).toEqual([uuidOf(4), true, 'it refuses them'])
  expect(await row(refusing, other)).toEqual([uuidOf(4), true, 'it refuses them'])
  expect(await row(redfishAt('10.0.0.9'), {})).toEqual([uuidOf(4), true, 'it refuses them'])
  expect(await powerOf((await enlist({ product_uuid: uuidOf(4) })).id)).toBeUndefined()
  expect(await row({ ...refusing, tls: `sha256:${'cd'.repeat(32)}` }, other), 'another BMC').toEqual([null, false, 'it refuses them'])
  expect(await row(good, account)).toEqual([uuidOf(4), true, null])
})

test('a machine that is enlisted is linked to the BMC that knows its UUID, in either order of bytes', async () => {
  await lead()
  parts.racks.set('r1', finds([redfishAt('10.0.0.9', { uuid: uuidOf(5) }), redfishAt('10.0.0.10', { uuid: uuidOf(6) })]))
  await ended(await begin('10.0.0.0/24', account))
  const [one, other, third] = [await enlist({ product_uuid: uuidOf(5).toUpperCase() }), await enlist({ product_uuid: swapped(uuidOf(6)) }), await enlist({ product_uuid: uuidOf(7) })]
  expect(await powerOf(one.id)).toEqual({ driver: 'redfish', parameters: { address: 'https://10.0.0.9', user: 'root', password: '••••••', tls: `sha256:${'ab'.repeat(32)}` } })
  expect(await powerOf(other.id)).toMatchObject({ parameters: { address: 'https://10.0.0.10' } })
  expect(await powerOf(third.id)).toBeUndefined()
  expect(await history(one.id)).toContain('Its BMC was found at 10.0.0.9; it is powered by redfish now')
  expect((await call('GET', 'power/found')).body.items).toMatchObject([{ host: '10.0.0.9', machines: [one.id] }, { host: '10.0.0.10', machines: [other.id] }])
})

test('machines that are known already are linked when the scan ends', async () => {
  const machine = await enlist({ product_uuid: uuidOf(8) })
  parts.racks.set('r1', finds([redfishAt('10.0.0.9', { uuid: swapped(uuidOf(8)) })]))
  await lead()
  await ended(await begin('10.0.0.0/24', account))
  expect(await powerOf(machine.id)).toMatchObject({ driver: 'redfish' })
  expect((await call('GET', `machines/${machine.id}`)).body.power.driver).toBe('redfish')
})

test('what a scan found is told a hundred at a time, each once', async () => {
  const told: string[][] = []
  parts.power.hooks.found.tap('test', (_tx, { addresses }) => { told.push([...addresses]) })
  const hosts = Array.from({ length: 230 }, (_, index) => `10.0.0.${index + 1}`)
  parts.racks.set('r1', finds(hosts.map(host => redfishAt(host))))
  await lead()
  await ended(await begin('10.0.0.0/24', account))
  expect(told.map(({ length }) => length)).toEqual([100, 100, 30])
  expect(new Set(told.flat()).size).toBe(230)
})

test('commissioning links, too, and a machine that is powered by something keeps it', async () => {
  await lead()
  parts.racks.set('r1', finds([redfishAt('10.0.0.9', { uuid: uuidOf(9) }), redfishAt('10.0.0.10', { uuid: uuidOf(10) })]))
  await ended(await begin('10.0.0.0/24', account))
  const [one, other] = [await enlist({}), await enlist({})]
  await parts.db.tx(tx => parts.power.configure(tx, other.id, 'manual', {}))
  await parts.db.tx(async tx => { for (const [{ id }, uuid] of [[one, uuidOf(9)], [other, uuidOf(10)]] as const) await parts.machines.saveInventory(tx, id, inventory({ product_uuid: uuid }), null) })
  expect([(await powerOf(one.id))?.driver, (await powerOf(other.id))?.driver]).toEqual(['redfish', 'manual'])
})

test('a BMC whose machine is told by nothing but its address is linked by that; one that knows another UUID is not', async () => {
  await lead()
  parts.racks.set('r1', finds([redfishAt('10.0.0.9'), redfishAt('10.0.0.10', { uuid: uuidOf(11) })]))
  await ended(await begin('10.0.0.0/24', account))
  const [one, liar, nameless] = [await enlist({ product_uuid: uuidOf(12) }, '10.0.0.9'), await enlist({ product_uuid: uuidOf(13) }, '10.0.0.10'), await enlist({}, '10.0.0.10')]
  expect((await Promise.all([one, liar, nameless].map(({ id }) => powerOf(id)))).map(power => power?.parameters.address)).toEqual(['https://10.0.0.9', undefined, 'https://10.0.0.10'])
})

test('nobody is linked where a UUID is two machines\' or two BMCs\', where the BMC is another machine\'s, or where it did not take the credentials', async () => {
  await lead()
  const factory = '03000200-0400-0500-0006-000700080009'
  parts.racks.set('r1', finds([redfishAt('10.0.0.1', { uuid: uuidOf(20) }), redfishAt('10.0.0.2', { uuid: uuidOf(20) }), redfishAt('10.0.0.3', { uuid: uuidOf(21) }), redfishAt('10.0.0.4', { uuid: uuidOf(22), problem: 'no' }), redfishAt('10.0.0.5', { uuid: factory }), redfishAt('10.0.0.6', { uuid: uuidOf(23) })]))
  await ended(await begin('10.0.0.0/24', account))
  const owner = await enlist({})
  await parts.db.tx(tx => parts.power.configure(tx, owner.id, 'redfish', { address: 'https://10.0.0.3/redfish/v1/Systems/1', user: 'x', password: 'y' }))
  const told = await enlist({ product_uuid: uuidOf(20) }, '10.0.0.2')
  expect((await powerOf(told.id))?.parameters.address, 'one of two, by where it says its BMC is').toBe('https://10.0.0.2')
  await parts.db.query('delete from power.machine where machine = $1', [told.id])
  await parts.db.query('delete from machines.machine where id = $1', [told.id])
  for (const uuid of [uuidOf(20), uuidOf(21), uuidOf(22), factory]) expect(await powerOf((await enlist({ product_uuid: uuid })).id), uuid).toBeUndefined()
  const [first, second] = [await enlist({ product_uuid: uuidOf(23) }), await enlist({ product_uuid: uuidOf(23) })]
  expect([await powerOf(first.id), await powerOf(second.id)]).toEqual([expect.objectContaining({ driver: 'redfish' }), undefined])
})

test('two machines that were there before with one UUID are not told apart by it', async () => {
  const twins = [await enlist({ product_uuid: uuidOf(24) }), await enlist({ product_uuid: uuidOf(24) })]
  parts.racks.set('r1', finds([redfishAt('10.0.0.9', { uuid: uuidOf(24) })]))
  await lead()
  await ended(await begin('10.0.0.9', account))
  expect(await Promise.all(twins.map(({ id }) => powerOf(id)))).toEqual([undefined, undefined])
})

test('a host that speaks both is powered by Redfish', async () => {
  await lead()
  parts.racks.set('r1', finds([ipmiAt('10.0.0.9', { uuid: uuidOf(30) }), redfishAt('10.0.0.9', { uuid: swapped(uuidOf(30)) })]))
  await ended(await begin('10.0.0.9', account))
  expect((await powerOf((await enlist({ product_uuid: uuidOf(30) })).id))?.driver).toBe('redfish')
})
