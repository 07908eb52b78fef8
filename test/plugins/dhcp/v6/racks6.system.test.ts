/** Two racks, a region on a real PostgreSQL and real DHCPv6 clients: wanted state goes down, bindings and facts go up, nobody shares an address. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { WantedKey } from '../../../../plugins/dhcp/manifest.ts'
import { until } from '../../../kit/wait.ts'
import { openRegion } from '../region.kit.ts'
import type { Region } from '../region.kit.ts'
import type { FakeRegion, RackProcess } from '../segment.ts'
import { createLab6 } from './lab6.ts'
import type { Client6, Lab6 } from './lab6.ts'

let lab: Lab6
let region: Region
let subnet: string
const racks = new Map<string, RackProcess>()
let down = false
let pushing = false
let pushes: Promise<void> = Promise.resolve()

/** What the core does: changed rows → keys → entries → the rack. */
async function push (): Promise<void> {
  const keys = await region.running.touches!(await region.changes())
  for (const [name, rack] of racks) if (keys.length > 0 && rack.child.connected) await sync(name, rack, keys)
}
async function sync (name: string, rack: RackProcess, keys?: readonly WantedKey[]): Promise<void> {
  const put = await region.wanted(name, keys)
  await rack.apply(put, keys === undefined, (keys ?? []).filter(key => !put.some(entry => entry.kind === key.kind && entry.id === key.id)))
}
const viaRegion = (name: string): FakeRegion => ({
  bind: wishes => { if (down) throw new TypeError('the regions are gone'); return region.bind(name, ...wishes) },
  grant: subnet => region.grant(name, subnet),
  sync: params => { if (down) throw new TypeError('the regions are gone'); return region.sync(name, params) },
  report: (kind, body) => { void region.fact(name, kind as 'released' | 'declined', body) }
})

beforeEach(async () => {
  down = false
  lab = await createLab6()
  region = await openRegion()
  subnet = await region.subnet('2001:db8:1::/64', ['2001:db8:1::1:0', '2001:db8:1::1:ffff'], { dnsServers: ['2001:db8:1::53'] })
  await region.call('PUT', `/dhcp/subnets/${subnet}`, { leaseSeconds: 30 })
  for (const [name, address] of [['rack-a', '2001:db8:1::2'], ['rack-b', '2001:db8:1::3']] as const) {
    await region.attach(name, { eth0: [`${address}/64`] })
    racks.set(name, await lab.rack(`${address}/64`, viaRegion(name)))
  }
  expect((await region.call('PUT', '/dhcp/vlans/1', { enabled: true, mode: 'off', v6: 'stateful' })).status).toBe(200)
  for (const [name, rack] of racks) { await sync(name, rack); await rack.ask('start') }
  pushing = true
  pushes = (async () => { while (pushing) { await push(); await new Promise(resolve => { setTimeout(resolve, 20) }) } })()
})
afterEach(async () => {
  pushing = false
  await pushes
  await lab.destroy()
  racks.clear()
  await region.close()
})

const bindings = async () => (await region.call('GET', `/dhcp/bindings?subnet=${subnet}`)).body.items as { address: string, mac: string, expires: string }[]
const bound = (client: Client6, which = /^(BOUND6|REBIND6|RENEW6|REBOOT6) new=2/) => until(async () => (await client.events()).findLast(event => which.test(event)), { timeout: 60_000, what: 'the client has an address' })
const addressIn = (event: string) => /new=(\S+)/.exec(event)?.[1] ?? ''

describe('two racks and a real database', () => {
  it('six clients, the first rack killed in the midst: each has an address of its own, and the database knows whose', async () => {
    const clients = await Promise.all(Array.from({ length: 6 }, (_, index) => lab.client(`02:00:00:00:01:0${index}`)))
    for (const client of clients.slice(0, 3)) client.dhclient()
    await until(async () => (await bindings()).length > 0)
    racks.get('rack-a')?.child.kill('SIGKILL')
    for (const client of clients.slice(3)) client.dhclient()
    const addresses = (await Promise.all(clients.map(client => bound(client)))).map(addressIn)
    expect(new Set(addresses).size).toBe(6)
    const stored = await bindings()
    for (const [index, address] of addresses.entries()) expect(stored.find(binding => binding.address === address)?.mac).toMatch(new RegExp(`^0003000102000000010${index}/`))
  })

  it('both racks killed and started anew: the lease goes on', async () => {
    const client = await lab.client('02:00:00:00:02:01')
    client.dhclient()
    const address = addressIn(await bound(client))
    for (const [name, { child, namespace }] of racks) {
      child.kill('SIGKILL')
      const again = await lab.rack('', viaRegion(name), namespace)
      racks.set(name, again)
      await sync(name, again)
      await again.ask('start')
    }
    expect(addressIn(await bound(client, /^RENEW6 new=2/))).toBe(address)
    expect((await bindings()).map(({ address }) => address)).toEqual([address])
  })

  it('the regions gone: the lease goes on from the racks\' journals, a new client waits, and all is handed in afterwards', async () => {
    const [client, stranger] = [await lab.client('02:00:00:00:04:01'), await lab.client('02:00:00:00:04:02')]
    client.dhclient()
    const address = addressIn(await bound(client))
    await until(async () => (await Promise.all([...racks.values()].map(rack => rack.ask('health6')))).every(health => (health as { state: string }).state === 'running'), { what: 'the racks have talked to a region' })
    down = true
    stranger.dhclient()
    const { expires } = (await bindings()).find(one => one.address === address)!
    expect(addressIn(await bound(client, /^RENEW6 new=2/))).toBe(address)
    expect((await stranger.events()).some(event => event.includes('new=2'))).toBe(false)
    expect(await racks.get('rack-a')?.ask('health6')).toMatchObject({ state: 'degraded', reason: expect.stringContaining('the regions are gone') })
    down = false
    await until(async () => { const found = (await bindings()).find(one => one.address === address); return found !== undefined && found.expires > expires }, { timeout: 20_000, what: 'the lease given alone is in the database' })
    expect(addressIn(await bound(stranger))).not.toBe(address)
  })

  it('a VLAN turned off falls silent on every rack, and turned on again answers', async () => {
    const listening = async () => Promise.all([...racks.values()].map(async rack => (await rack.namespace.exec(['ss', '-uln'])).stdout.includes(':547')))
    expect(await listening()).toEqual([true, true])
    await region.call('PUT', '/dhcp/vlans/1', { enabled: false })
    await until(async () => (await listening()).every(one => !one))
    await region.call('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-b'] })
    await until(async () => (await listening()).join() === 'false,true')
    const client = await lab.client('02:00:00:00:03:01')
    client.dhclient('-1')
    expect(addressIn(await bound(client))).toMatch(/^2001:db8:1::1:/)
  })
})
