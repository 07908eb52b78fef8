/** What is remembered of who serves what is never older than what was last looked at. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { Serving } from '../../../plugins/dhcp/region/serving.ts'
import type { NetworkService, Subnet, Vlan } from '../../../plugins/network/manifest.ts'
import { openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

const vlan: Vlan = { id: '1', fabricId: '1', vid: 0, name: 'untagged', mtu: 1500 }
const subnetWith = (gateway: string): Subnet => ({ id: 's1', vlanId: '1', name: 'lan', cidr: '10.0.0.0/24', family: 4, gateway, dnsServers: [], ranges: [] })

it('a look that began earlier and ends later does not put the older plan back', async () => {
  let gateway = '10.0.0.1'
  const gates: (() => void)[] = []
  const db = { query: async () => [{ id: '1', enabled: true, racks: [], mode: 'server', v6: 'off', via: null }], tx: () => Promise.reject(new TypeError('nothing is written here')) }
  const network: Pick<NetworkService, 'vlans' | 'subnets' | 'attachments'> = {
    vlans: async () => [vlan],
    subnets: async () => [subnetWith(gateway)],
    async attachments () {
      const seen = [{ rack: 'rack-a', vlanId: '1', subnetId: 's1', interface: 'eth0', mac: '02:00:00:00:00:01', address: '10.0.0.2' }]
      await new Promise<void>(resolve => gates.push(resolve))
      return seen
    }
  }
  const serving = new Serving(db as never, network as NetworkService, systemClock)
  const gatewayOf = async (fresh: boolean) => (await serving.of('rack-a', fresh))[0]?.subnets[0]?.gateway
  const early = gatewayOf(true)
  while (gates.length < 1) await Promise.resolve()
  gateway = '10.0.0.9'
  const late = gatewayOf(true)
  while (gates.length < 2) await Promise.resolve()
  gates[1]?.()
  expect(await late).toBe('10.0.0.9')
  gates[0]?.()
  expect(await early).toBe('10.0.0.1')
  expect(await gatewayOf(false)).toBe('10.0.0.9')
})

let region: Region
beforeAll(async () => { region = await openRegion() })
afterAll(() => region.close())

it('of several regions that look at once, each tells of what moved, and it is written down once', async () => {
  const subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.149'])
  const regions = Array.from({ length: 4 }, () => new Serving(region.db, region.network, systemClock))
  const look = async () => {
    await region.changes()
    const moved = await Promise.all(regions.map(one => one.moved()))
    return { moved: moved.flat(), written: (await region.changes()).filter(({ topic }) => topic === 'dhcp.serving').map(({ id }) => id) }
  }
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  expect(await look()).toEqual({ moved: [], written: [] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
  expect(await look()).toEqual({ moved: [subnet], written: [subnet] })
  expect(await look()).toEqual({ moved: [], written: [] })
  await region.attach('rack-b', { eth1: ['10.0.0.3/24'] })
  expect((await look()).written).toEqual([subnet])
  await region.attach('rack-b', {})
  expect((await look()).written).toEqual([subnet])
  await region.call('PUT', '/dhcp/vlans/1', { enabled: false })
  expect((await look()).written).toEqual([subnet])
  expect(await region.db.query('select from dhcp.served')).toEqual([])
})
