/** A foreign server on a real segment: found by its address and MAC, and forgotten when it is gone. */
import { once } from 'node:events'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { requirePrograms } from '../../kit/network.ts'
import { until } from '../../kit/wait.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { RackProcess, TestSegment } from './segment.ts'
import { startUdhcpd } from './udhcpd.ts'

beforeAll(() => { requirePrograms({ busybox: 'busybox-static' }) })
let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })

type Told = { readonly kind: string, readonly body: unknown }
async function serve (address: string, peers: readonly string[] = [], rank = 0): Promise<{ readonly rack: RackProcess, readonly told: Told[], readonly health: () => Promise<{ state: string, reason?: string }> }> {
  const told: Told[] = []
  const rack = await segment.rack(`${address}/24`, { ...memoryRegion(), report: (kind: string, body: object) => { told.push({ kind, body }) } }, { config: { rogueProbeSeconds: 2 } })
  const entry = segmentEntry(address, { rank })
  if (entry.kind === 'segment') await rack.apply([{ ...entry, value: { ...entry.value, peers: [...peers] } }], true)
  await rack.ask('start')
  return { rack, told, health: async () => (await rack.ask('healths') as Record<string, { state: string, reason?: string }>).rogues ?? { state: 'missing' } }
}
const foreign = '02:00:00:00:00:66'

describe('a foreign server', () => {
  it('of another subnet is named with its address and MAC, reported, and forgotten when it is gone', async () => {
    const { rack, told, health } = await serve('192.0.2.2')
    await until(async () => String(await rack.ask('metrics')).includes('dhcp_packets') && (await health()).state === 'running')
    const server = await startUdhcpd(segment, await segment.client(foreign), '192.168.77.1')
    await until(async () => (await health()).state === 'degraded', { what: 'the rack heard it' })
    expect((await health()).reason).toContain(`A foreign DHCP server 192.168.77.1 (MAC ${foreign}) answers on VLAN 1, heard on eth0`)
    expect(told).toEqual([{ kind: 'rogue', body: { vlan: '1', address: '192.168.77.1', mac: foreign } }])
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
    await until(async () => (await health()).state === 'running', { what: 'it is forgotten' })
  })
})

describe('two racks of one installation', () => {
  it('take each other for no foreign server, answer none of each other\'s probes, and both find the foreign one', async () => {
    const [one, other] = [await serve('192.0.2.2', ['192.0.2.3']), await serve('192.0.2.3', ['192.0.2.2'], 1)]
    const probes = async ({ rack }: { rack: RackProcess }) => Number(/bedplate_dhcp_dropped\{reason="probe"\} (\d+)/.exec(String(await rack.ask('metrics')))?.[1] ?? 0)
    await until(async () => await probes(one) >= 2 && await probes(other) >= 2, { what: 'each heard the other ask' })
    const client = await segment.client('02:00:00:00:00:01')
    client.udhcpc('-q')
    await until(async () => (await client.events()).some(event => event.startsWith('bound ')))
    expect([await one.health(), await other.health()]).toEqual([{ state: 'running' }, { state: 'running' }])
    expect(String(await one.rack.ask('metrics'))).toContain('bedplate_dhcp_packets{type="OFFER",direction="out"} 1')
    await startUdhcpd(segment, await segment.client(foreign), '192.0.2.66')
    for (const { health } of [one, other]) await until(async () => (await health()).state === 'degraded')
  })

  it('that do not know each other do: a second installation on the segment is a foreign one', async () => {
    const [one, other] = [await serve('192.0.2.2'), await serve('192.0.2.3')]
    for (const [{ health }, address] of [[one, '192.0.2.3'], [other, '192.0.2.2']] as const) {
      await until(async () => (await health()).state === 'degraded')
      expect((await health()).reason).toContain(`A foreign DHCP server ${address}`)
    }
  })
})
