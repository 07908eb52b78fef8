/** What a rack tells of its interfaces: at start, on difference, never twice the same. */
import { networkInterfaces } from 'node:os'
import { describe, expect, it } from 'vitest'
import { manifest } from '../../../plugins/network/manifest.ts'
import type { RackInterface } from '../../../plugins/network/manifest.ts'
import { reported } from '../../../plugins/network/interfaces.ts'
import type { SystemAddress } from '../../../plugins/network/interfaces.ts'
import { interfaceScan } from '../../../plugins/network/rack.ts'
import { Value } from 'typebox/value'
import { manualClock } from '../../kit/clock.ts'
import { serviceConformance } from '../../kit/conformance/service.ts'

const on = (cidr: string | null, mac = '52:54:00:00:00:01', internal = false): SystemAddress => ({ address: cidr?.split('/')[0] ?? '', cidr, mac, internal })
const ignore = Value.Create(manifest.config).ignoreInterfaces

describe('a report', () => {
  it('names each interface once, sorted, with its addresses but the link-local ones', () => {
    expect(reported({
      eth1: [on('10.0.1.2/24', 'AA:BB:CC:00:00:02')],
      eth0: [on('2001:db8::2/64'), on('fe80::5054:ff:fe00:1/64'), on('10.0.0.2/24'), on('169.254.7.7/16'), on(null)]
    }, [])).toEqual([
      { name: 'eth0', mac: '52:54:00:00:00:01', up: true, addresses: ['10.0.0.2/24', '2001:db8::2/64'] },
      { name: 'eth1', mac: 'aa:bb:cc:00:00:02', up: true, addresses: ['10.0.1.2/24'] }
    ])
  })

  it('leaves out loopback, and what is to be ignored', () => {
    const system = { lo: [on('127.0.0.1/8', '00:00:00:00:00:00', true)], docker0: [on('172.17.0.1/16')], veth12: [on('10.9.0.1/24')], virbr0: [on('192.168.122.1/24')], br0: [on('10.0.0.2/24')], none: undefined, empty: [] }
    expect(reported(system, ignore).map(({ name }) => name)).toEqual(['br0'])
    expect(reported(system, ['br0', 'virbr']).map(({ name }) => name)).toEqual(['docker0', 'veth12', 'virbr0'])
    expect(reported(system, ['*'])).toEqual([])
  })

  it('of this very host is a valid fact', () => {
    expect(Value.Check(manifest.facts.interfaces, { interfaces: reported(networkInterfaces(), []) })).toBe(true)
  })
})

describe('the scan', () => {
  const host = { eth0: [on('10.0.0.2/24')] }
  function scanning (look = (): Record<string, readonly SystemAddress[]> => host) {
    const clock = manualClock()
    const reports: RackInterface[][] = []
    return { clock, reports, scan: interfaceScan({ look, ignore: [], seconds: 10, clock, report: interfaces => { reports.push(interfaces) } }) }
  }
  const never = new AbortController().signal

  it('reports at every start, then only differences', async () => {
    let host = { eth0: [on('10.0.0.2/24')] }
    const { clock, reports, scan } = scanning(() => host)
    await scan.start(never)
    expect(reports).toHaveLength(1)
    await clock.advance(30_000)
    expect(reports).toHaveLength(1)
    host = { eth0: [on('10.0.0.3/24')] }
    await clock.advance(10_000)
    expect(reports.map(([eth0]) => eth0?.addresses)).toEqual([['10.0.0.2/24'], ['10.0.0.3/24']])
    await scan.stop()
    await scan.start(never)
    expect(reports).toHaveLength(3)
    await scan.stop()
  })

  it('is degraded while it cannot look or report, and makes up for it', async () => {
    let broken = true
    const { clock, reports, scan } = scanning(() => { if (broken) throw new RangeError('no such device'); return host })
    await scan.start(never)
    expect(scan.health()).toEqual({ state: 'degraded', reason: 'The interfaces of this host cannot be read or reported: no such device' })
    broken = false
    await clock.advance(10_000)
    expect([scan.health().state, reports.length]).toEqual(['running', 1])
    await scan.stop()
    expect([scan.health().state, clock.sleepers]).toEqual(['off', 0])
  })

  it('stays on when a new start overtakes a stop', async () => {
    const { clock, reports, scan } = scanning()
    await scan.start(never)
    const stopped = scan.stop()
    await scan.start(never)
    await stopped
    expect([scan.health().state, clock.sleepers, reports.length]).toEqual(['running', 1, 2])
    await scan.stop()
    expect(clock.sleepers).toBe(0)
  })
})

serviceConformance('interfaces', { make: () => ({ service: interfaceScan({ look: networkInterfaces, ignore: [], seconds: 10, clock: manualClock(), report: () => {} }) }) })
