/** The cost of a change is that of what changed: with 10,000 bindings in place, an option, a setting or another order of racks touches a handful of entries. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
const bindings = 10_000
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/16', ['10.0.1.0', '10.0.200.255'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/16'] })
  await region.attach('rack-b', { eth1: ['10.0.0.3/16'] })
  await region.db.query(`insert into dhcp.address (address, subnet_id, mac, bound_at, expires) select inet '10.0.1.0' + n, $1, '02:00:00:00:' || to_hex(n / 256) || ':' || to_hex(n % 256), now(), now() + interval '1 hour' from generate_series(0, $2) n`, [subnet, bindings - 1])
})
afterAll(() => region.close())

/** What a region computes for this call of the API: which keys, and the entries of them. */
async function computed (method: 'PUT' | 'POST' | 'DELETE', path: string, body?: object) {
  await region.wanted('rack-a')
  await region.changes()
  expect((await region.call(method, path, body)).status).toBeLessThan(300)
  const keys = await region.running.touches!(await region.changes())
  const entries = await region.wanted('rack-a', keys)
  return { keys: keys.map(({ kind, id }) => `${kind} ${id}`), entries: entries.map(({ kind, id }) => `${kind} ${id}`) }
}

describe('with 10,000 bindings', () => {
  it('turning DHCP on computes all of them, and so does a rack that comes or goes', async () => {
    const { keys } = await computed('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-a'] })
    expect(keys.filter(key => key.startsWith('binding '))).toHaveLength(bindings)
    expect((await computed('PUT', '/dhcp/vlans/1', { enabled: true })).keys.length).toBeGreaterThan(bindings)
    expect((await computed('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-a'] })).keys.length).toBeGreaterThan(bindings)
    expect((await region.wanted('rack-b')).filter(({ kind }) => kind === 'binding')).toEqual([])
    await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
  })
  it.each([
    ['an option of everybody', 'PUT', '/dhcp/options/global/ntp-servers', { value: '10.0.0.7' }, ['options global']],
    ['an option of a machine', 'PUT', '/dhcp/options/mac:020000000000/ntp-servers', { value: '10.0.0.7' }, ['options mac:02:00:00:00:00:00']],
    ['another order of racks', 'PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-b', 'rack-a'] }, ['segment 1']],
    ['another mode', 'PUT', '/dhcp/vlans/1', { enabled: true, mode: 'proxy' }, ['segment 1']],
    ['and back', 'PUT', '/dhcp/vlans/1', { enabled: true, mode: 'server' }, ['segment 1']]
  ] as const)('%s is one entry', async (_what, method, path, body, expected) => {
    const { keys, entries } = await computed(method, path, body)
    expect(keys.filter(key => !key.startsWith('segment6 '))).toEqual(expected)
    expect(entries).toEqual(expected)
  })
  it('a setting of the subnet is its segment and its options', async () => {
    const { keys, entries } = await computed('PUT', `/dhcp/subnets/${subnet}`, { leaseSeconds: 1200, domain: 'lab.example' })
    expect(keys.length).toBeLessThan(10)
    expect(entries.sort()).toEqual([`options subnet:${subnet}`, 'segment 1'])
  })
  it('a range, a gateway or a name server is the segment', async () => {
    const { keys, entries } = await computed('POST', '/network/ranges', { subnetId: subnet, kind: 'dynamic', start: '10.0.210.0', end: '10.0.210.9' })
    expect(keys.length).toBeLessThan(10)
    expect(entries).toEqual(['segment 1'])
  })
  it('an address set aside is one host', async () => {
    expect(await computed('POST', '/network/addresses', { subnetId: subnet, mac: '52:54:00:00:00:01', address: '10.0.0.9' })).toEqual({ keys: ['host 10.0.0.9'], entries: ['host 10.0.0.9'] })
    expect(await computed('PUT', '/dhcp/fixed/10.0.0.10', { clientId: 'aabbcc' })).toEqual({ keys: ['host 10.0.0.10'], entries: ['host 10.0.0.10'] })
  })
})
