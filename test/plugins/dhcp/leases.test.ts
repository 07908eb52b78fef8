/** What is seen of leases: found by what one knows of them, taken back by the operator, who had an address when, and what other plugins are told. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Leases } from '../../../plugins/dhcp/manifest.ts'
import { pruneHistory } from '../../../plugins/dhcp/store/leases.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.199'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
})
afterAll(() => region.close())

const get = async (path: string) => (await region.call('GET', `/dhcp${path}`)).body
const found = async (query: string) => (await get(`/leases?${query}`)).items.map(({ address, state }: { address: string, state: string }) => `${address} ${state}`)
/** Moves everything about an address into the past, as time would: without a trace of its own. */
const age = (address: string, seconds: number) => region.db.tx(async tx => {
  await tx.query('set local session_replication_role = replica')
  await tx.query(`update dhcp.address set since = since - $2 * interval '1 second', bound_at = bound_at - $2 * interval '1 second', expires = expires - $2 * interval '1 second',
    quarantined_until = quarantined_until - $2 * interval '1 second' where address = $1::inet`, [address, seconds])
})
const history = async (address: string, query = '') => (await get(`/addresses/${address}/history${query}`)).items

describe('leases', () => {
  it('are found by address, MAC in any form, client id, hostname, subnet and state', async () => {
    await region.bind('rack-a', { address: '10.0.0.150', client: macOf(1), clientId: '01aabb', hostname: 'till', subnet }, { address: '10.0.0.151', client: macOf(2), subnet })
    await age('10.0.0.151', 3600)
    await region.bind('rack-a', { address: '10.0.0.152', client: macOf(3), subnet })
    await region.fact('rack-a', 'declined', { address: '10.0.0.152', client: macOf(3), subnet, number: null })
    const [block] = await region.grant('rack-a', subnet)
    expect(await found(`address=${block}`)).toEqual([`${block} block`])
    expect(await found('mac=02-00-00-00-00-01')).toEqual(['10.0.0.150 active'])
    expect(await found('clientId=01:AA:bb')).toEqual(['10.0.0.150 active'])
    expect(await found('hostname=Till')).toEqual(['10.0.0.150 active'])
    expect(await found(`subnet=${subnet}&state=expired`)).toEqual(['10.0.0.151 expired'])
    expect(await found('state=quarantine')).toEqual(['10.0.0.152 quarantine'])
    expect(await found('state=reserve')).toEqual([])
    expect((await get('/leases?address=10.0.0.150')).items[0]).toMatchObject({ subnet, client: macOf(1), clientId: '01aabb', hostname: 'till', rack: null, since: expect.any(String), expires: expect.any(String) })
  })
  it('come in pages, by address', async () => {
    const first = await get('/leases?limit=2')
    const second = await get(`/leases?limit=1000&after=${first.next}`)
    const all = [...first.items, ...second.items].map(({ address }: { address: string }) => address)
    expect(second.next).toBeUndefined()
    expect(all).toEqual((await get('/leases?limit=1000')).items.map(({ address }: { address: string }) => address))
  })
  it('are searched only for what can be there', async () => {
    for (const query of ['address=tomato', 'mac=zz', 'clientId=z', 'state=lost', 'after=x', 'limit=0']) expect((await region.call('GET', `/dhcp/leases?${query}`)).status, query).toBe(400)
  })
  it('are taken from their client, whose claim ends; a quarantine too; and nothing that nobody has', async () => {
    const [block] = (await get('/leases?state=block')).items
    expect(await region.call('DELETE', `/dhcp/leases/${block.address}`)).toMatchObject({ status: 409, body: { detail: `Nobody has ${block.address}: it lies in the block of rack rack-a.` } })
    expect(await region.call('DELETE', '/dhcp/leases/10.0.0.77')).toMatchObject({ status: 404 })
    expect((await region.call('DELETE', '/dhcp/leases/tomato')).status).toBe(400)
    await region.changes()
    expect((await region.call('DELETE', '/dhcp/leases/10.0.0.152')).status).toBe(204)
    await region.bind('rack-a', { address: '10.0.0.153', client: macOf(4), subnet })
    expect((await region.call('DELETE', '/dhcp/leases/10.0.0.153')).status).toBe(204)
    expect(await found('mac=02-00-00-00-00-04')).toEqual(['10.0.0.153 retiring'])
    expect((await region.changes()).map(({ topic, id }) => `${topic} ${id}`)).toEqual(['dhcp.binding 10.0.0.152', 'dhcp.binding 10.0.0.153', 'dhcp.binding 10.0.0.153'])
  })
})

describe('history', () => {
  const address = '10.0.0.160'
  const day = 86_400
  it('has nobody before the first, and one holder through all extensions', async () => {
    expect(await history(address)).toEqual([])
    await region.bind('rack-a', { address, client: macOf(10), subnet, hostname: 'first', clientId: '01ff' })
    const [begun] = await history(address)
    await region.bind('rack-a', { address, client: macOf(10), subnet, hostname: 'first', clientId: '01ff' })
    expect(await history(address)).toEqual([{ address, subnet, client: macOf(10), clientId: '01ff', hostname: 'first', since: begun.since, until: null }])
  })
  it('tells one holder from the next, and from its own earlier time; and who had it when', async () => {
    await age(address, 2 * day)
    await region.bind('rack-a', { address, client: macOf(10), subnet }) // the same one, after its lease had ended
    await age(address, day)
    await region.fact('rack-a', 'released', { address, client: macOf(10), subnet, number: null })
    await region.call('DELETE', `/dhcp/leases/${address}`)
    await region.db.query(`update dhcp.address set waits_for = '{}' where address = $1::inet`, [address])
    expect((await region.bind('rack-a', { address, client: macOf(11), subnet }))[0]?.stored).toBe(true)
    const all = await history(address)
    expect(all.map(({ client, until }: { client: string, until: string | null }) => [client, until === null])).toEqual([[macOf(11), true], [macOf(10), false], [macOf(10), false]])
    const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString()
    expect(await history(address, `?at=${ago(2 * day - 60)}`)).toMatchObject([{ client: macOf(10) }]) // within its first lease of 600 s
    expect(await history(address, `?at=${ago(1.5 * day)}`)).toEqual([])
    expect(await history(address, `?at=${ago(day - 60)}`)).toMatchObject([{ client: macOf(10) }])
    expect(await history(address, `?at=${ago(-1)}`)).toMatchObject([{ client: macOf(11) }])
    expect(await history(address, '?limit=1')).toHaveLength(1)
  })
  it('outlives the row of the address, and nothing is written for what nobody had', async () => {
    await region.bind('rack-a', { address: '10.0.0.161', client: macOf(12), subnet })
    await region.db.query(`delete from dhcp.address where address = '10.0.0.161'`)
    expect(await history('10.0.0.161')).toMatchObject([{ client: macOf(12), until: expect.any(String) }])
    const before = await region.db.query('select count(*) from dhcp.history')
    await region.grant('rack-a', subnet)
    await region.bind('rack-a', { address: '10.0.0.162', client: macOf(13), subnet }, { address: '10.0.0.163', client: macOf(14), subnet })
    await region.bind('rack-a', { address: '10.0.0.162', client: macOf(13), subnet }, { address: '10.0.0.163', client: macOf(14), subnet })
    expect(await region.db.query('select count(*) from dhcp.history')).toEqual(before)
  })
  it('is kept for so many days', async () => {
    await region.db.query(`update dhcp.history set until = now() - interval '91 days' where address = '10.0.0.161'`)
    expect(await pruneHistory(region.db, 90)).toBe(1)
    expect(await pruneHistory(region.db, 90)).toBe(0)
    expect(await history('10.0.0.161')).toEqual([])
  })
  it('is asked for addresses and times alone', async () => {
    expect((await region.call('GET', '/dhcp/addresses/tomato/history')).status).toBe(400)
    expect((await region.call('GET', '/dhcp/addresses/10.0.0.1/history?at=noon')).body.detail).toContain('"noon" is not a time')
  })
})

describe('other plugins', () => {
  it('are given the leases in force, under the name the plan has for the address', async () => {
    expect(Leases.id).toBe('dhcp.leases')
    const service = region.running.provides.leases
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: subnet, kind: 'sticky', mac: macOf(20), address: '10.0.0.20', owner: 'm20', hostname: 'sure-fox' }))
    await region.bind('rack-a', { address: '10.0.0.20', client: macOf(20), subnet, hostname: 'localhost' })
    expect(await service.leases(region.db, { addresses: ['10.0.0.20', '10.0.0.150', '10.0.0.151'] })).toMatchObject([
      { address: '10.0.0.20', subnetId: subnet, client: macOf(20), hostname: 'sure-fox' }, { address: '10.0.0.150', hostname: 'till' }
    ])
    expect((await service.leases(region.db)).map(({ address }) => address)).toContain('10.0.0.20')
    expect(await service.leases(region.db, { subnetIds: ['999'] })).toEqual([])
  })
})
