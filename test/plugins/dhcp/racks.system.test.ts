/** Two racks, a region on a real PostgreSQL and real clients: wanted state goes down, bindings and facts go up, nobody shares an address. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { WantedKey } from '../../../plugins/dhcp/manifest.ts'
import { until } from '../../kit/wait.ts'
import { openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'
import { createSegment } from './segment.ts'
import type { FakeRegion, RackProcess, TestSegment } from './segment.ts'

let segment: TestSegment
let region: Region
let subnet: string
const racks = new Map<string, RackProcess>()
let pushing = false
let pushes: Promise<void> = Promise.resolve()

/** What the core does: changed rows → keys → entries → the rack. */
async function push (): Promise<void> {
  const keys = await region.running.touches!(await region.changes())
  for (const [name, rack] of racks) if (keys.length > 0 && rack.child.connected) await sync(name, rack, keys)
}
async function sync (name: string, rack: RackProcess, keys?: readonly WantedKey[]): Promise<void> {
  const put = await region.wanted(name, keys)
  const remove = (keys ?? []).filter(key => !put.some(entry => entry.kind === key.kind && entry.id === key.id))
  await rack.apply(put, keys === undefined, remove)
}
const viaRegion = (name: string): FakeRegion => ({
  bind: wishes => region.bind(name, ...wishes),
  grant: subnet => region.grant(name, subnet),
  report: (kind, body) => { void region.fact(name, kind as 'released' | 'declined', body) }
})

beforeEach(async () => {
  segment = await createSegment()
  region = await openRegion()
  subnet = await region.subnet('192.0.2.0/24', ['192.0.2.100', '192.0.2.139'], { gateway: '192.0.2.1' })
  for (const [name, address] of [['rack-a', '192.0.2.2'], ['rack-b', '192.0.2.3']] as const) {
    await region.attach(name, { eth0: [`${address}/24`] })
    racks.set(name, await segment.rack(`${address}/24`, viaRegion(name)))
  }
  const { status } = await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
  expect(status).toBe(200)
  for (const [name, rack] of racks) { await sync(name, rack); await rack.ask('start') }
  pushing = true
  pushes = (async () => { while (pushing) { await push(); await new Promise(resolve => { setTimeout(resolve, 20) }) } })()
})
afterEach(async () => {
  pushing = false
  await pushes
  await segment.destroy()
  racks.clear()
  await region.close()
})

const bindings = async () => (await region.call('GET', `/dhcp/bindings?subnet=${subnet}`)).body.items as { address: string, mac: string }[]
const addressOf = async (client: Awaited<ReturnType<TestSegment['client']>>) => (await until(async () => (await client.events()).findLast(event => /^(bound|BOUND) /.test(event)), { timeout: 40_000, what: 'the client has an address' })).split(' ')[1]

describe('two racks and a real database', () => {
  it('eight clients at once, the first rack killed in the midst: each has an address of its own, and the database knows whose', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, (_, index) => segment.client(`02:00:00:00:01:0${index}`)))
    clients.slice(0, 4).forEach((client, index) => { index % 2 === 0 ? client.udhcpc('-q') : client.dhclient('-1') })
    await until(async () => (await bindings()).length > 0)
    racks.get('rack-a')?.child.kill('SIGKILL')
    clients.slice(4).forEach((client, index) => { index % 2 === 0 ? client.udhcpc('-q') : client.dhclient('-1') })
    const addresses = await Promise.all(clients.map(addressOf))
    expect(new Set(addresses).size).toBe(8)
    const stored = await bindings()
    for (const [index, address] of addresses.entries()) expect(stored.find(binding => binding.address === address)?.mac).toBe(`02:00:00:00:01:0${index}`)
  })

  it('an address set aside in the API is what the machine gets, and a released lease is gone from the list', async () => {
    const client = await segment.client('02:00:00:00:02:01')
    const first = client.udhcpc('-R')
    const dynamic = await addressOf(client)
    const bound = Date.now()
    await until(() => Date.now() - bound > 7000, { what: 'the lease to be so old that the rack takes its RELEASE' })
    first.kill('SIGTERM')
    await until(async () => (await bindings()).length === 0, { what: 'the release is stored' })
    const { address } = await region.db.tx(tx => region.network.allocate(tx, { subnetId: subnet, kind: 'sticky', mac: '02:00:00:00:02:01', hostname: 'sure-fox' }))
    expect(address).not.toBe(dynamic)
    await until(async () => {
      const before = (await client.events()).length
      client.udhcpc('-q', '-n')
      await until(async () => (await client.events()).slice(before).some(event => event.startsWith('bound ')), { timeout: 10_000 })
      return await addressOf(client) === address
    }, { timeout: 30_000 })
    expect(await bindings()).toContainEqual(expect.objectContaining({ address, mac: '02:00:00:00:02:01' })) // beside the dynamic one, if it was quicker than the push
  })

  it('a VLAN turned off falls silent on every rack, and turned on again answers', async () => {
    const listening = async () => Promise.all([...racks.values()].map(async rack => (await rack.namespace.exec(['ss', '-uln'])).stdout.includes(':67')))
    expect(await listening()).toEqual([true, true])
    await region.call('PUT', '/dhcp/vlans/1', { enabled: false })
    await until(async () => (await listening()).every(one => !one))
    await region.call('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['rack-b'] })
    await until(async () => (await listening()).join() === 'false,true')
    const client = await segment.client('02:00:00:00:03:01')
    client.udhcpc('-q')
    expect(await addressOf(client)).toMatch(/^192\.0\.2\./)
    expect((await client.events()).at(-1)).toContain('server=192.0.2.3')
  })
})
