/** How many unknown clients may come in, by port and by VLAN. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Limits, portOf, starvedSentence, usual } from '../../../plugins/dhcp/rack/limits.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { me, other } from './build.ts'

const admitted = (limits: Limits, count: number, { vlan = '5', port = null as string | null, pool = 200, now = 0 } = {}): number =>
  Array.from({ length: count }).filter(() => limits.admit(vlan, port, pool, me, now)).length
const relayed = (...parts: readonly (readonly [code: number, value: string])[]) => new Map([[option.relay, Buffer.concat(parts.map(([code, value]) => Buffer.concat([Buffer.of(code, value.length), Buffer.from(value)])))]])

describe('a VLAN', () => {
  it('gives half of its pool at once, and the whole in a minute', () => {
    const limits = new Limits()
    expect(admitted(limits, 100_000, { pool: 12_000 })).toBe(6000)
    expect(admitted(limits, 100_000, { pool: 12_000, now: 10_000 })).toBe(2000)
  })
  it('gives a few a second, however small its pool', () => {
    const limits = new Limits()
    expect(admitted(limits, 1000, { pool: 4 })).toBe(20)
    expect(admitted(limits, 1000, { pool: 4, now: 1000 })).toBe(20)
  })
  it('is not held by what happens on another', () => {
    const limits = new Limits()
    admitted(limits, 1000)
    expect(admitted(limits, 10, { vlan: '6' })).toBe(10)
  })
  it('does not gain by a clock that goes back, nor more than its burst by one that leaps', () => {
    const limits = new Limits()
    admitted(limits, 1000, { now: 50_000 })
    expect(admitted(limits, 10, { now: 10_000 })).toBe(0)
    expect(admitted(limits, 10, { now: 50_000 })).toBe(0)
    expect(admitted(limits, 1000, { now: 1e12 })).toBe(100)
  })
})

describe('a port of a relay', () => {
  it('is its circuit and remote id, and nobody else may name one', () => {
    expect(portOf(1, relayed([1, 'eth1/7'], [2, 'sw1']))).toBe(`${Buffer.from('eth1/7').toString('hex')}/${Buffer.from('sw1').toString('hex')}`)
    expect(portOf(1, relayed([2, 'sw1']))).toBe(`/${Buffer.from('sw1').toString('hex')}`)
    expect(portOf(1, relayed([5, 'abcd']))).toBeNull()
    expect(portOf(1, new Map())).toBeNull()
    expect(portOf(0, relayed([1, 'eth1/7']))).toBeNull()
  })
  it('that floods is held by itself: its neighbours on the VLAN go on', () => {
    const limits = new Limits()
    expect(admitted(limits, 100_000, { port: 'a/', pool: 1000 })).toBe(usual.portBurst)
    expect(admitted(limits, 50, { port: 'b/', pool: 1000 })).toBe(50)
    expect(admitted(limits, 100_000, { port: 'a/', pool: 1000, now: 2000 })).toBe(10)
  })
  it('never has more than a quarter of what its VLAN may have', () => {
    const limits = new Limits()
    expect(admitted(limits, 100, { port: 'a/', pool: 120 })).toBe(15)
    expect(admitted(limits, 100, { port: 'b/', pool: 120 })).toBe(15)
  })
  it('invented without end is held by the VLAN, and costs no more memory than 4,096 do', () => {
    const limits = new Limits()
    let through = 0
    for (let port = 0; port < 100_000; port++) if (limits.admit('5', `${port}/`, 200, me, 0)) through++
    expect(through).toBe(100)
    expect(limits.size).toBeLessThanOrEqual(4097)
  })
})

describe('what is told of it', () => {
  it('names the VLAN, the port, how many and the first of them, until a minute has passed without', () => {
    const limits = new Limits()
    admitted(limits, 150, { port: '6574/', pool: 10_000 })
    limits.admit('5', '6574/', 10_000, other, 10)
    expect(limits.starved(20)).toEqual([{ vlan: '5', port: '6574/', refused: 51, mac: me }])
    expect(starvedSentence({ vlan: '5', port: '6574/', refused: 51, mac: me })).toContain(`51 refused, the first one ${me}; known machines are served`)
    expect(limits.starved(60_009).length).toBe(1)
    expect(limits.starved(60_010)).toEqual([])
  })
  it('begins anew with the next flood, and a VLAN that is not served any more is forgotten', () => {
    const limits = new Limits()
    admitted(limits, 200)
    admitted(limits, 200, { now: 120_000 })
    expect(limits.starved(120_000)).toEqual([{ vlan: '5', port: null, refused: 100, mac: me }])
    limits.keep(new Map())
    expect(limits.starved(120_000)).toEqual([])
  })
})

it('never admits more than burst + rate × time, in any order of ports and times', () => {
  fc.assert(fc.property(fc.array(fc.record({ port: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: null }), wait: fc.integer({ min: -50, max: 500 }) }), { maxLength: 400 }), steps => {
    const limits = new Limits({ poolSeconds: 60, leastPerSecond: 20, portPerSecond: 2, portBurst: 4 })
    const [by, most] = [new Map<string, number>(), { now: 0, latest: 0 }]
    let all = 0
    for (const { port, wait } of steps) {
      most.now = Math.max(0, most.now + wait)
      most.latest = Math.max(most.latest, most.now)
      if (!limits.admit('5', port, 10, me, most.latest)) continue
      all++
      if (port !== null) by.set(port, (by.get(port) ?? 0) + 1)
    }
    expect(all).toBeLessThanOrEqual(20 + 20 * most.latest / 1000)
    for (const count of by.values()) expect(count).toBeLessThanOrEqual(4 + 2 * most.latest / 1000)
  }), { numRuns: 300 })
})
