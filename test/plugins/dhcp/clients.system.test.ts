/** Real clients on a real wire: busybox's udhcpc and ISC's dhclient against racks in namespaces. Only the region's answers are stood in for. */
import { once } from 'node:events'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { readIp, text } from '../../../plugins/dhcp/options/values.ts'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { packetOf } from './build.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { TestClient, TestSegment } from './segment.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox', dhclient: 'isc-dhcp-client', setpriv: 'util-linux' }) })
let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })

const serve = async (region = memoryRegion(), changes: Parameters<typeof segmentEntry>[1] = {}, address = '192.0.2.2') => {
  const rack = await segment.rack(`${address}/24`, region)
  await rack.apply([segmentEntry(address, changes)], true)
  await rack.ask('start')
  return { rack, region }
}
const bound = (events: readonly string[]) => events.find(event => /^(bound|BOUND) /.test(event))
const boundSoon = (client: TestClient) => until(async () => bound(await client.events()), { timeout: 30_000, what: 'the client has an address' })
const mac = (number: number) => `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`

describe('a real client', () => {
  it('udhcpc gets an address with mask, router and DNS servers, and the region holds its binding', async () => {
    const { region } = await serve()
    const client = await segment.client(mac(1))
    client.udhcpc('-q')
    expect(await boundSoon(client)).toBe('bound 192.0.2.100 server=192.0.2.2 mask=255.255.255.0 router=192.0.2.1 dns=192.0.2.53 hostname=')
    expect(region.bindings.get('192.0.2.100')?.client).toBe(mac(1))
  })

  it('dhclient gets an address', async () => {
    const { region } = await serve()
    const client = await segment.client(mac(2))
    client.dhclient('-1')
    expect(await boundSoon(client)).toContain('192.0.2.100 server=192.0.2.2 mask=255.255.255.0 router=192.0.2.1 dns=192.0.2.53')
    expect(region.bindings.get('192.0.2.100')?.client).toBe(mac(2))
  })

  it('a machine with an address set aside gets that and its name, from either client', async () => {
    const { rack } = await serve()
    await rack.apply([{ kind: 'host', id: '192.0.2.20', value: { subnet: 's1', client: mac(3), hostname: 'sure-fox' } }])
    const client = await segment.client(mac(3))
    client.udhcpc('-q', '-O', 'hostname')
    expect(await boundSoon(client)).toMatch(/^bound 192\.0\.2\.20 .* hostname=sure-fox$/)
  })

  it('six at once get six addresses', async () => {
    const { region } = await serve()
    const clients = await Promise.all([1, 2, 3, 4, 5, 6].map(number => segment.client(mac(number))))
    clients.forEach((client, index) => { index % 2 === 0 ? client.udhcpc('-q') : client.dhclient('-1') })
    const addresses = (await Promise.all(clients.map(boundSoon))).map(event => event.split(' ')[1])
    expect(new Set(addresses).size).toBe(6)
    expect([...region.bindings.keys()].sort()).toEqual(addresses.sort())
  })

  it('extends its lease, unicast, and keeps its address', async () => {
    const { rack, region } = await serve()
    const client = await segment.client(mac(1))
    const process = client.udhcpc()
    await boundSoon(client)
    process.kill('SIGUSR1') // renew now
    await until(async () => (await client.events()).some(event => event.startsWith('renew 192.0.2.100')))
    expect(region.bindings.size).toBe(1)
    expect(String(await rack.ask('metrics'))).toContain('bedplate_dhcp_packets{type="ACK",direction="out"} 2')
  })

  it('gives its address back, and gets it again when it returns', async () => {
    const { region } = await serve()
    const client = await segment.client(mac(1))
    const first = client.udhcpc('-R')
    await boundSoon(client)
    const bound = Date.now()
    await until(() => Date.now() - bound > 7000, { what: 'the lease to be so old that the rack takes its RELEASE' })
    first.kill('SIGTERM')
    await until(() => region.reports.length > 0)
    expect(region.reports).toEqual([{ kind: 'released', address: '192.0.2.100', client: mac(1) }])
    client.udhcpc('-q')
    await until(async () => (await client.events()).filter(event => event.startsWith('bound 192.0.2.100')).length === 2)
  })

  it('declines an address somebody uses, and gets another', async () => {
    const { region } = await serve()
    const squatter = await segment.client(mac(9))
    await squatter.namespace.exec(['ip', 'addr', 'add', '192.0.2.100/24', 'dev', 'eth0'])
    const client = await segment.client(mac(1))
    client.udhcpc('-q', '-a', '-A', '1')
    expect(await boundSoon(client)).toMatch(/^bound 192\.0\.2\.101 /)
    expect(region.reports).toEqual([{ kind: 'declined', address: '192.0.2.100', client: mac(1) }])
  })
})

describe('no ACK before the binding is stored', () => {
  it('a region that fails means silence; once it stores, the client has its address', async () => {
    const { rack, region } = await serve()
    await until(async () => JSON.stringify(await rack.ask('health')).includes('running'))
    region.down = true
    const raw = await (await segment.client(mac(1))).raw()
    const offer = await raw.exchange(packetOf({ type: 'DISCOVER', mac: mac(1) }), 'OFFER')
    const request = packetOf({ type: 'REQUEST', mac: mac(1), server: '192.0.2.2', requested: ipText(offer.yiaddr) })
    raw.send(request)
    await until(async () => String(await rack.ask('metrics')).includes('bedplate_dhcp_dropped{reason="unanswered"} 1'))
    expect(raw.heard.length).toBe(1)
    expect(await rack.ask('health')).toMatchObject({ state: 'degraded', reason: expect.stringContaining('no region answers') })
    region.down = false
    await until(async () => JSON.stringify(await rack.ask('health')).includes('running'), { what: 'the rack has a region again' })
    expect((await raw.exchange(request, 'ACK')).yiaddr).toBe(offer.yiaddr)
    expect(region.bindings.size).toBe(1)
    expect(await rack.ask('health')).toEqual({ state: 'running' })
  })

  it('a rack killed while it waits promises nothing; the next one on the same disk state serves the same client', async () => {
    const region = memoryRegion()
    let asked = 0
    const { rack } = await serve({ ...region, bind: wishes => ++asked === 1 ? new Promise(() => {}) : region.bind(wishes) } as typeof region)
    const client = await segment.client(mac(1))
    client.udhcpc('-q')
    await until(() => asked === 1, { timeout: 10_000 })
    const ended = once(rack.child, 'exit')
    rack.child.kill('SIGKILL')
    await ended
    expect(bound(await client.events())).toBeUndefined()
    const again = await segment.rack('', { ...region, bind: wishes => region.bind(wishes) }, { namespace: rack.namespace })
    await again.apply([segmentEntry('192.0.2.2'), { kind: 'block', id: 's1', value: { addresses: ['192.0.2.100', '192.0.2.101'] } }], true)
    await again.ask('start')
    expect(await boundSoon(client)).toMatch(/^bound 192\.0\.2\.10[01] /)
    expect(region.bindings.size).toBe(1)
  })
})

describe('two racks on one segment', () => {
  it('the first answers; when it is killed, the second does, and extends what the first gave', async () => {
    const region = memoryRegion()
    const first = await serve(region, { rank: 0, leaseSeconds: 6 })
    const second = await serve(region, { rank: 1, leaseSeconds: 6 }, '192.0.2.3')
    const client = await segment.client(mac(1))
    client.udhcpc()
    expect(await boundSoon(client)).toContain('server=192.0.2.2')
    await second.rack.apply([...region.bindings].map(([id, wish]) => ({ kind: 'binding' as const, id, value: { subnet: 's1', client: wish.client, clientId: null, expires: new Date(Date.now() + 6000).toISOString(), number: '1' } })))
    first.rack.child.kill('SIGKILL')
    await until(async () => (await client.events()).some(event => event.startsWith('renew 192.0.2.100 server=192.0.2.3')), { timeout: 45_000 })
    const stranger = await segment.client(mac(2))
    stranger.udhcpc('-q')
    expect(await boundSoon(stranger)).toContain('server=192.0.2.3')
    expect(new Set([...region.bindings.values()].map(wish => wish.client)).size).toBe(2)
  })
})

describe('a rack goes on', () => {
  it('a change is in the next reply, and takes no socket away', async () => {
    const { rack } = await serve()
    const raw = await (await segment.client(mac(1))).raw()
    const first = await raw.exchange(packetOf({ type: 'DISCOVER', mac: mac(1) }), 'OFFER')
    expect(first.options.get(option.dnsServers)).toEqual(Buffer.of(192, 0, 2, 53))
    const before = await rack.namespace.exec(['ss', '-ulne'])
    const entry = segmentEntry('192.0.2.2')
    if (entry.kind === 'segment') await rack.apply([{ ...entry, value: { ...entry.value, subnets: entry.value.subnets.map(subnet => ({ ...subnet, dnsServers: ['192.0.2.54'] })) } }])
    const second = await raw.exchange(packetOf({ type: 'DISCOVER', mac: mac(1) }), 'OFFER')
    expect(second.options.get(option.dnsServers)).toEqual(Buffer.of(192, 0, 2, 54))
    expect((await rack.namespace.exec(['ss', '-ulne'])).stdout).toBe(before.stdout)
  })

  it('damaged packets are counted and dropped, and the next good one is answered', async () => {
    const { rack } = await serve()
    const raw = await (await segment.client(mac(1))).raw()
    const bad = Buffer.alloc(260)
    bad.set([1, 1, 6])
    raw.send(Buffer.from('hello'))
    raw.send(bad)
    bad.writeUInt32BE(0x63825363, 236)
    bad.set([53, 255], 240)
    raw.send(bad)
    await raw.exchange(packetOf({ type: 'DISCOVER', mac: mac(1) }), 'OFFER')
    const metrics = String(await rack.ask('metrics'))
    for (const kind of ['short', 'cookie', 'option-truncated']) expect(metrics).toContain(`bedplate_dhcp_dropped{reason="${kind}"} 1`)
  })

  it('an INFORM from a configured host is answered to it alone, with options and no lease', async () => {
    await serve()
    const client = await segment.client(mac(1))
    await client.namespace.exec(['ip', 'addr', 'add', '192.0.2.77/24', 'dev', 'eth0'])
    const ack = await (await client.raw()).exchange(packetOf({ type: 'INFORM', mac: mac(1), ciaddr: '192.0.2.77' }), 'ACK')
    expect(ack).toMatchObject({ yiaddr: 0, ciaddr: parseIp('192.0.2.77') })
    expect(ack.options.has(option.leaseTime)).toBe(false)
    expect(readIp(ack.options.get(option.serverId))).toBe(parseIp('192.0.2.2'))
  })

  it('stops answering where it is no longer wanted, and says so', async () => {
    const { rack } = await serve()
    expect(await rack.ask('health')).toEqual({ state: 'running' })
    await rack.apply([], true)
    await until(async () => !(await rack.namespace.exec(['ss', '-uln'])).stdout.includes(':67'))
    expect(await rack.ask('health')).toMatchObject({ state: 'off', reason: expect.stringContaining('no VLAN') })
    await rack.apply([segmentEntry('192.0.2.2')], true)
    await until(async () => (await rack.namespace.exec(['ss', '-uln'])).stdout.includes(':67'))
    await rack.ask('stop')
    expect((await rack.namespace.exec(['ss', '-uln'])).stdout).not.toContain(':67')
  })

  it('firmware is told what to boot, and iPXE its own script', async () => {
    await serve()
    const raw = await (await segment.client(mac(1))).raw()
    const bios = await raw.exchange(packetOf({ type: 'DISCOVER', mac: mac(1), vendor: 'PXEClient:Arch:00000:UNDI:002001', options: [[option.architecture, Buffer.of(0, 0)]] }), 'OFFER')
    expect({ file: bios.file, next: ipText(bios.siaddr) }).toEqual({ file: 'undionly.kpxe', next: '192.0.2.2' })
    const ipxe = await raw.exchange(packetOf({ type: 'DISCOVER', mac: mac(1), vendor: 'PXEClient:Arch:00000:UNDI:002001', options: [[option.userClass, text('iPXE')]] }), 'OFFER')
    expect(ipxe.file).toBe('http://192.0.2.2:5248/boot/ipxe/02-00-00-00-00-01')
  })
})

describe('what stands in the way is told, and mended without a restart', () => {
  it('an interface that is not there, until it is', async () => {
    const rack = await segment.rack('192.0.2.2/24', memoryRegion())
    await rack.apply([segmentEntry('192.0.2.2', { interface: 'eth9' })], true)
    await rack.ask('start')
    expect(await rack.ask('health')).toMatchObject({ state: 'dead', reason: expect.stringContaining('there is no network interface eth9') })
    await rack.namespace.exec(['ip', 'link', 'add', 'eth9', 'type', 'veth', 'peer', 'name', 'eth9p'])
    await rack.ask('reconcile')
    expect(await rack.ask('health')).toEqual({ state: 'running' })
  })

  it('an interface that went and came back under the same name is served again', async () => {
    const rack = await segment.rack('192.0.2.2/24', memoryRegion())
    await rack.namespace.exec(['ip', 'link', 'add', 'eth9', 'type', 'veth', 'peer', 'name', 'eth9p'])
    await rack.apply([segmentEntry('192.0.2.2', { interface: 'eth9' })], true)
    await rack.ask('start')
    const socketOf = async () => (await rack.namespace.exec(['ss', '-ulne', 'sport', '=', ':67'])).stdout
    const before = await socketOf()
    await rack.namespace.exec(['ip', 'link', 'del', 'eth9'])
    await rack.namespace.exec(['ip', 'link', 'add', 'eth9', 'type', 'veth', 'peer', 'name', 'eth9p'])
    await rack.ask('reconcile')
    expect(await socketOf()).not.toBe(before)
    expect(await rack.ask('health')).toEqual({ state: 'running' })
  })

  it('another program on the port, until it ends', async () => {
    const rack = await segment.rack('192.0.2.2/24', memoryRegion())
    const thief = rack.namespace.spawn([process.execPath, '-e', `require('dgram').createSocket('udp4').bind(67, () => console.log('bound'))`], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(thief.stdout!, 'data')
    await rack.apply([segmentEntry('192.0.2.2')], true)
    await rack.ask('start')
    expect(await rack.ask('health')).toMatchObject({ state: 'dead', reason: expect.stringMatching(/UDP port 67 on eth0 is in use by another program/) })
    const ended = once(thief, 'exit')
    thief.kill('SIGKILL')
    await ended
    await rack.ask('reconcile')
    expect(await rack.ask('health')).toEqual({ state: 'running' })
  })

  it('a missing privilege, with the remedy', async () => {
    // still root, so that it can read a checkout below /root, but without one capability
    const rack = await segment.rack('192.0.2.2/24', memoryRegion(), { as: ['setpriv', '--inh-caps=-all', '--bounding-set=-all'] })
    await rack.apply([segmentEntry('192.0.2.2')], true)
    await rack.ask('start')
    expect(await rack.ask('health')).toMatchObject({ state: 'dead', reason: expect.stringContaining('CAP_NET_BIND_SERVICE') })
  })
})
