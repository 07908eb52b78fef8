/** IPv6 on a region, over a real PostgreSQL: what racks are told, who may have an address, and what the API takes. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openRegion } from '../region.kit.ts'
import type { Region } from '../region.kit.ts'

let region: Region
let six: string
const [one, two] = ['00030001020000000001/00000001', '00030001020000000002/00000001']
const vlan = (body: object) => region.call('PUT', '/dhcp/vlans/1', { enabled: true, ...body })
const entry = async (rack: string) => (await region.wanted(rack)).find(({ kind }) => kind === 'segment6')

beforeAll(async () => {
  region = await openRegion()
  await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.199'])
  six = await region.subnet('2001:db8:1::/64', ['2001:db8:1::1:0', '2001:db8:1::1:ffff'], { gateway: '2001:db8:1::1', dnsServers: ['2001:db8:1::53', '10.0.0.53'] })
  await region.attach('rack-a', { eth1: ['10.0.0.2/24', '2001:db8:1::2/64'] })
  await region.attach('rack-b', { eth0: ['10.0.0.3/24'] })
})
afterAll(async () => { await region.close() })
beforeEach(async () => {
  await region.db.query('delete from dhcp.address')
  await region.changes()
})

describe('what racks are told', () => {
  it('nothing of IPv6 where it is off', async () => {
    await vlan({})
    expect(await entry('rack-a')).toBeUndefined()
    await vlan({ v6: 'stateful' })
    expect(await entry('rack-a')).toBeDefined()
    await vlan({ v6: 'off' })
    expect(await entry('rack-a')).toBeUndefined()
  })

  it('the subnets and ranges, what nobody may be given, and who the server is: the same on every rack', async () => {
    expect((await vlan({ v6: 'stateful' })).status).toBe(200)
    expect((await region.call('PATCH', `/dhcp/subnets/${six}`, { leaseSeconds: 1234, search: ['example.org'], ntp: ['10.0.0.1', '2001:db8:1::123'] })).status).toBeLessThan(500)
    const [a, b] = [await entry('rack-a'), await entry('rack-b')]
    expect(a).toMatchObject({
      kind: 'segment6', id: '1',
      value: {
        interface: 'eth1', address: '2001:db8:1::2', rank: 0, mode: 'stateful',
        subnets: [{ id: six, cidr: '2001:db8:1::/64', dnsServers: ['2001:db8:1::53'], dynamic: [{ start: '2001:db8:1::1:0', end: '2001:db8:1::1:ffff' }], taken: ['2001:db8:1::1', '2001:db8:1::53', '2001:db8:1::2'] }]
      }
    })
    expect(b).toMatchObject({ value: { interface: 'eth0', address: null, rank: 1 } })
    const server = (found: typeof a) => found?.kind === 'segment6' ? found.value.server : undefined
    expect(server(a)).toMatch(/^[0-9a-f-]{36}$/)
    expect(server(b)).toBe(server(a))
  })

  it('options alone where addresses are not given: no ranges, no hosts, no bindings', async () => {
    await vlan({ v6: 'stateless' })
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: six, kind: 'sticky', mac: '02:00:00:00:00:09' }))
    await region.bind('rack-a', { address: '2001:db8:1::1:5', subnet: six, client: one })
    const entries = await region.wanted('rack-a')
    expect(entries.find(({ kind }) => kind === 'segment6')).toMatchObject({ value: { mode: 'stateless', subnets: [{ dynamic: [] }] } })
    expect(entries.filter(({ id, kind }) => id.includes(':') && (kind === 'host' || kind === 'binding'))).toEqual([])
  })

  it('whom addresses are set aside for: a MAC, a DUID, or nobody', async () => {
    await vlan({ v6: 'stateful' })
    await region.changes()
    const sticky = await region.db.tx(tx => region.network.allocate(tx, { subnetId: six, kind: 'sticky', mac: '02:00:00:00:00:01', hostname: 'sure-fox' }))
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: six, kind: 'reserved', owner: 'somebody', address: '2001:db8:1::99' }))
    expect((await region.call('PUT', '/dhcp/fixed/2001:db8:1:0::77', { clientId: '0003000102000000000a' })).status).toBe(200)
    const keys = await region.running.touches!(await region.changes())
    const hosts = (await region.wanted('rack-b', keys)).flatMap(entry => entry.kind === 'host' ? [[entry.id, entry.value.client, entry.value.hostname]] : [])
    expect(hosts.sort()).toEqual([[sticky.address, '02:00:00:00:00:01', 'sure-fox'], ['2001:db8:1::77', 'id:0003000102000000000a', null], ['2001:db8:1::99', 'nobody', null]].sort())
    expect((await region.call('GET', '/dhcp/fixed/2001:DB8:1::77')).body).toMatchObject({ clientId: '0003000102000000000a' })
  })

  it('one entry for one lease, to every rack', async () => {
    await vlan({ v6: 'stateful' })
    await region.wanted('rack-b')
    await region.changes()
    await region.bind('rack-a', { address: '2001:db8:1::1:5', subnet: six, client: one, clientId: one })
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toEqual(expect.arrayContaining([{ kind: 'binding', id: '2001:db8:1::1:5' }]))
    expect(keys.some(({ kind }) => kind === 'segment6' || kind === 'segment')).toBe(false)
    expect(await region.wanted('rack-b', keys)).toEqual([{ kind: 'binding', id: '2001:db8:1::1:5', value: { subnet: six, client: one, clientId: one, expires: expect.any(String), number: expect.any(String) } }])
  })
})

describe('who may have an address', () => {
  beforeEach(async () => { await vlan({ v6: 'stateful' }); await region.wanted('rack-a'); await region.wanted('rack-b') })
  const wish = (client: string, rack = 'rack-a', address = '2001:db8:1::1:5') => region.bind(rack, { address, subnet: six, client, clientId: client })

  it('the first who asks; the same client again, over any rack; nobody else', async () => {
    expect(await wish(one)).toMatchObject([{ stored: true }])
    expect(await wish(one, 'rack-b')).toMatchObject([{ stored: true }])
    expect(await wish(two, 'rack-b')).toMatchObject([{ stored: false, quiet: false }])
  })
  it('of two in one batch the first', async () => {
    expect(await region.bind('rack-a', { address: '2001:db8:1::1:5', subnet: six, client: one }, { address: '2001:db8:1::1:5', subnet: six, client: two })).toMatchObject([{ stored: true }, { stored: false }])
  })
  it('somebody else after it lapsed and rested, once every rack that was told has forgotten', async () => {
    await wish(one)
    await region.db.query(`update dhcp.address set expires = now() - interval '5 seconds'`)
    expect(await wish(two)).toMatchObject([{ stored: false }])
    expect((await region.wanted('rack-a')).filter(({ kind }) => kind === 'retiring')).toEqual([])
    await region.db.query(`update dhcp.address set expires = now() - interval '11 seconds'`)
    expect(await wish(two)).toMatchObject([{ stored: false }])
    for (const rack of ['rack-a', 'rack-b']) {
      const entries = await region.wanted(rack)
      expect(entries.filter(({ kind, id }) => kind === 'binding' && id === '2001:db8:1::1:5')).toEqual([])
      const [retiring] = entries.flatMap(entry => entry.kind === 'retiring' ? [{ address: entry.id, round: entry.value.round }] : [])
      expect(retiring?.address).toBe('2001:db8:1::1:5')
      expect(await wish(two)).toMatchObject([{ stored: false }])
      await region.sync(rack, { forgotten: retiring === undefined ? [] : [retiring] })
    }
    expect(await wish(two)).toMatchObject([{ stored: true }])
    expect(await wish(one)).toMatchObject([{ stored: false }])
  })
  it('nobody while it is in quarantine', async () => {
    const [answer] = await wish(one)
    await region.fact('rack-a', 'declined', { address: '2001:db8:1::1:5', subnet: six, client: one, number: answer?.number ?? null })
    expect(await wish(one)).toMatchObject([{ stored: false }])
    expect(await wish(two)).toMatchObject([{ stored: false }])
  })
  it('its client again after a release; the word about an older binding ends nothing', async () => {
    const [before] = await wish(one)
    const [after] = await wish(one)
    await region.fact('rack-a', 'released', { address: '2001:db8:1::1:5', subnet: six, client: one, number: before?.number ?? null })
    expect((await region.call('GET', '/dhcp/bindings?address=2001:db8:1::1:5')).body.items).toHaveLength(1)
    await region.fact('rack-a', 'released', { address: '2001:db8:1::1:5', subnet: six, client: one, number: after?.number ?? null })
    expect((await region.call('GET', '/dhcp/bindings?address=2001:DB8:1:0::1:5')).body.items).toHaveLength(0)
    expect(await wish(one)).toMatchObject([{ stored: true }])
  })
  it('is forgotten a week after it lapsed, and its row goes once the racks have forgotten too', async () => {
    await wish(one)
    await wish(two, 'rack-a', '2001:db8:1::1:6')
    await region.db.query(`update dhcp.address set expires = now() - interval '6 days' where host(address) = '2001:db8:1::1:5'`)
    await region.db.query(`update dhcp.address set expires = now() - interval '8 days' where host(address) = '2001:db8:1::1:6'`)
    await region.keep()
    for (const rack of ['rack-a', 'rack-b']) await region.sync(rack, { forgotten: (await region.wanted(rack)).flatMap(entry => entry.kind === 'retiring' ? [{ address: entry.id, round: entry.value.round }] : []) })
    await region.keep()
    expect((await region.db.query<{ address: string }>('select host(address) as address from dhcp.address')).map(({ address }) => address)).toEqual(['2001:db8:1::1:5'])
  })
  it('no blocks are made of a subnet of IPv6, however large', async () => { expect(await region.grant('rack-a', six)).toEqual([]) })
})

describe('what is refused by name', () => {
  it('stateful without a range, and any of it without a subnet', async () => {
    const bare = await openRegion()
    try {
      await bare.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.199'])
      await bare.attach('rack-a', { eth1: ['10.0.0.2/24', '2001:db8:1::2/64'] })
      const put = (v6: string) => bare.call('PUT', '/dhcp/vlans/1', { enabled: true, v6 })
      expect((await put('stateless')).status).toBe(422)
      await bare.subnet('2001:db8:1::/64')
      expect((await put('stateful')).status).toBe(422)
      expect((await put('stateless')).status).toBe(200)
    } finally { await bare.close() }
  })
  it('a VLAN behind relays has the DHCPv6 of the one its relays send to, or none; its subnets are a link of their own', async () => {
    const { body: { id: far } } = await region.call('POST', '/network/vlans', { fabricId: '1', vid: 77, name: 'far' })
    const put = (v6: string) => region.call('PUT', `/dhcp/vlans/${far}`, { enabled: true, via: '1', mode: 'server', v6 })
    await region.subnet('10.7.0.0/24', ['10.7.0.100', '10.7.0.199'], { vlanId: far })
    expect((await vlan({ mode: 'server', v6: 'stateful' })).status).toBe(200)
    expect((await put('stateless')).status).toBe(422)
    expect((await put('stateful')).status).toBe(422) // no subnet yet
    const subnet = await region.subnet('2001:db8:7::/64', ['2001:db8:7::1:0', '2001:db8:7::1:ff'], { vlanId: far })
    expect((await put('stateful')).status).toBe(200)
    expect(await entry('rack-a')).toMatchObject({ value: { subnets: [{ id: six }, { id: subnet, link: far, dynamic: [{ start: '2001:db8:7::1:0' }] }] } })
    expect((await vlan({ v6: 'stateless' })).status).toBe(422)
    expect((await put('off')).status).toBe(200)
    expect(await entry('rack-a')).toMatchObject({ value: { subnets: [{ id: six }] } })
    expect((await region.call('PUT', `/dhcp/vlans/${far}`, { enabled: false, via: null, v6: 'off' })).status).toBe(200)
  })
  it('a VLAN may have IPv6 alone', async () => {
    expect((await vlan({ mode: 'off', v6: 'stateful', racks: ['rack-a'] })).status).toBe(200)
    expect(await entry('rack-a')).toMatchObject({ value: { rank: 0, address: '2001:db8:1::2' } })
    expect((await vlan({ mode: 'off', v6: 'stateful', racks: ['rack-b'] })).status).toBe(422)
  })
})
