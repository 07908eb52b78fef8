/** What operators set, over HTTP: what is taken, what is refused by name and changes nothing, and which entry of whose wanted state it becomes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WantedEntry } from '../../../plugins/dhcp/manifest.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.149'], { gateway: '10.0.0.1' })
  await region.call('POST', '/network/ranges', { subnetId: subnet, kind: 'dynamic', start: '10.0.0.160', end: '10.0.0.169' })
  await region.call('POST', '/network/ranges', { subnetId: subnet, kind: 'reserved', start: '10.0.0.200', end: '10.0.0.209' })
  await region.subnet('2001:db8::/64')
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.attach('rack-b', { eth1: ['10.0.0.3/24', '2001:db8::3/64'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
})
afterAll(() => region.close())

const call = async (method: 'GET' | 'PUT' | 'DELETE' | 'POST', path: string, body?: object, headers: Record<string, string> = {}) => {
  const answer = await region.app.inject({ method, url: `/api/v1/dhcp${path}`, headers, ...(body === undefined ? {} : { payload: body }) })
  return { status: answer.statusCode, etag: String(answer.headers.etag), body: answer.body === '' ? undefined : answer.json() }
}
const entries = async (kind: WantedEntry['kind'], rack = 'rack-a') => Object.fromEntries((await region.wanted(rack)).filter(entry => entry.kind === kind).map(({ id, value }) => [id, value]))
const everything = async () => [await call('GET', '/vlans'), await call('GET', '/subnets'), await call('GET', '/options'), await call('GET', '/fixed'), await region.wanted('rack-a')].map(one => JSON.stringify(one))
const touched = async () => { const keys = await region.running.touches!(await region.changes()); return keys.map(({ kind, id }) => `${kind} ${id}`) }

describe('a VLAN', () => {
  it('is served, only told what to boot, or left alone; and its racks are told so in one entry', async () => {
    await region.wanted('rack-a')
    await region.changes()
    expect((await call('PUT', '/vlans/1', { enabled: true, mode: 'proxy' })).body).toMatchObject({ mode: 'proxy', v6: 'off' })
    expect(await touched()).toEqual(['segment 1', 'segment6 1'])
    expect(await entries('segment')).toMatchObject({ 1: { mode: 'proxy', v6: 'off' } })
    expect(await region.grant('rack-a', subnet)).toEqual([])
    expect((await call('PUT', '/vlans/1', { enabled: true, mode: 'server', v6: 'stateless' })).body).toMatchObject({ mode: 'server', v6: 'stateless' })
    expect((await call('PUT', '/vlans/1', { enabled: true })).body).toMatchObject({ v6: 'stateless' }) // what is not said stays
    await call('PUT', '/vlans/1', { enabled: true, v6: 'off' })
  })
  it('may be served for IPv6 alone, by racks with an address of that kind', async () => {
    expect((await call('PUT', '/vlans/1', { enabled: true, mode: 'off', v6: 'stateless' })).body).toMatchObject({ serving: expect.arrayContaining(['rack-b']) })
    expect((await call('PUT', '/vlans/1', { enabled: true, racks: ['rack-a'], mode: 'off', v6: 'stateless' })).body.detail).toContain('Rack rack-a has no interface with an IPv6 address')
    expect(await entries('segment')).toEqual({})
    await call('PUT', '/vlans/1', { enabled: true, mode: 'server', v6: 'off' })
  })
  it.each([
    [{ enabled: true, mode: 'off' }, 422, 'would serve neither IPv4 nor IPv6'],
    [{ enabled: true, v6: 'stateful' }, 422, 'Stateful DHCPv6 on VLAN untagged (1) needs an IPv6 subnet there with a dynamic range'],
    [{ enabled: true, mode: 'sometimes' }, 400, 'mode'],
    [{ enabled: true, racks: ['rack-c'] }, 422, 'Rack rack-c has no interface'],
    [{ enabled: true, speed: 9 }, 400, 'speed']
  ])('%j is refused by name and changes nothing', async (body, status, words) => {
    const before = await everything()
    const answer = await call('PUT', '/vlans/1', body)
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(words)])
    expect(await everything()).toEqual(before)
  })
  it('is changed only as it was read, where If-Match says so', async () => {
    const { etag } = await call('GET', '/vlans/1')
    expect((await call('PUT', '/vlans/1', { enabled: true }, { 'if-match': '"other"' })).status).toBe(412)
    expect((await call('PUT', '/vlans/1', { enabled: true }, { 'if-match': etag })).status).toBe(200)
  })
})

describe('a subnet', () => {
  it('has lease times and names of its own, which come to the rack as its segment and its options', async () => {
    const set = { leaseSeconds: 7200, firmwareSeconds: 60, domain: 'Lab.Example.', search: ['a.example', 'b.example'], ntp: ['10.0.0.7'] }
    const { status, body } = await call('PUT', `/subnets/${subnet}`, set)
    expect([status, body]).toEqual([200, { id: subnet, cidr: '10.0.0.0/24', ...set, domain: 'lab.example' }])
    expect(await entries('segment')).toMatchObject({ 1: { subnets: [{ id: subnet, leaseSeconds: 7200, firmwareSeconds: 60 }] } })
    expect(await entries('options')).toEqual({ [`subnet:${subnet}`]: { options: [
      { code: 15, data: Buffer.from('lab.example').toString('hex') }, { code: 42, data: '0a000007' }, { code: 119, data: expect.stringMatching(/^0161076578616d706c6500/) }
    ] } })
  })
  it('goes back to its defaults with what is left out', async () => {
    expect((await call('PUT', `/subnets/${subnet}`, { domain: 'lab.example' })).body).toMatchObject({ leaseSeconds: null, firmwareSeconds: null, search: [], ntp: [] })
    expect(await entries('segment')).toMatchObject({ 1: { subnets: [{ leaseSeconds: 600 }] } })
  })
  it.each([
    [{ leaseSeconds: 60, firmwareSeconds: 120 }, 422, 'Firmware of subnet 10.0.0.0/24 would keep its lease for 120 s'],
    [{ leaseSeconds: 5 }, 400, 'leaseSeconds'],
    [{ ntp: ['time.example'] }, 422, '"time.example" is not an IPv4 address'],
    [{ domain: 'not a name' }, 400, 'domain'],
    [{ search: ['-.example'] }, 400, 'search'],
    [{ search: Array.from({ length: 20 }, (_, n) => `a-rather-long-name-${n}.example`) }, 422, '255 fit into an option'],
    [{ colour: 'red' }, 400, 'colour']
  ])('%j is refused by name and changes nothing', async (body, status, words) => {
    const before = await everything()
    const answer = await call('PUT', `/subnets/${subnet}`, body)
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(words)])
    expect(await everything()).toEqual(before)
  })
  it('of IPv6 has time servers of its kind', async () => {
    const { body } = await call('GET', '/subnets')
    const { id } = body.items.find(({ cidr }: { cidr: string }) => cidr === '2001:db8::/64')
    expect((await call('PUT', `/subnets/${id}`, { ntp: ['10.0.0.7'] })).body.detail).toContain('"10.0.0.7" is not an IPv6 address')
    expect((await call('PUT', `/subnets/${id}`, { ntp: ['2001:DB8::7'] })).body).toMatchObject({ ntp: ['2001:db8::7'] })
    expect(Object.keys(await entries('options'))).not.toContain(`subnet:${id}`)
    await call('PUT', `/subnets/${id}`, {})
  })
  it('is changed only as it was read, where If-Match says so; and must be there', async () => {
    expect((await call('PUT', `/subnets/${subnet}`, {}, { 'if-match': '"other"' })).status).toBe(412)
    expect((await call('PUT', `/subnets/${subnet}`, {}, { 'if-match': (await call('GET', `/subnets/${subnet}`)).etag })).status).toBe(200)
    expect((await call('PUT', '/subnets/999', {})).body).toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('options', () => {
  it('are set globally, by subnet and by machine, by name or number; each is one entry on the wire', async () => {
    await region.changes()
    expect((await call('PUT', '/options/global/ntp-servers', { value: '10.0.0.7, 10.0.0.8' })).body).toMatchObject({ scope: 'global', code: 42, name: 'ntp-servers', data: '0a0000070a000008' })
    expect(await touched()).toEqual(['options global'])
    expect((await call('PUT', `/options/subnet:${subnet}/42`, { value: ['10.0.0.9'] })).status).toBe(200)
    expect((await call('PUT', '/options/mac:5254.0012.3456/224', { value: 7, type: 'u16' })).body).toMatchObject({ scope: 'mac:52:54:00:12:34:56', code: 224, type: 'u16', data: '0007' })
    expect(await touched()).toEqual([`options subnet:${subnet}`, 'options mac:52:54:00:12:34:56'])
    expect(await entries('options')).toEqual({
      global: { options: [{ code: 42, data: '0a0000070a000008' }] },
      [`subnet:${subnet}`]: { options: [{ code: 42, data: '0a000009' }] },
      'mac:52:54:00:12:34:56': { options: [{ code: 224, data: '0007' }] }
    })
  })
  it('stand above the settings of the subnet', async () => {
    await call('PUT', `/subnets/${subnet}`, { ntp: ['10.0.0.1'], domain: 'lab.example' })
    expect(await entries('options')).toMatchObject({ [`subnet:${subnet}`]: { options: [{ code: 15 }, { code: 42, data: '0a000009' }] } })
    await call('PUT', `/subnets/${subnet}`, {})
  })
  it('are listed in pages, and by scope', async () => {
    const { body } = await call('GET', '/options?limit=2')
    expect(body.items.map(({ scope }: { scope: string }) => scope)).toEqual(['global', 'mac:52:54:00:12:34:56'])
    expect((await call('GET', `/options?limit=2&after=${encodeURIComponent(body.next)}`)).body).toEqual({ items: [expect.objectContaining({ scope: `subnet:${subnet}` })] })
    expect((await call('GET', '/options?scope=global')).body.items).toHaveLength(1)
  })
  it.each([
    ['/options/global/dhcp-message-type', { value: 1 }, 422, 'dhcp-message-type'],
    ['/options/global/54', { value: '10.0.0.1' }, 422, 'dhcp-server-identifier'],
    ['/options/global/51', { value: 60 }, 422, 'dhcp-lease-time'],
    ['/options/global/50', { value: '10.0.0.1' }, 422, 'dhcp-requested-address'],
    ['/options/global/82', { value: '00' }, 422, 'dhcp-agent-options: relays set it'],
    ['/options/global/routers', { value: 'gateway.example' }, 422, 'routers: "gateway.example" is not an IPv4 address'],
    ['/options/global/no-such-option', { value: 1 }, 422, 'there is no option of that name'],
    ['/options/global/300', { value: '00' }, 422, 'from 1 to 254'],
    ['/options/global/224', { value: '1', type: 'spell' }, 422, '"spell" is not a type'],
    ['/options/global/ntp-servers', { value: null }, 422, 'its value is'],
    ['/options/global/root-path', { value: 'x'.repeat(5000) }, 422, 'root-path'],
    ['/options/subnet:999/ntp-servers', { value: '10.0.0.1' }, 404, 'There is no subnet 999'],
    ['/options/mac:zz/ntp-servers', { value: '10.0.0.1' }, 400, '"zz" is not a MAC address'],
    ['/options/everywhere/ntp-servers', { value: '10.0.0.1' }, 400, 'is no scope']
  ])('%s %j is refused by name and changes nothing', async (path, body, status, words) => {
    const before = await everything()
    const answer = await call('PUT', path, body)
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(words)])
    expect(await everything()).toEqual(before)
  })
  it('are changed only as they were read, where If-Match says so, and taken back once', async () => {
    const { etag } = await call('GET', '/options/global/ntp-servers')
    expect((await call('PUT', '/options/global/42', { value: '10.0.0.1' }, { 'if-match': '"other"' })).status).toBe(412)
    expect((await call('PUT', '/options/global/42', { value: '10.0.0.1' }, { 'if-match': etag })).status).toBe(200)
    expect((await call('DELETE', '/options/global/42', undefined, { 'if-match': etag })).status).toBe(412)
    expect((await call('DELETE', '/options/global/ntp-servers')).status).toBe(204)
    expect((await call('DELETE', '/options/global/ntp-servers')).body).toMatchObject({ code: 'NOT_FOUND', detail: 'There is no option ntp-servers of global.' })
    expect(Object.keys(await entries('options'))).not.toContain('global')
  })
})

describe('addresses fixed by client id', () => {
  const id = '01:52:54:00:00:00:01'
  it('lie outside the ranges or in a reserved one, and come to the rack as one host', async () => {
    await region.wanted('rack-a')
    await region.changes()
    expect((await call('PUT', '/fixed/10.0.0.50', { clientId: id, hostname: 'till' })).body).toEqual({ address: '10.0.0.50', subnetId: subnet, clientId: '01525400000001', hostname: 'till' })
    expect(await touched()).toEqual(['host 10.0.0.50'])
    expect((await call('PUT', '/fixed/10.0.0.205', { clientId: '"printer"' })).body).toMatchObject({ clientId: Buffer.from('printer').toString('hex'), hostname: null })
    expect((await call('GET', '/fixed?limit=1')).body).toMatchObject({ items: [{ address: '10.0.0.50' }], next: '10.0.0.50' })
    expect((await call('GET', '/fixed?limit=1&after=10.0.0.50')).body).toEqual({ items: [expect.objectContaining({ address: '10.0.0.205' })] })
    expect(await entries('host')).toMatchObject({ '10.0.0.50': { subnet, client: 'id:01525400000001', hostname: 'till' }, '10.0.0.205': { client: 'id:7072696e746572' } })
  })
  it('change hands by being set again, and are taken back once', async () => {
    expect((await call('PUT', '/fixed/10.0.0.205', { clientId: 'aabb', hostname: 'p' })).status).toBe(200)
    expect(await entries('host')).toMatchObject({ '10.0.0.205': { client: 'id:aabb', hostname: 'p' } })
    expect((await call('PUT', '/fixed/10.0.0.205', { clientId: 'aabb' }, { 'if-match': '"other"' })).status).toBe(412)
    expect((await call('DELETE', '/fixed/10.0.0.205')).status).toBe(204)
    expect((await call('DELETE', '/fixed/10.0.0.205')).status).toBe(404)
    expect(Object.keys(await entries('host'))).toEqual(['10.0.0.50'])
  })
  it.each([
    ['10.0.0.120', { clientId: 'ffee' }, 422, '10.0.0.120 lies in the dynamic range 10.0.0.100 to 10.0.0.149'],
    ['10.0.0.1', { clientId: 'ffee' }, 422, '10.0.0.1 is the gateway'],
    ['10.0.0.2', { clientId: 'ffee' }, 409, 'interface eth1 of controller rack-a'],
    ['10.7.0.1', { clientId: 'ffee' }, 422, 'No subnet holds 10.7.0.1'],
    ['10.0.0.60', { clientId: id }, 409, 'Client id 01525400000001 has 10.0.0.50 in subnet 10.0.0.0/24 already'],
    ['10.0.0.60', { clientId: 'f' }, 400, '"f" is not a client id'],
    ['10.0.0.60', { clientId: 'zz:yy' }, 400, 'is not a client id'],
    ['tomato', { clientId: 'ffee' }, 400, '"tomato" is not an IPv4 address']
  ])('%s %j is refused by name and changes nothing', async (address, body, status, words) => {
    const before = await everything()
    const answer = await call('PUT', `/fixed/${address}`, body)
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(words)])
    expect(await everything()).toEqual(before)
  })
  it('not where a MAC has the address; and one taken back in the network\'s plan is free again', async () => {
    await region.db.tx(tx => region.network.allocate(tx, { subnetId: subnet, kind: 'reserved', mac: macOf(1), address: '10.0.0.70', hostname: 'scanner' }))
    expect((await call('PUT', '/fixed/10.0.0.70', { clientId: 'ffee' })).body.detail).toContain('Address 10.0.0.70 is in use: it is given to scanner')
    await region.call('DELETE', '/network/addresses/10.0.0.50')
    expect((await call('GET', '/fixed')).body.items).toEqual([])
    expect((await call('PUT', '/fixed/10.0.0.51', { clientId: id })).status).toBe(200)
    expect(Object.keys(await entries('host')).sort()).toEqual(['10.0.0.51', '10.0.0.70'])
  })
})

describe('ranges', () => {
  it('of several, dynamic ones are given and reserved ones never; subnets of one VLAN stand together', async () => {
    const other = await region.subnet('10.5.0.0/24', ['10.5.0.10', '10.5.0.19'])
    const segment = (await entries('segment'))['1']
    expect(segment).toMatchObject({ subnets: [
      { id: subnet, dynamic: [{ start: '10.0.0.100', end: '10.0.0.149' }, { start: '10.0.0.160', end: '10.0.0.169' }] },
      { id: other, dynamic: [{ start: '10.5.0.10', end: '10.5.0.19' }] }
    ] })
    const given: string[] = []
    for (let more = await region.grant('rack-a', subnet); more.length > 0; more = await region.grant('rack-a', subnet)) given.push(...more)
    for (let more = await region.grant('rack-b', subnet); more.length > 0; more = await region.grant('rack-b', subnet)) given.push(...more)
    const last = given.map(address => Number(address.split('.')[3]))
    expect(new Set(given).size).toBe(60)
    expect(last.every(one => (one >= 100 && one <= 149) || (one >= 160 && one <= 169))).toBe(true)
    expect((await region.grant('rack-a', other)).length).toBeGreaterThan(0)
  })
})

describe('an import', () => {
  const file = `default-lease-time 1800;
option log-servers 10.0.0.7;
subnet 10.0.0.0 netmask 255.255.255.0 {
  range 10.0.0.100 10.0.0.120;
  range 10.0.0.10 10.0.0.20;
  option routers 10.0.0.1;
  option time-offset 3600;
}
subnet 192.168.77.0 netmask 255.255.255.0 { option time-offset 1; }
host nas { hardware ethernet 52:54:00:aa:bb:cc; fixed-address 10.0.0.80; option root-path "/nas"; }
host kiosk { option dhcp-client-identifier "kiosk"; fixed-address 10.0.0.81; }
host wrong { hardware ethernet 52:54:00:aa:bb:cd; fixed-address 10.0.0.110; }
option dhcp-server-identifier 10.0.0.1;
class "phones" { }
`
  it('says beforehand what it would do, and does nothing', async () => {
    const before = await everything()
    await region.changes()
    const { status, body } = await call('POST', '/import?dryRun=true', { text: file })
    expect([status, body.dryRun]).toEqual([200, true])
    expect(await everything()).toEqual(before)
    expect(await region.changes()).toEqual([])
    expect(body.left.map(({ line, why }: { line: number, why: string }) => `${line}: ${why}`)).toEqual([
      expect.stringMatching(/^5: subnet 10.0.0.0\/24 has no dynamic range there; add it: bedplate range create 10.0.0.10 10.0.0.20 --subnet 10.0.0.0\/24/),
      expect.stringMatching(/^9: there is no such subnet; add it/), expect.stringMatching(/^9: there is no subnet 192.168.77.0\/24/),
      expect.stringMatching(/^12: .*10.0.0.110 lies in the dynamic range/), expect.stringMatching(/^13: option dhcp-server-identifier: /), expect.stringMatching(/^14: what depends on the client's class/)
    ])
  })
  it('tells what the network lacks, ready to be added', async () => {
    const text = 'subnet 192.168.77.0 netmask 255.255.255.0 { range 192.168.77.10 192.168.77.20; option routers 192.168.77.1; option domain-name-servers 192.168.77.2, ns.example; } subnet 10.0.0.0 netmask 255.255.255.0 { range 10.0.0.30 10.0.0.31; }'
    expect((await call('POST', '/import?dryRun=true', { text })).body.missing).toEqual({
      subnets: [{ cidr: '192.168.77.0/24', gateway: '192.168.77.1', dnsServers: ['192.168.77.2'] }],
      ranges: [{ cidr: '192.168.77.0/24', start: '192.168.77.10', end: '192.168.77.20' }, { cidr: '10.0.0.0/24', start: '10.0.0.30', end: '10.0.0.31' }]
    })
  })
  it('does what it said, all of it in one transaction', async () => {
    const said = (await call('POST', '/import?dryRun=true', { text: file })).body
    expect((await call('POST', '/import', { text: file })).body).toEqual({ ...said, dryRun: false })
    expect(said.taken.map(({ what }: { what: string }) => what)).toEqual([
      'option log-servers of global: 10.0.0.7', 'lease time 1800 s of subnet 10.0.0.0/24', 'range 10.0.0.100 to 10.0.0.120 of subnet 10.0.0.0/24, as it is',
      'option routers of subnet 10.0.0.0/24, as it is', 'option time-offset of subnet 10.0.0.0/24: 3600', 'address 10.0.0.80 for 52:54:00:aa:bb:cc (nas)', 'option root-path of mac:52:54:00:aa:bb:cc: /nas', 'address 10.0.0.81 for client id 6b696f736b (kiosk)'
    ])
    expect(await entries('host')).toMatchObject({ '10.0.0.80': { client: '52:54:00:aa:bb:cc', hostname: 'nas' }, '10.0.0.81': { client: 'id:6b696f736b', hostname: 'kiosk' } })
    expect((await call('POST', '/import', { text: file })).body.taken).toEqual(said.taken) // again is the same
  })
  it('may be what stands in the block of a subnet or a host', async () => {
    expect((await call('POST', `/import?scope=subnet:${subnet}`, { text: 'option lpr-servers 10.0.0.6; default-lease-time 900;' })).body).toMatchObject({ left: [], taken: [{ what: 'lease time 900 s of subnet 10.0.0.0/24' }, { what: 'option lpr-servers of subnet 10.0.0.0/24: 10.0.0.6' }] })
    expect((await call('POST', '/import?scope=mac:52-54-00-aa-bb-cf', { text: 'option lpr-servers 10.0.0.6;' })).body).toMatchObject({ left: [], taken: [{ what: 'option lpr-servers of mac:52:54:00:aa:bb:cf: 10.0.0.6' }] })
    expect((await call('POST', '/import?scope=subnet:999', { text: '' })).status).toBe(404)
    expect((await call('POST', '/import?scope=nowhere', { text: '' })).status).toBe(400)
  })
  it('refuses what is no file of a size to be read', async () => {
    expect((await call('POST', '/import', { text: 'x'.repeat(1024 * 1024 + 1) })).status).toBe(400)
    expect((await call('POST', '/import', { text: '{'.repeat(100) })).body).toMatchObject({ code: 'INVALID_REQUEST', detail: expect.stringContaining('nested deeper') })
  })
})

describe('what is set for a subnet', () => {
  it('goes with it', async () => {
    const gone = await region.subnet('10.77.0.0/24')
    await call('PUT', `/subnets/${gone}`, { leaseSeconds: 60 })
    await call('PUT', `/options/subnet:${gone}/ntp-servers`, { value: '10.0.0.7' })
    await call('PUT', '/fixed/10.77.0.9', { clientId: 'aabbcc' })
    expect((await region.call('DELETE', `/network/subnets/${gone}`)).body.detail).toContain('10.77.0.9 in use')
    await call('DELETE', '/fixed/10.77.0.9')
    expect((await region.call('DELETE', `/network/subnets/${gone}`)).status).toBe(204)
    await region.changes()
    await region.running.reconcile!(new AbortController().signal)
    expect(await region.changes()).toContainEqual(expect.objectContaining({ topic: 'dhcp.option', id: `subnet:${gone}` }))
    expect((await call('GET', `/options?scope=subnet:${gone}`)).body.items).toEqual([])
    expect((await call('GET', '/subnets')).body.items.map(({ id }: { id: string }) => id)).not.toContain(gone)
  })
})
