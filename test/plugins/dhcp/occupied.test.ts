/** An address that a rack found in use on the wire, as the region takes it, on a real PostgreSQL. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
beforeAll(async () => {
  region = await openRegion({ blockSize: 4 })
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.107'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
  await region.attach('rack-b', { eth1: ['10.0.0.3/24'] })
  await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
})
afterAll(() => region.close())

const occupied = (rack: string, address: string) => region.db.tx(tx => region.running.facts!(tx, rack, [{ kind: 'occupied', at: new Date().toISOString(), body: { address, subnet, mac: macOf(9) } }]))
const block = async (rack: string) => (await region.wanted(rack)).flatMap(({ kind, value }) => kind === 'block' ? (value as { addresses: string[] }).addresses : [])

it('leaves the block, is told to the rack, and is given to nobody for a while', async () => {
  const granted = await region.grant('rack-a', subnet)
  expect(granted).toHaveLength(4)
  const [first] = granted
  await region.changes()
  await occupied('rack-a', first!)
  expect((await region.changes()).map(({ topic, id }) => `${topic} ${id}`)).toEqual([`dhcp.block ${subnet}`])
  expect(await block('rack-a')).toEqual(granted.slice(1))
  expect(await region.bind('rack-a', { address: first!, client: macOf(1), subnet })).toMatchObject([{ stored: false }])
  expect(await region.grant('rack-b', subnet)).not.toContain(first)
  await region.db.query(`update dhcp.address set quarantined_until = now() where address = $1::inet`, [first])
  expect(await region.bind('rack-b', { address: first!, client: macOf(1), subnet })).toMatchObject([{ stored: true }])
})

it('stays as it is when it is bound by now, or in another rack\'s block', async () => {
  const [mine] = await block('rack-a')
  await region.bind('rack-a', { address: mine!, client: macOf(2), subnet })
  await occupied('rack-a', mine!)
  expect(await region.bind('rack-a', { address: mine!, client: macOf(2), subnet })).toMatchObject([{ stored: true }])
  const theirs = await block('rack-b')
  await occupied('rack-a', theirs[0]!)
  expect(await block('rack-b')).toEqual(theirs)
})
