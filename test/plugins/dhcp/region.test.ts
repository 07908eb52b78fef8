/** What the region stores, grants and tells, on a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.149'], { gateway: '10.0.0.1', dnsServers: ['10.0.0.53', '2001:db8::53'] })
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.attach('rack-b', { eth7: ['10.0.0.3/24'] })
})
afterAll(() => region.close())

const lapse = (address: string, seconds = 3600) => region.db.query(`update dhcp.address set expires = now() - $2 * interval '1 second' where address = $1::inet`, [address, seconds])
const vlan = (body: object, id = '1') => region.call('PUT', `/dhcp/vlans/${id}`, body)

describe('a VLAN is served', () => {
  it('by no rack at first', async () => {
    expect((await region.call('GET', '/dhcp/vlans')).body).toEqual({ items: [{ id: '1', enabled: false, mode: 'server', v6: 'off', via: null, racks: [], serving: [] }] })
    expect(await region.wanted('rack-a')).toEqual([])
  })
  it('not by a rack that has no interface there: it is refused by name, with those that have', async () => {
    const { status, body } = await vlan({ enabled: true, racks: ['rack-a', 'rack-x'] })
    expect({ status, code: body.code }).toEqual({ status: 422, code: 'NETWORK_INVALID' })
    expect(body.detail).toBe('Rack rack-x has no interface with an IPv4 address on VLAN untagged (1). Choose among: rack-a, rack-b.')
  })
  it('not without an IPv4 subnet with a dynamic range, and says so', async () => {
    const { body: fabric } = await region.call('POST', '/network/fabrics', { name: 'bare' })
    const other = (await region.network.vlans(region.db)).find(({ fabricId }) => fabricId === fabric.id)
    const { status, body } = await vlan({ enabled: true }, other?.id)
    expect({ status, code: body.code }).toEqual({ status: 422, code: 'NETWORK_INVALID' })
    expect(body.detail).toContain('needs an IPv4 subnet there with a dynamic range')
    await region.subnet('10.9.0.0/24', ['10.9.0.10', '10.9.0.20'], { vlanId: other?.id })
    expect((await vlan({ enabled: true }, other?.id)).body.detail).toContain('No rack has an interface')
  })
  it('not when there is no such VLAN', async () => {
    expect(await vlan({ enabled: true }, '999')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
  })
  it('by every attached rack when none is named, and by those named in their order', async () => {
    expect((await vlan({ enabled: true })).body).toEqual({ id: '1', enabled: true, mode: 'server', v6: 'off', via: null, racks: [], serving: ['rack-a', 'rack-b'] })
    expect((await vlan({ enabled: true, racks: ['rack-b', 'rack-a'] })).body).toMatchObject({ racks: ['rack-b', 'rack-a'], serving: ['rack-b', 'rack-a'] })
    expect(await region.changes()).toContainEqual(expect.objectContaining({ topic: 'dhcp.vlan', id: '1' }))
  })
  it('with the rack\'s own address, never one that floats', async () => {
    await region.attach('rack-a', { eth1: ['10.0.0.10/24', '10.0.0.1/32', '10.0.0.2/24', '10.0.0.3/32'] })
    expect((await region.wanted('rack-a')).find(({ kind }) => kind === 'segment')?.value).toMatchObject({ interface: 'eth1', address: '10.0.0.2' })
    await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
    await region.changes()
  })
})

describe('wanted state', () => {
  it('has the segment as each rack sees it', async () => {
    const segment = (await region.wanted('rack-a')).find(({ kind }) => kind === 'segment')
    expect(segment).toEqual({
      kind: 'segment', id: '1',
      value: {
        interface: 'eth1', address: '10.0.0.2', rank: 1, mtu: 1500, mode: 'server', v6: 'off', peers: ['10.0.0.3'],
        subnets: [{ id: subnet, cidr: '10.0.0.0/24', gateway: '10.0.0.1', dnsServers: ['10.0.0.53'], dynamic: [{ start: '10.0.0.100', end: '10.0.0.149' }], leaseSeconds: 600 }]
      }
    })
    expect((await region.wanted('rack-b')).find(({ kind }) => kind === 'segment')).toMatchObject({ value: { interface: 'eth7', address: '10.0.0.3', rank: 0 } })
    expect(await region.wanted('rack-x')).toEqual([])
  })
  it('has one entry for an address set aside, named by one change, and none once it is taken back', async () => {
    await region.changes()
    const { address } = await region.db.tx(tx => region.network.allocate(tx, { subnetId: subnet, kind: 'auto', mac: macOf(77), owner: 'm77', hostname: 'sure-fox' }))
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toEqual([{ kind: 'host', id: address }])
    expect(await region.wanted('rack-a', keys)).toEqual([{ kind: 'host', id: address, value: { subnet, client: macOf(77), hostname: 'sure-fox' } }])
    await region.db.tx(tx => region.network.release(tx, { address }))
    expect(await region.running.touches!(await region.changes())).toEqual([{ kind: 'host', id: address }])
    expect(await region.wanted('rack-a', keys)).toEqual([])
  })
  it('has one entry for a binding, named by one change', async () => {
    const [answer] = await region.bind('rack-b', { address: '10.0.0.140', client: macOf(1), subnet })
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toEqual([{ kind: 'binding', id: '10.0.0.140' }, { kind: 'retiring', id: '10.0.0.140' }])
    expect(await region.wanted('rack-a', keys)).toEqual([{ kind: 'binding', id: '10.0.0.140', value: { subnet, client: macOf(1), clientId: null, expires: answer?.expires, number: answer?.number } }])
  })
  it('has a block only for the rack that owns it', async () => {
    const addresses = await region.grant('rack-a', subnet)
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toEqual([{ kind: 'block', id: subnet }])
    expect(await region.wanted('rack-a', keys)).toEqual([{ kind: 'block', id: subnet, value: { addresses } }])
    expect(await region.wanted('rack-b', keys)).toEqual([])
  })
  it('leaves with the VLAN when that is turned off, everything named', async () => {
    await region.changes()
    await vlan({ enabled: false })
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toEqual(expect.arrayContaining([{ kind: 'segment', id: '1' }, { kind: 'block', id: subnet }, { kind: 'binding', id: '10.0.0.140' }]))
    expect(await region.wanted('rack-a', keys)).toEqual([])
    await vlan({ enabled: true })
  })
  it('is touched by a subnet, an attachment and a range that change, and by nothing of other plugins', async () => {
    const keys = (topic: string, id: string) => region.running.touches!([{ seq: '1', topic, id }])
    expect(await keys('network.subnet', subnet)).toContainEqual({ kind: 'segment', id: '1' })
    const segments = ['1', '2'].flatMap(id => [{ kind: 'segment', id }, { kind: 'segment6', id }])
    expect(await keys('network.attachment', 'rack-a')).toEqual(segments) // it serves what it served
    await region.attach('rack-b', { eth7: ['10.9.9.3/24'] })
    expect(await keys('network.attachment', 'rack-b')).toEqual(expect.arrayContaining([...segments, { kind: 'binding', id: '10.0.0.140' }]))
    expect(await keys('network.attachment', 'rack-b')).toEqual(segments) // once
    expect(await region.running.touches!(await region.changes())).toContainEqual({ kind: 'binding', id: '10.0.0.140' }) // and for whoever joins later
    await region.attach('rack-b', { eth7: ['10.0.0.3/24'] })
    expect(await keys('network.attachment', 'rack-b')).toContainEqual({ kind: 'binding', id: '10.0.0.140' })
    expect(await keys('machines.machine', '1')).toEqual([])
    expect(await keys('network.address', '2001:db8::1')).toEqual([{ kind: 'host', id: '2001:db8::1' }])
  })
})

describe('bind', () => {
  it('stores an address for one machine, renews it, and refuses it to another', async () => {
    const [first] = await region.bind('rack-a', { address: '10.0.0.141', client: macOf(2) })
    expect(first).toMatchObject({ stored: true, reason: null })
    expect((await region.bind('rack-b', { address: '10.0.0.141', client: macOf(2) }))[0]?.stored).toBe(true)
    expect(await region.bind('rack-b', { address: '10.0.0.141', client: macOf(3) })).toEqual([{ stored: false, expires: null, number: null, reason: 'this address belongs to somebody else', quiet: false }])
  })
  it('answers a batch in order, and of two wishes for one address takes the first', async () => {
    const answers = await region.bind('rack-a', { address: '10.0.0.144', client: macOf(4) }, { address: '10.0.0.141', client: macOf(4) }, { address: '10.0.0.144', client: macOf(5) }, { address: '10.0.0.143', client: macOf(6) })
    expect(answers.map(({ stored }) => stored)).toEqual([true, false, false, true])
  })
  it('takes an address out of the rack\'s own block, and not out of another rack\'s', async () => {
    const [address = ''] = await region.grant('rack-a', subnet)
    expect((await region.bind('rack-b', { address, client: macOf(7) }))[0]?.stored).toBe(false)
    expect((await region.bind('rack-a', { address, client: macOf(7) }))[0]?.stored).toBe(true)
    const block = (await region.wanted('rack-a')).find(({ kind }) => kind === 'block')
    expect(block?.value).not.toMatchObject({ addresses: expect.arrayContaining([address]) })
  })
  it('gives a lapsed address to another machine only after it has rested, and every rack that was told has forgotten whose it was', async () => {
    await region.bind('rack-a', { address: '10.0.0.145', client: macOf(8) })
    await lapse('10.0.0.145', 2)
    expect((await region.bind('rack-a', { address: '10.0.0.145', client: macOf(9) }))[0]?.stored).toBe(false)
    await lapse('10.0.0.145', 60)
    const key = [{ kind: 'retiring', id: '10.0.0.145' }, { kind: 'binding', id: '10.0.0.145' }] as const
    expect((await region.bind('rack-a', { address: '10.0.0.145', client: macOf(9) }))[0]).toMatchObject({ stored: false, quiet: false })
    for (const rack of ['rack-a', 'rack-b']) {
      expect((await region.bind(rack, { address: '10.0.0.145', client: macOf(9) }))[0]?.stored).toBe(false)
      const [entry] = await region.wanted(rack, key)
      if (entry?.kind !== 'retiring') throw new TypeError('it is not asked to forget')
      await region.sync(rack, { forgotten: [{ address: entry.id, round: entry.value.round }] })
      expect(await region.wanted(rack, key)).toEqual([])
    }
    expect((await region.bind('rack-a', { address: '10.0.0.145', client: macOf(9) }))[0]?.stored).toBe(true)
  })
})

describe('facts', () => {
  it('a release ends the binding, keeps whose it was, and comes too late for one made since', async () => {
    const [before] = await region.bind('rack-a', { address: '10.0.0.146', client: macOf(10) })
    const [since] = await region.bind('rack-a', { address: '10.0.0.146', client: macOf(10) })
    const body = { address: '10.0.0.146', subnet, client: macOf(10), number: since?.number ?? null }
    await region.fact('rack-a', 'released', { ...body, number: before?.number ?? null })
    expect((await region.call('GET', '/dhcp/bindings?address=10.0.0.146')).body.items).toHaveLength(1)
    await region.fact('rack-a', 'released', { ...body, client: macOf(11) })
    expect((await region.call('GET', '/dhcp/bindings?address=10.0.0.146')).body.items).toHaveLength(1)
    await region.changes()
    await region.fact('rack-a', 'released', body)
    expect((await region.changes()).map(({ topic, id }) => `${topic} ${id}`)).toEqual(['dhcp.binding 10.0.0.146'])
    expect((await region.call('GET', '/dhcp/bindings?address=10.0.0.146')).body.items).toEqual([])
    expect(await region.wanted('rack-a', [{ kind: 'binding', id: '10.0.0.146' }])).toMatchObject([{ value: { client: macOf(10) } }])
  })
  it('a declined address is given to nobody, not even to its machine, until its time is up; told twice is told once', async () => {
    await region.bind('rack-a', { address: '10.0.0.147', client: macOf(12) })
    for (let time = 0; time < 2; time++) await region.fact('rack-a', 'declined', { address: '10.0.0.147', subnet, client: macOf(12) })
    for (const client of [macOf(12), macOf(13)]) expect((await region.bind('rack-a', { address: '10.0.0.147', client }))[0]?.stored).toBe(false)
    expect(await region.wanted('rack-a', [{ kind: 'binding', id: '10.0.0.147' }])).toEqual([])
    await region.db.query(`update dhcp.address set quarantined_until = now() where address = '10.0.0.147'`)
    expect((await region.bind('rack-a', { address: '10.0.0.147', client: macOf(13) }))[0]?.stored).toBe(false) // racks may still act for the first one
    for (const rack of ['rack-a', 'rack-b']) {
      const [entry] = await region.wanted(rack, [{ kind: 'retiring', id: '10.0.0.147' }])
      if (entry?.kind === 'retiring') await region.sync(rack, { forgotten: [{ address: entry.id, round: entry.value.round }] })
    }
    expect((await region.bind('rack-a', { address: '10.0.0.147', client: macOf(13) }))[0]?.stored).toBe(true)
  })
})

describe('bindings in the API', () => {
  it('come in pages, by address, and are found by subnet, MAC in any form, and address', async () => {
    await region.bind('rack-a', ...Array.from({ length: 5 }, (_, index) => ({ address: `10.0.7.${9 + index}`, client: macOf(500 + index), subnet: 'far' })))
    const pages: string[][] = []
    for (let after = ''; ;) {
      const { body } = await region.call('GET', `/dhcp/bindings?subnet=far&limit=2${after}`)
      pages.push(body.items.map(({ address }: { address: string }) => address))
      if (body.next === null) break
      after = `&after=${body.next}`
    }
    expect(pages).toEqual([['10.0.7.9', '10.0.7.10'], ['10.0.7.11', '10.0.7.12'], ['10.0.7.13']])
    const { body } = await region.call('GET', '/dhcp/bindings?mac=02-00-00-00-01-F5')
    expect(body.items).toMatchObject([{ address: '10.0.7.10', subnet: 'far', mac: macOf(501), hostname: null, clientId: null }])
  })
  it('refuse what is no MAC or address with 400', async () => {
    for (const query of ['mac=zz', 'address=1.2.3', 'after=x', 'limit=0', 'limit=1001']) expect((await region.call('GET', `/dhcp/bindings?${query}`)).status).toBe(400)
  })
  it('are forgotten on request, once', async () => {
    expect((await region.call('DELETE', '/dhcp/bindings/10.0.7.9')).status).toBe(204)
    expect(await region.call('DELETE', '/dhcp/bindings/10.0.7.9')).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
  })
})
