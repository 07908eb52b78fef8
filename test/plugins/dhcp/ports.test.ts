/** The relay's port a client is on, from the packet to the list of leases, on a real PostgreSQL. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Chain } from '../../../plugins/dhcp/v4/chain.ts'
import { usual, Limits } from '../../../plugins/dhcp/rack/limits.ts'
import type { Wish } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { encode } from '../../../plugins/dhcp/v4/packet.ts'
import { Server } from '../../../plugins/dhcp/v4/server.ts'
import type { ServerOptions } from '../../../plugins/dhcp/v4/server.ts'
import { me, now, packetOf, segmentWith } from './build.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.119'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
})
afterAll(() => region.close())

const relay = { circuitId: '0102', remoteId: 'ab' }
const placed = async (address: string) => {
  const [lease] = (await region.call('GET', `/dhcp/leases?address=${address}`)).body.items
  return [lease.client, lease.circuitId, lease.remoteId]
}

it('is on the wish of a packet that came through a relay, and on no other', () => {
  const wishes: Wish[] = []
  const memory = new Memory()
  const options: Partial<ServerOptions> = {
    memory, chain: new Chain({ httpPort: 1, firmwareLeaseSeconds: 120, log: {} as ServerOptions['log'] }), limits: new Limits(usual), quarantineSeconds: 600,
    wishes: { ask: (wish: Wish) => { wishes.push(wish) } } as Partial<ServerOptions['wishes']> as ServerOptions['wishes'], blocks: { refill () {} } as Partial<ServerOptions['blocks']> as ServerOptions['blocks'],
    traffic: { received () {}, sent () {}, dropped () {}, bound () {} }, clock: { now: () => now, monotonic: () => 0, sleep: () => Promise.resolve() }
  }
  const server = new Server(options as ServerOptions)
  const segment = segmentWith()
  memory.apply([{ kind: 'binding', id: '10.0.0.100', value: { subnet: 's1', client: me, clientId: null, expires: new Date(now + 1000).toISOString(), number: '1' } }], [], true, now)
  const request = (giaddr: string) => { server.receive(segment, encode(packetOf({ type: 'REQUEST', mac: me, ciaddr: '10.0.0.100', giaddr, options: [[option.relay, Buffer.of(2, 1, 0xab, 1, 2, 1, 2)]] })), () => {}) }
  request('10.0.0.9')
  request('0.0.0.0')
  expect(wishes.map(wish => wish.relay)).toEqual([relay, undefined])
})

it('is kept with the binding, and shown with the lease', async () => {
  const wish = { address: '10.0.0.100', client: macOf(1), subnet }
  await region.bind('rack-a', { ...wish, relay })
  expect(await placed('10.0.0.100')).toEqual([macOf(1), '0102', 'ab'])
  await region.bind('rack-a', wish)
  expect(await placed('10.0.0.100')).toEqual([macOf(1), '0102', 'ab'])
  await region.bind('rack-a', { ...wish, relay: { circuitId: '03', remoteId: null } })
  expect(await placed('10.0.0.100')).toEqual([macOf(1), '03', null])
})

it('counts only for the client it was seen with', async () => {
  await region.bind('rack-a', { address: '10.0.0.101', client: macOf(2), subnet, relay })
  await region.db.query(`update dhcp.address set mac = $1 where address = '10.0.0.101'`, [macOf(3)])
  expect(await placed('10.0.0.101')).toEqual([macOf(3), null, null])
})

it('is not noted for a wish that was refused', async () => {
  expect(await region.bind('rack-a', { address: '10.0.0.101', client: macOf(4), subnet, relay: { circuitId: '04', remoteId: null } })).toMatchObject([{ stored: false }])
  expect(await region.db.query('select client, circuit_id from dhcp.relay_port where address = \'10.0.0.101\'')).toEqual([{ client: macOf(2), circuit_id: '0102' }])
})
