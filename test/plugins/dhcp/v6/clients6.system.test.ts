/** Real DHCPv6 clients on a real wire: ISC's dhclient, dhcpcd and systemd-networkd against racks in namespaces. Only the region's answers are stood in for. */
import { once } from 'node:events'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WantedEntry } from '../../../../plugins/dhcp/manifest.ts'
import { message6, option6 } from '../../../../plugins/dhcp/v6/codes6.ts'
import { ip6Text, parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { first6, u16, u32, writeStrings } from '../../../../plugins/dhcp/v6/options6.ts'
import { iasOf, statusOf } from '../../../../plugins/dhcp/v6/packet6.ts'
import type { Packet6 } from '../../../../plugins/dhcp/v6/packet6.ts'
import { requirePrograms } from '../../../kit/network.ts'
import { until } from '../../../kit/wait.ts'
import { duidLl, message, mine, relayed, segment6Entry } from './build6.ts'
import type { Changes6 } from './build6.ts'
import { createLab6, memoryRegion6 } from './lab6.ts'
import type { Client6, Lab6 } from './lab6.ts'

beforeAll(() => { requirePrograms({ dhclient: 'isc-dhcp-client', dhcpcd: 'dhcpcd-base', networkctl: 'systemd', dhcrelay: 'isc-dhcp-relay' }) })
let lab: Lab6
beforeEach(async () => { lab = await createLab6() })
afterEach(async () => { await lab.destroy() })

const entry = (changes: Changes6 = {}): WantedEntry => ({ kind: 'segment6', id: '5', value: segment6Entry(changes) })
const serve = async (changes: Changes6 = {}, region = memoryRegion6(), address = '2001:db8:1::2') => {
  const rack = await lab.rack(`${address}/64`, region)
  await rack.apply([entry({ ...changes, address })], true)
  await rack.ask('start')
  return { rack, region }
}
const boundSoon = (client: Client6, which = /^(BOUND6|REBIND6|RENEW6|REBOOT6) new=2/) => until(async () => (await client.events()).findLast(event => which.test(event)), { timeout: 30_000, what: 'the client has an address' })
const addressIn = (event: string) => /new=(\S+)/.exec(event)?.[1] ?? ''
const mac = (number: number) => `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`
const range = /^2001:db8:1::1:[0-9a-f]{1,2}$/

const metric = async (rack: { ask(type: 'metrics'): Promise<unknown> }, line: string) => String(await rack.ask('metrics')).includes(line)
const addressesOf = (packet: Packet6) => iasOf(packet.options).flatMap(({ addresses }) => addresses.map(({ address, valid }) => [ip6Text(address), valid] as const))
const told = async (rack: Awaited<ReturnType<typeof serve>>['rack'], region: ReturnType<typeof memoryRegion6>) => rack.apply([...region.bindings].map(([id, { client, clientId }]): WantedEntry =>
  ({ kind: 'binding', id, value: { subnet: 's1', client, clientId, expires: new Date(Date.now() + 600_000).toISOString(), number: '1' } })))

describe('a real client', () => {
  it('dhclient gets an address, DNS servers and search list, and the region holds its binding', async () => {
    const { region } = await serve()
    const client = await lab.client(mac(1))
    client.dhclient('-1')
    const event = await boundSoon(client)
    expect(event).toMatch(/dns=2001:db8:1::53 2001:db8:1::54 search=example\.org\.? lab\.example\.org\.? life=600/)
    expect(addressIn(event)).toMatch(range)
    expect(region.bindings.get(addressIn(event))?.client).toMatch(/^00030001020000000001\/[0-9a-f]{8}$/)
  })

  it.each(['dhcpcd', 'networkd'] as const)('%s gets an address and configures it', async program => {
    const { region } = await serve()
    const client = await lab.client(mac(2))
    client[program]()
    const [address] = await until(async () => { const found = await client.addresses(); return found.length > 0 ? found : undefined }, { timeout: 30_000, what: `${program} has an address` })
    expect(address).toMatch(range)
    expect([...region.bindings.keys()]).toEqual([address])
  })

  it('a machine gets the address set aside for its MAC, from either client, one after the other', async () => {
    const { rack, region } = await serve()
    await rack.apply([{ kind: 'host', id: '2001:db8:1::20', value: { subnet: 's1', client: mac(3), hostname: 'sure-fox' } }])
    const client = await lab.client(mac(3))
    const first = client.networkd() // its DUID says nothing of the MAC
    await until(async () => (await client.addresses()).includes('2001:db8:1::20'), { timeout: 30_000 })
    first.kill('SIGKILL')
    client.dhclient('-1')
    expect(addressIn(await boundSoon(client))).toBe('2001:db8:1::20')
    expect([...region.bindings.values()].map(({ address, client }) => [address, client])).toEqual([['2001:db8:1::20', mac(3)]])
  })

  it('renews in time, and keeps its address', async () => {
    const { rack, region } = await serve({ leaseSeconds: 8 })
    const client = await lab.client(mac(1))
    client.dhclient()
    const address = addressIn(await boundSoon(client))
    expect(addressIn(await boundSoon(client, /^RENEW6 new=2/))).toBe(address)
    expect(region.bindings.size).toBe(1)
    expect(await metric(rack, 'bedplate_dhcp_packets{type="RENEW",direction="in"}')).toBe(true)
  })

  it('gives its address back, and gets it again when it returns', async () => {
    const { rack, region } = await serve()
    const client = await lab.client(mac(1))
    const first = client.dhclient()
    const address = addressIn(await boundSoon(client))
    const ended = once(first, 'exit')
    client.dhclient('-r')
    await until(() => region.reports.length > 0, { timeout: 20_000, what: 'the release is reported' })
    expect(region.reports).toEqual([{ kind: 'released', address, client: expect.stringMatching(/^00030001020000000001\//) }])
    await ended
    await until(() => metric(rack, 'bedplate_dhcp_packets{type="REPLY",direction="out"} 2'))
    const before = (await client.events()).length
    client.dhclient('-1')
    expect(addressIn(await until(async () => (await client.events()).slice(before).find(event => /^BOUND6 new=2/.test(event)), { timeout: 30_000 }))).toBe(address)
  })

  it('that was killed asks whether it is still on the same link, and is told so', async () => {
    const { rack, region } = await serve()
    const client = await lab.client(mac(1))
    const first = client.dhclient()
    const address = addressIn(await boundSoon(client))
    const ended = once(first, 'exit')
    first.kill('SIGKILL')
    await ended
    client.dhclient()
    await until(() => metric(rack, 'bedplate_dhcp_packets{type="CONFIRM",direction="in"} 1'), { timeout: 20_000 })
    await until(async () => (await client.events()).filter(event => event.includes(`new=${address}`)).length === 2, { timeout: 20_000 })
    expect(region.bindings.size).toBe(1)
  })

  it('declines an address somebody uses, and gets another', async () => {
    const { rack, region } = await serve()
    const squatter = await lab.client(mac(9))
    const raw = await (await lab.client(mac(1))).raw()
    const first = await raw.exchange(message({ type: 'REQUEST', client: duidLl(mac(1)), ias: [[1]] }))
    const [taken] = addressesOf(first)[0]!
    await squatter.namespace.exec(['ip', 'addr', 'add', `${taken}/64`, 'dev', 'eth0'])
    const answer = await raw.exchange(message({ type: 'DECLINE', client: duidLl(mac(1)), ias: [[1, taken]], xid: 2 }))
    expect(statusOf(answer.options)?.code).toBe(0)
    expect(region.reports).toEqual([{ kind: 'declined', address: taken, client: expect.any(String) }])
    const [other] = addressesOf(await raw.exchange(message({ type: 'REQUEST', client: duidLl(mac(1)), ias: [[1, taken]], xid: 3 })))[0]!
    expect(other).not.toBe(taken)
    expect(await rack.ask('health6')).toEqual({ state: 'running' })
  })

  it('that only wants options gets them, and no binding is made', async () => {
    const { region } = await serve({ mode: 'stateless', ranges: [] })
    const client = await lab.client(mac(1))
    await client.namespace.exec(['ip', 'addr', 'add', '2001:db8:1::77/64', 'dev', 'eth0'])
    client.dhclient('-S', '-1')
    expect(await until(async () => (await client.events()).find(event => event.includes('dns=2001')), { timeout: 20_000 })).toContain('dns=2001:db8:1::53 2001:db8:1::54')
    const asking = await lab.client(mac(2))
    const answer = await (await asking.raw()).exchange(message({ type: 'SOLICIT', client: duidLl(mac(2)), ias: [[1]] }))
    expect(iasOf(answer.options)[0]?.status?.code).toBe(2)
    expect(region.bindings.size).toBe(0)
  })
})

describe('no REPLY before the binding is stored', () => {
  it('a region that fails means silence; once it stores, the client has its address', async () => {
    const { rack, region } = await serve()
    region.down = true
    const raw = await (await lab.client(mac(1))).raw()
    const [offered] = addressesOf(await raw.exchange(message({ type: 'SOLICIT', client: duidLl(mac(1)), ias: [[1]] })))[0]!
    const request = message({ type: 'REQUEST', client: duidLl(mac(1)), ias: [[1, offered]], xid: 2 })
    raw.send(request)
    await until(() => metric(rack, 'bedplate_dhcp_dropped{reason="unanswered"} 1'))
    expect(raw.heard.length).toBe(1)
    expect(await rack.ask('health6')).toMatchObject({ state: 'degraded', reason: expect.stringContaining('no region answers') })
    region.down = false
    await until(async () => JSON.stringify(await rack.ask('health6')) === '{"state":"running"}', { timeout: 20_000 })
    expect(addressesOf(await raw.exchange(request))).toEqual([[offered, 600]])
  })

  it('an address the region refuses is gone from its client at once, and another comes with the same answer', async () => {
    const { region } = await serve()
    const raw = await (await lab.client(mac(1))).raw()
    const [address] = addressesOf(await raw.exchange(message({ type: 'REQUEST', client: duidLl(mac(1)), ias: [[1]] })))[0]!
    region.bindings.set(address, { ...region.bindings.get(address)!, client: 'somebody else' })
    const renewed = addressesOf(await raw.exchange(message({ type: 'RENEW', client: duidLl(mac(1)), ias: [[1, address]], xid: 2 })))
    expect(renewed).toEqual([[expect.stringMatching(range), 600], [address, 0]])
    expect(renewed[0]?.[0]).not.toBe(address)
  })

  it('a rack that is killed and started again with what it was told extends the lease', async () => {
    const { rack, region } = await serve({ leaseSeconds: 12 })
    const client = await lab.client(mac(1))
    client.dhclient()
    const address = addressIn(await boundSoon(client))
    const ended = once(rack.child, 'exit')
    rack.child.kill('SIGKILL')
    await ended
    const again = await lab.rack('', region, rack.namespace)
    await again.apply([entry({ leaseSeconds: 12 })], true)
    await told(again, region)
    await again.ask('start')
    expect(addressIn(await boundSoon(client, /^(RENEW6|REBIND6) new=2/))).toBe(address)
    expect(region.bindings.size).toBe(1)
  })
})

describe('two racks on one segment', () => {
  it('the first answers; when it is killed the second goes on where it left off, and serves new clients', async () => {
    const region = memoryRegion6()
    const first = await serve({ rank: 0, leaseSeconds: 12 }, region)
    const second = await serve({ rank: 1, leaseSeconds: 12 }, region, '2001:db8:1::3')
    const client = await lab.client(mac(1))
    client.dhclient()
    const address = addressIn(await boundSoon(client))
    expect(await metric(second.rack, 'bedplate_dhcp_packets{type="ADVERTISE",direction="out"}')).toBe(false)
    first.rack.child.kill('SIGKILL')
    // RENEW, not REBIND: to the client both are one server
    expect(addressIn(await boundSoon(client, /^RENEW6 new=2/))).toBe(address)
    const stranger = await lab.client(mac(2))
    stranger.dhclient('-1')
    expect(addressIn(await boundSoon(stranger))).toMatch(range)
    expect(region.bindings.size).toBe(2)
  })
})

describe('relays', () => {
  it('a client behind ISC\'s relay gets an address of its own link', async () => {
    const region = memoryRegion6()
    const ranged = segment6Entry()
    const { rack } = await serve({}, region)
    await rack.apply([{ kind: 'segment6', id: '5', value: { ...ranged, subnets: ranged.subnets.map(subnet => subnet.id === 's2' ? { ...subnet, link: '9', dynamic: [{ start: '2001:db8:2::1:0', end: '2001:db8:2::1:ff' }] } : subnet) } }])
    const { network, wire } = lab.segment
    await network.bridge(wire, 'br1')
    const relay = await lab.plug(['2001:db8:1::9/64'])
    await network.cable({ namespace: relay, name: 'eth1', addresses: ['2001:db8:2::1/64'] }, { namespace: wire, name: 'far', bridge: 'br1' })
    relay.spawn(['dhcrelay', '-6', '-d', '--no-pid', '-l', 'eth1', '-u', '2001:db8:1::2%eth0'], { stdio: 'ignore' })
    await until(async () => (await relay.exec(['ss', '-uln'])).stdout.includes(':547'), { what: 'the relay listens' })
    const client = await lab.client(mac(1), 'br1')
    client.dhclient('-1')
    expect(addressIn(await boundSoon(client))).toMatch(/^2001:db8:2::1:[0-9a-f]{1,2}$/)
    expect(region.bindings.size).toBe(1)
  })

  it('two relays deep, with interface ids and the client\'s MAC as the relay saw it', async () => {
    const { rack } = await serve()
    await rack.apply([{ kind: 'host', id: '2001:db8:1::20', value: { subnet: 's1', client: mac(5), hostname: null } }])
    const near = relayed({ link: '2001:db8:1::9', peer: 'fe80::77', options: [{ code: option6.linkLayerAddress, value: Buffer.from(`0001${mac(5).replaceAll(':', '')}`, 'hex') }, { code: option6.interfaceId, value: Buffer.from('port 7') }] })
    const station = await lab.client(mac(6))
    const raw = await station.raw(relayed({ hops: 1, peer: 'fe80::9', options: [{ code: option6.interfaceId, value: Buffer.from('uplink') }] }))
    const { forwarded } = await import('../../../../plugins/dhcp/v6/relay6.ts')
    raw.send(forwarded({ relays: [relayed({ hops: 1, peer: 'fe80::9', options: [{ code: option6.interfaceId, value: Buffer.from('uplink') }] }), near], message: message({ type: 'REQUEST', client: Buffer.from('000400112233445566778899aabbccddeeff', 'hex'), ias: [[1]] }) }))
    const [answer] = await until(() => raw.heard.length > 0 ? raw.heard : undefined, { what: 'a relayed reply' })
    expect(answer?.relays.map(({ hops, peer, options }) => [hops, ip6Text(peer), String(first6(options, option6.interfaceId))])).toEqual([[1, 'fe80::9', 'uplink'], [0, 'fe80::77', 'port 7']])
    expect(answer && addressesOf(answer.message)).toEqual([['2001:db8:1::20', 600]])
  })
})

describe('a rack goes on', () => {
  it('a change is in the next reply, and takes no socket away', async () => {
    const { rack } = await serve()
    const raw = await (await lab.client(mac(1))).raw()
    const asks = (xid: number) => message({ type: 'INFORMATION-REQUEST', asks: [option6.dnsServers], xid })
    expect(first6((await raw.exchange(asks(1))).options, option6.dnsServers)?.toString('hex')).toBe(parseIp6('2001:db8:1::53') + parseIp6('2001:db8:1::54'))
    const before = await rack.namespace.exec(['ss', '-ulne'])
    const changed = segment6Entry()
    await rack.apply([{ kind: 'segment6', id: '5', value: { ...changed, subnets: changed.subnets.map(subnet => ({ ...subnet, dnsServers: ['2001:db8:1::55'] })) } }])
    expect(first6((await raw.exchange(asks(2))).options, option6.dnsServers)?.toString('hex')).toBe(parseIp6('2001:db8:1::55'))
    expect((await rack.namespace.exec(['ss', '-ulne'])).stdout).toBe(before.stdout)
  })

  it('damaged messages are counted and dropped, and the next good one is answered', async () => {
    const { rack } = await serve()
    const raw = await (await lab.client(mac(1))).raw()
    raw.send(Buffer.of(1))
    raw.send(Buffer.of(1, 0, 0, 0, 0, 1, 0, 9))
    raw.send(Buffer.concat([Buffer.of(12, 0), Buffer.alloc(32)]))
    await raw.exchange(message({ type: 'SOLICIT', ias: [[1]] }))
    for (const kind of ['short', 'option-truncated', 'relay-empty']) expect(await metric(rack, `bedplate_dhcp_dropped{reason="${kind}"} 1`)).toBe(true)
  })

  it('rapid commit: two messages', async () => {
    const { region } = await serve()
    const raw = await (await lab.client(mac(1))).raw()
    const answer = await raw.exchange(message({ type: 'SOLICIT', ias: [[1]], options: [{ code: option6.rapidCommit, value: Buffer.alloc(0) }] }))
    expect(answer.type).toBe(message6.REPLY)
    expect([...region.bindings.keys()]).toEqual([addressesOf(answer)[0]?.[0]])
  })

  it('stops answering where it is no longer wanted, and says so', async () => {
    const { rack } = await serve()
    const listening = async () => (await rack.namespace.exec(['ss', '-uln'])).stdout.includes(':547')
    expect(await listening()).toBe(true)
    await rack.apply([], true)
    await until(async () => !await listening())
    expect(await rack.ask('health6')).toMatchObject({ state: 'off', reason: expect.stringContaining('no VLAN') })
    await rack.apply([entry({ interface: 'eth9' })], true)
    await until(async () => (await rack.ask('health6') as { state: string }).state === 'dead')
    expect(await rack.ask('health6')).toMatchObject({ reason: expect.stringContaining('there is no network interface eth9') })
    await rack.apply([entry()], true)
    await until(listening)
    await rack.ask('stop')
    expect(await listening()).toBe(false)
  })

  it('firmware is told what to boot, and iPXE its own script', async () => {
    await serve()
    const raw = await (await lab.client(mac(1))).raw()
    const boot = async (xid: number, texts: string[], architecture: number, ...more: { code: number, value: Buffer }[]) => {
      const options = [{ code: option6.vendorClass, value: Buffer.concat([u32(343), writeStrings(...texts.map(text => Buffer.from(text)))]) }, { code: option6.architecture, value: u16(architecture) }, ...more]
      const answer = await raw.exchange(message({ type: 'SOLICIT', client: Buffer.from('000400112233445566778899aabbccddeeff', 'hex'), ias: [[1]], asks: [option6.bootFileUrl], options, xid }))
      return { url: String(first6(answer.options, option6.bootFileUrl)), vendor: first6(answer.options, option6.vendorClass)?.toString('latin1', 6), seconds: addressesOf(answer)[0]?.[1] }
    }
    expect(await boot(1, ['PXEClient:Arch:00007:UNDI:003016'], 7)).toEqual({ url: 'tftp://[2001:db8:1::2]/ipxe.efi', vendor: undefined, seconds: 120 })
    expect(await boot(2, ['HTTPClient:Arch:00016:UNDI:003016'], 16)).toEqual({ url: 'http://[2001:db8:1::2]:5248/boot/loaders/ipxe.efi', vendor: 'HTTPClient', seconds: 120 })
    expect(await boot(3, ['PXEClient:Arch:00007:UNDI:003010'], 7, { code: option6.userClass, value: writeStrings(Buffer.from('iPXE')) })).toEqual({ url: 'http://[2001:db8:1::2]:5248/boot/ipxe/02-00-00-00-00-01', vendor: undefined, seconds: 120 })
    expect(mine.length).toBe(18)
  })
})
