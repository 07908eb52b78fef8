/** Boot addresses on a region: when one is set aside, kept and given back; what racks are told of it by boot and by dhcp; and the API, over a real database. */
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { createApp } from '../../../../core/http/app.ts'
import { conventions } from '../../../../core/http/conditional.ts'
import type { Term } from '../../../../core/plugin.ts'
import { vlanRoutes } from '../../../../plugins/boot/api/vlans.ts'
import { manifest } from '../../../../plugins/boot/manifest.ts'
import { floatingOf, settle, show } from '../../../../plugins/boot/region/addresses.ts'
import type { Plan } from '../../../../plugins/boot/region/addresses.ts'
import { createAddressKeeper } from '../../../../plugins/boot/region/keeper.ts'
import type { SegmentEntry } from '../../../../plugins/dhcp/manifest.ts'
import { quiet } from '../../../kit/parts.ts'
import { until } from '../../../kit/wait.ts'
import { openRegion } from '../../dhcp/region.kit.ts'
import type { Region } from '../../dhcp/region.kit.ts'

let region: Region
let plan: Plan
let app: FastifyInstance
let subnet: string
beforeEach(async () => {
  region = await openRegion({}, [manifest])
  plan = { network: region.network, served: region.running.provides.served }
  app = createApp(quiet)
  conventions(app)
  await app.register(vlanRoutes(region.db, plan), { prefix: '/boot' })
  await app.ready()
  subnet = await region.subnet('192.0.2.0/24', ['192.0.2.100', '192.0.2.200'], { gateway: '192.0.2.1' })
})
afterEach(async () => {
  await app.close()
  await region.close()
})

/** Racks with an address each; each has its own MAC. */
async function racks (...names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) await region.attach(name, { [`eth${index}`]: [`192.0.2.${2 + index}/24`] })
  await region.db.query('update network.rack_interface set mac = \'02:bb:00:00:00:\' || lpad((ascii(right(rack, 1)) - 96)::text, 2, \'0\')')
}
const enable = async (body: object = {}): Promise<void> => { expect((await region.call('PUT', '/dhcp/vlans/1', { enabled: true, ...body })).status).toBe(200) }
const look = () => region.db.tx(tx => settle(tx, plan))
const v4 = async () => (await show(region.db, plan, '1'))[0]!.v4
const put = async (body: object, headers: Record<string, string> = {}) => {
  const answer = await app.inject({ method: 'PUT', url: '/boot/vlans/1', payload: body, headers })
  return { status: answer.statusCode, body: answer.json() as { detail?: string, v4: { address: string | null, setting: string } }, etag: answer.headers.etag }
}
const owned = async () => (await region.network.addresses(region.db, { owner: 'boot:1' })).map(({ address, kind }) => `${address} ${kind}`)

describe('a VLAN', () => {
  test('with DHCP on and one rack has none; with two one is set aside outside every range, and stays', async () => {
    await racks('rack-a')
    await enable()
    await look()
    expect(await v4()).toEqual({ setting: 'auto', address: null, holder: null, problem: null })
    await racks('rack-a', 'rack-b')
    await look()
    expect(await owned()).toEqual(['192.0.2.4 reserved'])
    await look()
    await region.db.tx(tx => tx.query('delete from network.rack_interface where rack = \'rack-b\''))
    await region.call('PUT', '/dhcp/vlans/1', { enabled: false })
    await look()
    expect(await v4()).toMatchObject({ address: '192.0.2.4', problem: null })
  })
  test('with DHCP off has none, nor of a family that is not served', async () => {
    await racks('rack-a', 'rack-b')
    await look()
    expect(await owned()).toEqual([])
    await region.subnet('2001:db8::/64')
    for (const [index, rack] of ['rack-a', 'rack-b'].entries()) await region.attach(rack, { eth0: [`192.0.2.${2 + index}/24`, `2001:db8::${2 + index}/64`] })
    await enable()
    await look()
    expect(await owned()).toEqual(['192.0.2.4 reserved'])
    await enable({ v6: 'stateless' })
    await look()
    expect(await owned()).toEqual(['192.0.2.4 reserved', '2001:db8::1 reserved'])
  })
  test('that holds it on one of two racks does not count it as a third rack\'s, nor as its own address', async () => {
    await racks('rack-a')
    await enable()
    await put({ v4: '192.0.2.50' })
    await put({ v4: 'auto' })
    expect((await v4()).address).toBe('192.0.2.50')
    await region.attach('rack-a', { eth0: ['192.0.2.2/24', '192.0.2.50/32'] })
    expect(await v4()).toMatchObject({ address: '192.0.2.50', holder: 'rack-a' })
    expect((await floatingOf(region.db, plan, 'rack-a'))[0]?.value).toMatchObject({ interface: 'eth0', rank: 0, peers: [] })
    expect((await region.wanted('rack-a')).find(({ kind }) => kind === 'segment')?.value).toMatchObject({ address: '192.0.2.2', bootAddress: '192.0.2.50', peers: [] })
  })
  test('whose subnet is full goes on without one, which is said, until there is room', async () => {
    const small = (await region.call('POST', '/network/vlans', { fabricId: '1', vid: 7, name: 'small' })).body.id as string
    await region.subnet('198.51.100.0/29', ['198.51.100.3', '198.51.100.6'], { vlanId: small })
    await region.attach('rack-a', { eth1: ['198.51.100.1/29'] })
    await region.attach('rack-b', { eth1: ['198.51.100.2/29'] })
    expect((await region.call('PUT', `/dhcp/vlans/${small}`, { enabled: true })).status).toBe(200)
    const keeper = createAddressKeeper({ db: region.db, plan, clock: systemClock, log: quiet })
    const stop = new AbortController()
    await keeper.start(stop.signal, { signal: stop.signal } as Term)
    const health = await until(() => keeper.health().state === 'degraded' ? keeper.health() : undefined)
    expect(health).toMatchObject({ reason: expect.stringContaining('VLAN small') })
    expect((await region.wanted('rack-a')).find(({ kind, id }) => kind === 'segment' && id === small)?.value).not.toHaveProperty('bootAddress')
    await region.db.query('delete from network.range where high = \'198.51.100.6\'')
    keeper.changed([{ seq: '1', topic: 'network.subnet', id: '1' }])
    await until(() => keeper.health().state === 'running')
    expect((await region.network.addresses(region.db, { owner: `boot:${small}` })).map(({ address }) => address)).toEqual(['198.51.100.3'])
    await keeper.stop()
    expect(keeper.health().state).toBe('off')
  })
  test('that is deleted gives it back', async () => {
    const vlan = (await region.call('POST', '/network/vlans', { fabricId: '1', vid: 8, name: 'gone' })).body.id as string
    await region.db.query('insert into boot.vlan (vlan_id, v4) values ($1, \'none\')', [vlan])
    await region.call('DELETE', `/network/vlans/${vlan}`)
    await look()
    expect(await region.db.query('select 1 from boot.vlan where vlan_id = $1', [vlan])).toEqual([])
  })
  test('two regions that look at once set one aside', async () => {
    await racks('rack-a', 'rack-b')
    await enable()
    await Promise.all(Array.from({ length: 6 }, () => look()))
    expect(await owned()).toHaveLength(1)
  })
})

describe('racks are told', () => {
  beforeEach(async () => {
    await racks('rack-a', 'rack-b', 'rack-c')
    await enable({ racks: ['rack-b', 'rack-a'] })
    await look()
  })
  test('the address, their rank and the others, by the VLAN\'s list; one that does not serve it is not', async () => {
    const [one] = await floatingOf(region.db, plan, 'rack-a')
    expect(one).toEqual({ id: '1', value: { interface: 'eth0', rank: 1, peers: [{ rack: 'rack-b', mac: '02:bb:00:00:00:02' }], addresses: [{ address: '192.0.2.5', prefix: 24, vrid: 5 }] } })
    expect((await floatingOf(region.db, plan, 'rack-b'))[0]?.value).toMatchObject({ interface: 'eth1', rank: 0, peers: [{ rack: 'rack-a' }] })
    expect(await floatingOf(region.db, plan, 'rack-c')).toEqual([])
    expect(await floatingOf(region.db, plan, 'rack-a', ['2'])).toEqual([])
    await put({ v4: 'none' })
    expect(await floatingOf(region.db, plan, 'rack-a')).toEqual([])
  })
  test('by dhcp too, as the address of what boots, beside their own; a change touches that segment', async () => {
    const segment = async () => (await region.wanted('rack-a', [{ kind: 'segment', id: '1' }]))[0]?.value as SegmentEntry
    expect(await segment()).toMatchObject({ address: '192.0.2.2', bootAddress: '192.0.2.5', peers: ['192.0.2.3', '192.0.2.4'] })
    await region.changes()
    await put({ v4: '192.0.2.60' })
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toContainEqual({ kind: 'segment', id: '1' })
    expect(await segment()).toMatchObject({ bootAddress: '192.0.2.60' })
    await put({ v4: 'none' })
    expect(await segment()).not.toHaveProperty('bootAddress')
  })
})

describe('the API', () => {
  beforeEach(async () => {
    await racks('rack-a', 'rack-b')
    await enable()
    await look()
  })
  test('shows every VLAN, and one with its version', async () => {
    expect((await app.inject('/boot/vlans')).json()).toEqual({ items: [{ id: '1', v4: { setting: 'auto', address: '192.0.2.4', holder: null, problem: null }, v6: { setting: 'auto', address: null, holder: null, problem: null } }] })
    const one = await app.inject('/boot/vlans/1')
    expect([one.statusCode, typeof one.headers.etag]).toEqual([200, 'string'])
    expect((await app.inject('/boot/vlans/99')).statusCode).toBe(404)
  })
  test('sets one by hand, none, and auto again; what was set aside before is given back', async () => {
    expect((await put({ v4: '192.0.2.30' })).body.v4).toEqual({ setting: '192.0.2.30', address: '192.0.2.30', holder: null, problem: null })
    expect(await owned()).toEqual(['192.0.2.30 reserved'])
    expect((await put({ v4: 'none' })).body.v4).toMatchObject({ setting: 'none', address: null })
    expect(await owned()).toEqual([])
    await look()
    expect(await owned()).toEqual([])
    expect((await put({ v4: 'auto' })).body.v4.address).not.toBeNull()
  })
  test.each([
    ['an address of another subnet', '198.51.100.7', 400, 'lies in no subnet of VLAN'],
    ['one in a dynamic range', '192.0.2.150', 400, 'only DHCP leases come from there'],
    ['the gateway', '192.0.2.1', 400, 'gateway'],
    ['a rack\'s own', '192.0.2.2', 409, 'in use'],
    ['one of the other family', '2001:db8::5', 400, 'no IPv4 address'],
    ['no address', 'first', 400, 'no IPv4 address']
  ])('refuses %s, and changes nothing', async (_, v4, status, words) => {
    const answer = await put({ v4 })
    expect([answer.status < 500, answer.status >= 400]).toEqual([true, true])
    expect(answer.body.detail).toContain(words)
    if (status === 409) expect(answer.status).toBe(409)
    expect(await owned()).toEqual(['192.0.2.4 reserved'])
  })
  test('keeps two operators apart', async () => {
    const { etag } = await app.inject('/boot/vlans/1').then(({ headers }) => headers)
    expect((await put({ v4: '192.0.2.30' }, { 'if-match': String(etag) })).status).toBe(200)
    expect((await put({ v4: 'none' }, { 'if-match': String(etag) })).status).toBe(412)
    expect((await put({})).status).toBe(400)
  })
  test('an address by hand that cannot be any more is said, and not forgotten', async () => {
    await put({ v4: '192.0.2.30' })
    await region.db.tx(tx => region.network.release(tx, { address: '192.0.2.30' }))
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: subnet, kind: 'reserved', address: '192.0.2.30', owner: 'somebody' }))
    await look()
    expect(await v4()).toMatchObject({ setting: '192.0.2.30', address: null, problem: expect.stringContaining('192.0.2.30') })
    await region.db.tx(tx => region.network.release(tx, { address: '192.0.2.30' }))
    await look()
    expect(await v4()).toMatchObject({ address: '192.0.2.30', problem: null })
  })
})
