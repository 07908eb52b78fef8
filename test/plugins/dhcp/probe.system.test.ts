/** Somebody who uses an address without a lease, on a real wire: nobody is offered it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { until } from '../../kit/wait.ts'
import { packetOf } from './build.ts'
import { createSegment, memoryRegion, segmentEntry } from './segment.ts'
import type { RackProcess, TestSegment } from './segment.ts'

let segment: TestSegment
beforeEach(async () => { segment = await createSegment() })
afterEach(async () => { await segment.destroy() })
const mac = (number: number) => `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`

async function serve (pool: readonly string[], probeSeconds = 600, cidr = '192.0.2.0/24') {
  const reports: { kind: string, address: string, mac: string }[] = []
  const region = { ...memoryRegion({ pool }), report: (kind: string, body: object) => { const { address, mac } = body as { address: string, mac: string }; reports.push({ kind, address, mac }) } }
  const rack = await segment.rack('192.0.2.2/24', region, { config: { probeSeconds } })
  const entry = segmentEntry('192.0.2.2')
  if (entry.kind !== 'segment') throw new Error('no segment')
  const [subnet] = entry.value.subnets
  await rack.apply([{ ...entry, value: { ...entry.value, subnets: [{ ...subnet!, cidr, dynamic: [{ start: pool[0]!, end: pool.at(-1)! }] }] } }], true)
  await rack.ask('start')
  return { rack, reports }
}
async function offers (count: number): Promise<string[]> {
  const raw = await (await segment.client(mac(50))).raw()
  const addresses: string[] = []
  for (let n = 0; n < count; n++) addresses.push(ipText((await raw.exchange({ ...packetOf({ type: 'DISCOVER', mac: mac(60 + n) }), xid: 0x1000 + n }, 'OFFER')).yiaddr))
  return addresses
}
const healthOf = async (rack: RackProcess) => JSON.stringify(await rack.ask('health'))

describe('an address somebody uses without a lease', () => {
  it('is told with their MAC, and offered to nobody', async () => {
    const squatter = await segment.client(mac(9))
    await squatter.namespace.exec(['ip', 'addr', 'add', '192.0.2.101/24', 'dev', 'eth0'])
    const { rack, reports } = await serve(['192.0.2.100', '192.0.2.101', '192.0.2.102'])
    await until(() => reports.length > 0, { what: 'the address was found' })
    expect(reports).toEqual([{ kind: 'occupied', address: '192.0.2.101', mac: mac(9) }])
    expect(await offers(2)).toEqual(['192.0.2.100', '192.0.2.102'])
    expect(await healthOf(rack)).toContain(`192.0.2.101 is in use by ${mac(9)}`)
  })

  it('of another subnet of the wire, where this rack has no address', async () => {
    const squatter = await segment.client(mac(9))
    await squatter.namespace.exec(['ip', 'addr', 'add', '198.51.100.7/24', 'dev', 'eth0'])
    const { reports } = await serve(['198.51.100.7', '198.51.100.8'], 600, '198.51.100.0/24')
    await until(() => reports.length > 0, { what: 'the address was found' })
    expect(reports).toEqual([{ kind: 'occupied', address: '198.51.100.7', mac: mac(9) }])
    expect(await offers(1)).toEqual(['198.51.100.8'])
  })

  it('behind a router, by its ping', async () => {
    const router = await segment.client(mac(8))
    const far = await segment.network.namespace()
    await segment.network.cable({ namespace: router.namespace, name: 'far0', addresses: ['198.51.100.1/24'] }, { namespace: far, name: 'eth0', addresses: ['198.51.100.7/24'] })
    await router.namespace.exec(['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'eth0'])
    await router.namespace.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    await far.exec(['ip', 'route', 'add', 'default', 'via', '198.51.100.1'])
    const reports: unknown[] = []
    const rack = await segment.rack('192.0.2.2/24', { ...memoryRegion({ pool: ['198.51.100.7', '198.51.100.8'] }), report: (kind, body) => { reports.push({ kind, ...body }) } }, { config: { probeSeconds: 600 } })
    await rack.namespace.exec(['ip', 'route', 'add', 'default', 'via', '192.0.2.1'])
    const entry = segmentEntry('192.0.2.2')
    if (entry.kind !== 'segment') throw new Error('no segment')
    await rack.apply([{ ...entry, value: { ...entry.value, subnets: [{ ...entry.value.subnets[0]!, cidr: '198.51.100.0/24', dynamic: [{ start: '198.51.100.7', end: '198.51.100.8' }] }] } }], true)
    await rack.ask('start')
    await until(() => reports.length > 0, { what: 'the address was found' })
    expect(reports).toEqual([{ kind: 'occupied', address: '198.51.100.7', subnet: 's1', mac: null }])
  })

  it('with probes off, its client has to find out', async () => {
    const squatter = await segment.client(mac(9))
    await squatter.namespace.exec(['ip', 'addr', 'add', '192.0.2.100/24', 'dev', 'eth0'])
    const { rack } = await serve(['192.0.2.100', '192.0.2.101'], 0)
    expect(await offers(1)).toEqual(['192.0.2.100'])
    expect(await rack.ask('health')).toEqual({ state: 'running' })
  })
})
