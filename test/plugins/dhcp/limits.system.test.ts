/** A flood of 100,000 invented MACs on a real segment with a /24: machines that are known boot in the midst of it. */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { join } from 'node:path'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { TestClient, TestSegment } from './segment.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox-static' }) })
let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })

it('a known machine and one with a fixed address are served, health names the flood, and a pool is left', { timeout: 240_000 }, async () => {
  const region = memoryRegion({ pool: Array.from({ length: 100 }, (_, index) => `192.0.2.${100 + index}`) })
  const rack = await segment.rack('192.0.2.2/24', region)
  const [known, fixed] = ['02:00:00:00:00:01', '02:00:00:00:00:02']
  await rack.apply([segmentEntry('192.0.2.2'), { kind: 'host', id: '192.0.2.20', value: { subnet: 's1', client: fixed, hostname: null } }], true)
  await rack.ask('start')
  const address = async (client: TestClient) => {
    const before = (await client.events()).length
    client.udhcpc('-q')
    return (await until(async () => (await client.events()).slice(before).find(event => event.startsWith('bound ')), { timeout: 60_000, what: 'the machine has an address' })).split(' ')[1]
  }
  const [one, two, attacker] = [await segment.client(known), await segment.client(fixed), await segment.client('02:00:00:00:00:99')]
  const first = await address(one)
  const flood = attacker.namespace.node(join(import.meta.dirname, 'flood-process.ts'), ['100000'])
  let out: number | string = 0
  flood.on('message', (message: number | string) => { out = message })
  await until(() => typeof out === 'number' && out > 20_000, { timeout: 60_000, what: 'the flood is under way' })
  expect(await address(one)).toBe(first)
  expect(await address(two)).toBe('192.0.2.20')
  expect(JSON.stringify(await rack.ask('health'))).toMatch(/VLAN 1 is starved by new clients: \d+ refused/)
  await until(() => out === 'done', { timeout: 180_000 })
  const metrics = String(await rack.ask('metrics'))
  expect(Number(/dropped\{reason="starved"\} (\d+)/.exec(metrics)?.[1])).toBeGreaterThan(1000)
  expect([...region.bindings.keys()].sort()).toEqual([first, '192.0.2.20'].sort())
  expect(await address(one)).toBe(first)
})
