/** The plan over HTTP: what is possible, and for everything that is not a sentence that names both sides while all goes on unchanged. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { allocate } from '../../../plugins/network/allocation.ts'
import { replaceInterfaces } from '../../../plugins/network/store.ts'
import { until } from '../../kit/wait.ts'
import { openPlan } from './plan.kit.ts'
import type { Plan } from './plan.kit.ts'

let plan: Plan
beforeAll(async () => { plan = await openPlan() })
afterAll(() => plan.close())
beforeEach(async () => {
  for (const table of ['range', 'address', 'rack_interface', 'subnet']) await plan.db.query(`delete from network.${table}`)
  await plan.db.query('delete from network.fabric where id > 1')
  await plan.db.query('delete from network.vlan where id > 1')
  await plan.changes()
})

const rack = (id: string, ...addresses: string[]) => plan.db.tx(tx => replaceInterfaces(tx, id, [{ name: 'eth0', mac: '52:54:00:00:00:01', up: true, addresses }]))
const give = (subnetId: string, address: string, owner = 'm1') => plan.db.tx(tx => allocate(tx, { subnetId, kind: 'auto', owner, hostname: owner, address }))
const everything = async () => JSON.stringify(await Promise.all(['fabric', 'vlan', 'subnet', 'range', 'address'].map(table => plan.db.query(`select t::text from network.${table} t order by 1`))))
/** The call is refused with that sentence; nothing changed, and nobody was told anything. */
async function refused (method: 'POST' | 'PATCH' | 'DELETE', path: string, body: object | undefined, sentence: string): Promise<void> {
  const before = await everything()
  await plan.changes()
  expect(await plan.call(method, path, body)).toMatchObject({ status: 422, body: { code: 'NETWORK_INVALID', detail: sentence } })
  expect(await everything()).toBe(before)
  expect(await plan.changes()).toEqual([])
}

describe('the first plan', () => {
  it('has one fabric with its untagged VLAN', async () => {
    expect((await plan.call('GET', '/fabrics')).body).toEqual({ items: [{ id: '1', name: 'fabric-0' }] })
    expect((await plan.call('GET', '/vlans')).body).toEqual({ items: [{ id: '1', fabricId: '1', vid: 0, name: 'untagged', mtu: 1500 }] })
  })
})

describe('subnets', () => {
  it('are added in canonical spelling, and everybody is told', async () => {
    await rack('rack-1', '10.0.0.2/24')
    const { status, body } = await plan.call('POST', '/subnets', { vlanId: '1', cidr: '2001:0DB8::/64', gateway: '2001:db8:0::1', dnsServers: ['::FFFF:10.0.0.1'], name: 'six' })
    expect(status).toBe(201)
    expect(body).toEqual({ id: body.id, vlanId: '1', name: 'six', cidr: '2001:db8::/64', family: 6, gateway: '2001:db8::1', dnsServers: ['::ffff:10.0.0.1'], ranges: [] })
    expect((await plan.call('GET', `/subnets/${body.id}`)).body).toEqual(body)
    expect(await plan.changes()).toEqual([`network.subnet ${body.id}`])
    const four = await plan.subnet('10.0.0.0/24')
    expect((await plan.call('GET', `/subnets/${four}`)).body).toMatchObject({ name: '10.0.0.0/24', gateway: null, dnsServers: [] })
    expect(await plan.changes()).toEqual([`network.subnet ${four}`, 'network.attachment rack-1'])
  })

  it('are refused when they cannot be', async () => {
    await plan.subnet('10.0.0.0/24', { name: 'office' })
    await plan.subnet('2001:db8::/64')
    const post = (body: object, sentence: string) => refused('POST', '/subnets', { vlanId: '1', ...body }, sentence)
    await post({ cidr: '10.0.0.128/25' }, 'Subnet 10.0.0.128/25 overlaps subnet "office" (10.0.0.0/24).')
    await post({ cidr: '10.0.0.0/8' }, 'Subnet 10.0.0.0/8 overlaps subnet "office" (10.0.0.0/24).')
    await post({ cidr: '10.0.0.0/24' }, 'Subnet 10.0.0.0/24 overlaps subnet "office" (10.0.0.0/24).')
    await post({ cidr: '2001:db8::/32' }, 'Subnet 2001:db8::/32 overlaps subnet 2001:db8::/64.')
    await post({ cidr: '10.1.0.1/24' }, '"10.1.0.1/24" has host bits set; the subnet that holds this address is 10.1.0.0/24.')
    await post({ cidr: '10.1.0.0/24', gateway: '10.2.0.1' }, 'Gateway 10.2.0.1 is not in subnet 10.1.0.0/24.')
    await post({ cidr: '10.1.0.0/24', gateway: 'fe80::1' }, 'Gateway fe80::1 is not in subnet 10.1.0.0/24.')
    await post({ cidr: '10.1.0.0/24', gateway: '10.1.0.0' }, 'Gateway 10.1.0.0 is the network address of subnet 10.1.0.0/24.')
    await post({ cidr: '10.1.0.0/24', gateway: '10.1.0.255' }, 'Gateway 10.1.0.255 is the broadcast address of subnet 10.1.0.0/24.')
    await post({ cidr: '10.1.0.0/24', gateway: 'here' }, '"here" is not an IP address.')
    await post({ cidr: '10.1.0.0/24', dnsServers: ['8.8.8'] }, '"8.8.8" is not an IP address.')
    expect((await plan.call('POST', '/subnets', { vlanId: '99', cidr: '10.1.0.0/24' })).body).toMatchObject({ code: 'NOT_FOUND', detail: 'There is no VLAN 99.' })
    for (const body of [{}, { vlanId: 'x', cidr: '10.1.0.0/24' }, { vlanId: '1', cidr: 7 }, { vlanId: '1', cidr: '10.1.0.0/24', gatway: '10.1.0.1' }]) expect((await plan.call('POST', '/subnets', body)).body).toMatchObject({ code: 'INVALID_REQUEST' })
  })

  it('cannot be added twice at the same moment', async () => {
    const answers = await Promise.all(['10.0.0.0/24', '10.0.0.0/25', '10.0.0.64/26', '10.0.0.0/23', '10.0.0.0/24'].map(cidr => plan.call('POST', '/subnets', { vlanId: '1', cidr })))
    const held = (await plan.call('GET', '/subnets')).body.items.map(({ cidr }: { cidr: string }) => cidr)
    expect(answers.filter(({ status }) => status === 201).map(({ body }) => body.cidr).sort()).toEqual(held.sort())
    for (const { status, body } of answers) if (status !== 201) expect(body).toMatchObject({ code: 'NETWORK_INVALID', detail: expect.stringContaining('overlaps') })
  })

  it('overlap in the database neither, should the check ever be passed by', async () => {
    await plan.subnet('10.0.0.0/24')
    await expect(plan.db.query(`insert into network.subnet (vlan_id, name, cidr) values (1, 'x', '10.0.0.128/25')`)).rejects.toThrow(/subnet_overlap/)
    const id = await plan.subnet('10.0.1.0/24')
    await plan.range(id, '10.0.1.10', '10.0.1.20')
    await expect(plan.db.query(`insert into network.range (subnet_id, kind, low, high) values (${id}, 'dynamic', '10.0.1.20', '10.0.1.30')`)).rejects.toThrow(/range_overlap/)
  })

  it('change, as long as what is in them still fits', async () => {
    const id = await plan.subnet('10.0.0.0/24', { gateway: '10.0.0.1', name: 'office' })
    await plan.range(id, '10.0.0.100', '10.0.0.120')
    await give(id, '10.0.0.5')
    const patch = (body: object, sentence: string) => refused('PATCH', `/subnets/${id}`, body, sentence)
    await patch({ gateway: '10.0.0.110' }, 'Gateway 10.0.0.110 lies in the dynamic range 10.0.0.100 to 10.0.0.120 of subnet 10.0.0.0/24.')
    await patch({ gateway: '10.0.0.5' }, 'Gateway 10.0.0.5 is in use: given to m1 (auto).')
    await patch({ cidr: '10.0.0.0/26' }, 'Subnet 10.0.0.0/26 would leave out the dynamic range 10.0.0.100 to 10.0.0.120. Delete the range first.')
    await patch({ cidr: '10.9.0.0/24', gateway: null }, 'Subnet 10.9.0.0/24 would leave out the dynamic range 10.0.0.100 to 10.0.0.120. Delete the range first.')
    await patch({ cidr: '10.0.0.64/26', gateway: null }, 'Subnet 10.0.0.64/26 would leave out 10.0.0.5, which is in use: given to m1 (auto). Release it first.')
    await patch({ cidr: '10.0.0.0/16', gateway: '10.1.0.1' }, 'Gateway 10.1.0.1 is not in subnet 10.0.0.0/16.')
    const { status, body } = await plan.call('PATCH', `/subnets/${id}`, { cidr: '10.0.0.0/16', name: 'campus', gateway: '10.0.255.1' })
    expect([status, body.cidr, body.name, body.gateway, body.ranges.length]).toEqual([200, '10.0.0.0/16', 'campus', '10.0.255.1', 1])
    expect(await plan.changes()).toEqual([`network.subnet ${id}`])
  })

  it('refuse a change by somebody who read an older state', async () => {
    const id = await plan.subnet('10.0.0.0/24')
    const { headers } = await plan.call('GET', `/subnets/${id}`)
    const etag = String(headers.etag)
    expect((await plan.call('PATCH', `/subnets/${id}`, { name: 'one' }, { 'if-match': etag })).status).toBe(200)
    expect(await plan.call('PATCH', `/subnets/${id}`, { name: 'two' }, { 'if-match': etag })).toMatchObject({ status: 412, body: { code: 'PRECONDITION_FAILED' } })
    expect((await plan.call('GET', `/subnets/${id}`)).body.name).toBe('one')
  })

  it('are deleted with their ranges, but not while an address is in use', async () => {
    const id = await plan.subnet('10.0.0.0/24')
    await plan.range(id, '10.0.0.100', '10.0.0.120')
    await give(id, '10.0.0.5', 'web')
    await refused('DELETE', `/subnets/${id}`, undefined, 'Subnet 10.0.0.0/24 has address 10.0.0.5 in use (web). Release it first.')
    await give(id, '10.0.0.6', 'db')
    await refused('DELETE', `/subnets/${id}`, undefined, 'Subnet 10.0.0.0/24 has 2 addresses in use, the first is 10.0.0.5 (web). Release them first.')
    await plan.db.query('delete from network.address')
    expect((await plan.call('DELETE', `/subnets/${id}`)).status).toBe(204)
    expect((await plan.call('GET', '/ranges')).body.items).toEqual([])
    expect((await plan.call('DELETE', `/subnets/${id}`)).body).toMatchObject({ code: 'NOT_FOUND', detail: `There is no subnet ${id}.` })
  })

  it('come in pages, each of a VLAN if asked', async () => {
    const vlan = (await plan.call('POST', '/vlans', { fabricId: '1', vid: 7, name: 'seven' })).body.id
    for (let index = 0; index < 5; index++) await plan.subnet(`10.0.${index}.0/24`, index === 4 ? { vlanId: vlan } : {})
    const seen: string[] = []
    for (let after = ''; ;) {
      const { body } = await plan.call('GET', `/subnets?limit=2${after}`)
      seen.push(...body.items.map(({ cidr }: { cidr: string }) => cidr))
      if (body.next === undefined) break
      after = `&after=${body.next}`
    }
    expect(seen).toEqual(['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24', '10.0.3.0/24', '10.0.4.0/24'])
    expect((await plan.call('GET', `/subnets?vlanId=${vlan}`)).body.items.map(({ cidr }: { cidr: string }) => cidr)).toEqual(['10.0.4.0/24'])
    expect((await plan.call('GET', '/subnets?limit=0')).body).toMatchObject({ code: 'INVALID_REQUEST' })
  })
})

describe('ranges', () => {
  it('are refused when they do not fit', async () => {
    const id = await plan.subnet('10.0.0.0/24', { gateway: '10.0.0.1', name: 'office' })
    await rack('rack-1', '10.0.0.2/24')
    await plan.range(id, '10.0.0.100', '10.0.0.120')
    await give(id, '10.0.0.50', 'web')
    const post = (start: string, end: string, sentence: string, kind = 'dynamic') => refused('POST', '/ranges', { subnetId: id, kind, start, end }, sentence)
    await post('10.0.1.1', '10.0.1.9', 'Range start 10.0.1.1 is outside subnet "office" (10.0.0.0/24).')
    await post('10.0.0.200', '10.0.1.9', 'Range end 10.0.1.9 is outside subnet "office" (10.0.0.0/24).')
    await post('fe80::1', '10.0.0.9', 'Range start fe80::1 is outside subnet "office" (10.0.0.0/24).')
    await post('10.0.0.9', '10.0.0.8', 'Range start 10.0.0.9 comes after range end 10.0.0.8.')
    await post('10.0.0.0', '10.0.0.9', 'Range start 10.0.0.0 is the network address of subnet "office" (10.0.0.0/24); the first usable one is 10.0.0.1.')
    await post('10.0.0.200', '10.0.0.255', 'Range end 10.0.0.255 is the broadcast address of subnet "office" (10.0.0.0/24); the last usable one is 10.0.0.254.')
    await post('10.0.0.120', '10.0.0.130', 'The dynamic range 10.0.0.120 to 10.0.0.130 overlaps the dynamic range 10.0.0.100 to 10.0.0.120 of subnet "office" (10.0.0.0/24).')
    await post('10.0.0.90', '10.0.0.130', 'The reserved range 10.0.0.90 to 10.0.0.130 overlaps the dynamic range 10.0.0.100 to 10.0.0.120 of subnet "office" (10.0.0.0/24).', 'reserved')
    await post('10.0.0.1', '10.0.0.9', 'The dynamic range 10.0.0.1 to 10.0.0.9 would swallow 10.0.0.1, the gateway of subnet "office" (10.0.0.0/24).')
    await post('10.0.0.2', '10.0.0.9', 'The dynamic range 10.0.0.2 to 10.0.0.9 would swallow 10.0.0.2, which is in use: interface eth0 of controller rack-1.')
    await post('10.0.0.40', '10.0.0.60', 'The dynamic range 10.0.0.40 to 10.0.0.60 would swallow 10.0.0.50, which is in use: given to web (auto).')
    await post('10.0.0.40', '10.0.0.60', 'The reserved range 10.0.0.40 to 10.0.0.60 would swallow 10.0.0.50, which is in use: given to web (auto).', 'reserved')
    await post('x', '10.0.0.60', '"x" is not an IP address.')
    expect((await plan.range('99', '10.0.0.3', '10.0.0.4')).body).toMatchObject({ code: 'NOT_FOUND' })
    expect((await plan.range(id, '10.0.0.3', '10.0.0.4', 'static')).body).toMatchObject({ code: 'INVALID_REQUEST', detail: 'The request is not valid: body.kind must be one of dynamic, reserved.' })
    expect((await plan.range(id, '10.0.0.1', '10.0.0.9', 'reserved')).status).toBe(201) // gateway and racks may be set aside
  })

  it('refuse the anycast address of an IPv6 subnet, and take the rest of it', async () => {
    const id = await plan.subnet('2001:db8::/120')
    await refused('POST', '/ranges', { subnetId: id, kind: 'dynamic', start: '2001:db8::', end: '2001:db8::9' }, 'Range start 2001:db8:: is the subnet-router anycast address of subnet 2001:db8::/120; the first usable one is 2001:db8::1.')
    expect((await plan.range(id, '2001:DB8::1', '2001:db8::ff')).body).toMatchObject({ start: '2001:db8::1', end: '2001:db8::ff' })
  })

  it('change and go, and their subnet tells of it', async () => {
    const id = await plan.subnet('10.0.0.0/24')
    const { body: range } = await plan.range(id, '10.0.0.100', '10.0.0.120')
    await plan.range(id, '10.0.0.150', '10.0.0.160')
    await plan.changes()
    await refused('PATCH', `/ranges/${range.id}`, { end: '10.0.0.155' }, 'The dynamic range 10.0.0.100 to 10.0.0.155 overlaps the dynamic range 10.0.0.150 to 10.0.0.160 of subnet 10.0.0.0/24.')
    expect((await plan.call('PATCH', `/ranges/${range.id}`, { end: '10.0.0.110', comment: 'fewer' })).body).toEqual({ ...range, end: '10.0.0.110', comment: 'fewer' })
    expect((await plan.call('GET', `/ranges/${range.id}`)).body).toEqual({ ...range, end: '10.0.0.110', comment: 'fewer' })
    expect((await plan.call('GET', `/ranges?subnetId=${id}`)).body.items).toHaveLength(2)
    expect((await plan.call('DELETE', `/ranges/${range.id}`)).status).toBe(204)
    expect(await plan.changes()).toEqual([`network.subnet ${id}`, `network.subnet ${id}`])
    expect((await plan.call('DELETE', `/ranges/${range.id}`)).body).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('wait for an allocation that is about to commit, and then see it', async () => {
    const id = await plan.subnet('10.0.0.0/24')
    let posting: ReturnType<Plan['range']> | undefined
    let answered = false
    await plan.db.tx(async tx => {
      await allocate(tx, { subnetId: id, kind: 'auto', owner: 'm1', address: '10.0.0.50' })
      posting ??= plan.range(id, '10.0.0.40', '10.0.0.60').finally(() => { answered = true })
      await until(async () => answered || (await plan.db.query(`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).length > 0)
    })
    expect(await posting).toMatchObject({ status: 422, body: { detail: expect.stringContaining('would swallow 10.0.0.50') } })
  })

  it('and allocations at the same moment never meet', async () => {
    for (let round = 0; round < 5; round++) {
      const id = await plan.subnet(`10.1.${round}.0/28`)
      const [range, ...given] = await Promise.all([plan.range(id, `10.1.${round}.3`, `10.1.${round}.6`), ...Array.from({ length: 5 }, () => plan.call('POST', '/addresses', { subnetId: id }))])
      const taken = given.map(({ body }) => Number(body.address.split('.')[3]))
      expect(new Set(taken).size).toBe(5)
      if (range.status === 201) expect(taken.filter(last => last >= 3 && last <= 6)).toEqual([])
      else expect(range.body).toMatchObject({ code: 'NETWORK_INVALID', detail: expect.stringContaining('would swallow') })
    }
  })
})

describe('fabrics and VLANs', () => {
  it('are made, renamed and deleted', async () => {
    const { body: fabric } = await plan.call('POST', '/fabrics', { name: 'lab' })
    const { body: vlans } = await plan.call('GET', `/vlans?fabricId=${fabric.id}`)
    expect(vlans.items).toMatchObject([{ vid: 0, name: 'untagged', fabricId: fabric.id }])
    expect((await plan.call('PATCH', `/fabrics/${fabric.id}`, { name: 'hall' })).body).toEqual({ id: fabric.id, name: 'hall' })
    const { body: vlan } = await plan.call('POST', '/vlans', { fabricId: fabric.id, vid: 12, name: 'storage', mtu: 9000 })
    expect((await plan.call('PATCH', `/vlans/${vlan.id}`, { mtu: 1500 })).body).toEqual({ ...vlan, mtu: 1500 })
    expect(await plan.changes()).toEqual([`network.vlan ${vlans.items[0].id}`, `network.vlan ${vlan.id}`, `network.vlan ${vlan.id}`])
    expect((await plan.call('DELETE', `/vlans/${vlan.id}`)).status).toBe(204)
    expect((await plan.call('DELETE', `/fabrics/${fabric.id}`)).status).toBe(204)
    expect((await plan.call('GET', `/vlans/${vlans.items[0].id}`)).body).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('refuse what would not be unique, and what would leave subnets behind', async () => {
    const { body: fabric } = await plan.call('POST', '/fabrics', { name: 'lab' })
    const { body: vlan } = await plan.call('POST', '/vlans', { fabricId: fabric.id, vid: 12, name: 'storage' })
    const untagged = (await plan.call('GET', `/vlans?fabricId=${fabric.id}`)).body.items[0].id
    await plan.subnet('10.0.0.0/24', { vlanId: vlan.id })
    await refused('POST', '/fabrics', { name: 'lab' }, 'There is a fabric "lab" already.')
    await refused('PATCH', `/fabrics/${fabric.id}`, { name: 'fabric-0' }, 'There is a fabric "fabric-0" already.')
    await refused('POST', '/vlans', { fabricId: fabric.id, vid: 12, name: 'x' }, 'Fabric "lab" has VLAN 12 already, named "storage".')
    await refused('PATCH', `/vlans/${vlan.id}`, { vid: 0 }, 'Fabric "lab" has VLAN 0 already, named "untagged".')
    await refused('PATCH', `/vlans/${untagged}`, { vid: 5 }, 'VLAN "untagged" is the untagged VLAN of its fabric and stays that.')
    await refused('DELETE', `/vlans/${untagged}`, undefined, 'VLAN "untagged" is the untagged VLAN of its fabric; delete the fabric instead.')
    await refused('DELETE', `/vlans/${vlan.id}`, undefined, 'VLAN 12 "storage" still has subnet 10.0.0.0/24. Delete or move the subnet first.')
    await refused('DELETE', `/fabrics/${fabric.id}`, undefined, 'Fabric "lab" still has subnet 10.0.0.0/24 on VLAN 12. Delete or move the subnet first.')
    for (const vid of [-1, 4095, 1.5, '7']) expect((await plan.call('POST', '/vlans', { fabricId: '1', vid, name: 'x' })).body).toMatchObject({ code: 'INVALID_REQUEST' })
  })
})

describe('addresses', () => {
  it('are set aside, named, listed and taken back', async () => {
    const id = await plan.subnet('10.0.0.0/24')
    const { status, body } = await plan.call('POST', '/addresses', { subnetId: id, mac: '52-54-00-AB-CD-EF', hostname: 'printer' })
    expect([status, body]).toEqual([201, { address: '10.0.0.1', subnetId: id, kind: 'reserved', mac: '52:54:00:ab:cd:ef', owner: null, hostname: 'printer' }])
    expect((await plan.call('PATCH', '/addresses/10.0.0.1', { hostname: 'scanner' })).body.hostname).toBe('scanner')
    await give(id, '10.0.0.9')
    expect((await plan.call('GET', '/addresses?mac=5254.00ab.cdef')).body.items.map(({ address }: { address: string }) => address)).toEqual(['10.0.0.1'])
    expect((await plan.call('GET', '/addresses?owner=m1')).body.items).toMatchObject([{ address: '10.0.0.9', kind: 'auto' }])
    const first = await plan.call('GET', `/addresses?subnetId=${id}&limit=1`)
    expect((await plan.call('GET', `/addresses?subnetId=${id}&limit=1&after=${first.body.next}`)).body).toEqual({ items: [expect.objectContaining({ address: '10.0.0.9' })] })
    await refused('DELETE', '/addresses/10.0.0.9', undefined, 'Address 10.0.0.9 is given to m1 for its deployment; release the machine instead.')
    expect((await plan.call('DELETE', '/addresses/10.0.0.1')).status).toBe(204)
    expect((await plan.call('GET', '/addresses/10.0.0.1')).body).toMatchObject({ code: 'NOT_FOUND', detail: 'There is no address 10.0.0.1.' })
    for (const hostname of ['-x', 'a b', 'x.', '']) expect((await plan.call('POST', '/addresses', { subnetId: id, hostname })).status).toBe(400)
  })
})

describe('attachments', () => {
  it('follow the subnets and what racks report', async () => {
    await rack('rack-1', '10.0.0.2/24', '192.168.7.4/22')
    const hint = (address: string, cidr: string) => ({ rack: 'rack-1', interface: 'eth0', mac: '52:54:00:00:00:01', address, cidr, hint: `No subnet holds ${address}. To use this interface, add its subnet: bedplate subnet create ${cidr}` })
    expect((await plan.call('GET', '/attachments')).body).toEqual({ items: [], unattached: [hint('10.0.0.2', '10.0.0.0/24'), hint('192.168.7.4', '192.168.4.0/22')] })
    const id = await plan.subnet('10.0.0.0/24')
    const attached = { rack: 'rack-1', interface: 'eth0', mac: '52:54:00:00:00:01', address: '10.0.0.2', vlanId: '1', subnetId: id }
    expect((await plan.call('GET', '/attachments?rack=rack-1&vlanId=1')).body).toEqual({ items: [attached], unattached: [hint('192.168.7.4', '192.168.4.0/22')] })
    expect((await plan.call('GET', '/attachments?rack=rack-2')).body).toEqual({ items: [], unattached: [] })
    await rack('rack-1', '10.0.0.3/24')
    expect((await plan.call('GET', '/attachments')).body).toEqual({ items: [{ ...attached, address: '10.0.0.3' }], unattached: [] })
  })
})
