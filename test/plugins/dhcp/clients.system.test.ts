/** Real clients on a real wire: busybox's udhcpc and ISC's dhclient against a rack in a namespace. Only the region's answers are stood in for. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { TestSegment } from './segment.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox', dhclient: 'isc-dhcp-client' }) })
let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })

const serve = async (region = memoryRegion(), changes: Parameters<typeof segmentEntry>[1] = {}) => {
  const rack = await segment.rack('192.0.2.2/24', region)
  await rack.apply([segmentEntry('192.0.2.2', changes)], true)
  await rack.ask('start')
  return { rack, region }
}
const bound = (events: readonly string[]) => events.find(event => /^(bound|BOUND) /.test(event))

describe('a real client', () => {
  it('udhcpc gets an address with mask, router and DNS servers, and the region holds its binding', async () => {
    const { region } = await serve()
    const client = await segment.client('02:00:00:00:00:01')
    client.udhcpc('-q')
    const event = await until(async () => bound(await client.events()), { timeout: 20_000 })
    expect(event).toBe('bound 192.0.2.100 server=192.0.2.2 mask=255.255.255.0 router=192.0.2.1 dns=192.0.2.53 hostname=')
    expect(region.bindings.get('192.0.2.100')?.mac).toBe('02:00:00:00:00:01')
  })

  it('dhclient gets an address', async () => {
    const { region } = await serve()
    const client = await segment.client('02:00:00:00:00:02')
    client.dhclient('-1')
    const event = await until(async () => bound(await client.events()), { timeout: 20_000 })
    expect(event).toContain('server=192.0.2.2 mask=255.255.255.0 router=192.0.2.1 dns=192.0.2.53')
    expect(region.bindings.get('192.0.2.100')?.mac).toBe('02:00:00:00:00:02')
  })
})
