/** The service between the lease and the interface, without either: what it puts on, when it takes it off, and what it says. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { Clock } from '../../core/clock.ts'
import { BedplateError } from '../../core/errors.ts'
import { running } from '../../core/health.ts'
import { createElector } from '../../core/leader/elector.ts'
import type { ElectorOptions } from '../../core/leader/elector.ts'
import { trustedUntil } from '../../core/leader/term.ts'
import type { Term } from '../../core/leader/term.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import { bytesOf } from '../../core/address/address.ts'
import type { Assigned, Link } from '../../core/address/address.ts'
import type { Interfaces } from '../../core/address/interface.ts'
import type { Segment } from '../../core/address/segment.ts'
import { readFloating } from '../../core/vip/address.ts'
import { createFloatingAddress, vipPace } from '../../core/vip/service.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

const log = createLogger('silent')
const signal = new AbortController().signal
const addresses = readFloating({ addresses: ['10.0.0.10/24'] }, ['region'])
const eth0: Link = { index: 2, name: 'eth0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), ethernet: true, up: true }
const assigned = (text: string, prefix: number, lasting: boolean): Assigned => ({ link: 2, family: 4, bytes: bytesOf(text) ?? new Uint8Array(), prefix, lasting })
const never: ElectorOptions['db'] = { query: () => new Promise(() => {}), tx: () => new Promise(() => {}) }

/** Everything around the service, by hand. */
function stage () {
  const trace: string[] = []
  let offset = 0
  const clock: Clock = { now: systemClock.now, monotonic: () => systemClock.monotonic() + offset, sleep: systemClock.sleep }
  const state = { links: [eth0] as Link[], assigned: [assigned('10.0.0.1', 24, true)] as Assigned[], ready: true, refuse: undefined as BedplateError | undefined, foreign: undefined as string | undefined, asking: Promise.resolve() }
  const interfaces: Interfaces = {
    links: () => state.links,
    addresses: () => state.assigned,
    put (address, link, seconds) { if (state.refuse) throw state.refuse; trace.push(`put ${address.text} on ${link} for ${seconds} s`) },
    remove (address, link) { if (state.refuse) throw state.refuse; trace.push(`remove ${address.text} from ${link}`) },
    close () { trace.push('close') }
  }
  const segment: Segment = {
    check: async () => {},
    async whoHas () { trace.push('ask'); await state.asking; return state.foreign },
    async announce () { trace.push('announce') }
  }
  let elector: ElectorOptions | undefined
  const metrics = createMetrics()
  const service = createFloatingAddress({
    addresses, holder: 'a', db: never, clock, log, metrics, interfaces: async () => interfaces, segment, ready: () => state.ready,
    createElector (options) {
      elector = options
      return { name: 'elector-vip', start: async () => {}, stop: async () => { current?.abort() }, health: () => running, current: () => undefined }
    }
  })
  let current: AbortController | undefined
  const given = (): ElectorOptions => { if (elector === undefined) throw new TypeError('no elector was made'); return elector }
  let until = 0
  let term: Term | undefined
  return {
    trace, state, service, metrics, given,
    jump (ms: number) { offset += ms },
    /** As the elector does: a term, and how long (ms) it may be trusted from now. */
    gain (trust: number) {
      current = new AbortController()
      const { signal: gone } = current
      term = { number: 1n, signal: gone, valid: () => !gone.aborted && clock.monotonic() < until, write: () => Promise.reject(new TypeError('not here')) }
      given().onGain(term)
      this.keep(trust)
    },
    keep (trust: number) { until = clock.monotonic() + trust; if (term !== undefined) given().onKept?.(term, until) },
    lose () { current?.abort(); if (term !== undefined) void given().onLoss(term) }
  }
}
const held = async (metrics: ReturnType<typeof createMetrics>): Promise<string | undefined> => /bedplate_vip_held (\d)/.exec(await metrics.registry.metrics())?.[1]

describe('a region that holds the lease', () => {
  let one: ReturnType<typeof stage>
  beforeEach(async () => {
    one = stage()
    await one.service.start(signal)
    await until(() => one.given().ready?.())
    one.trace.length = 0
  })

  test('asks the segment, puts the address on for whole seconds, and tells everybody, five times', async () => {
    one.gain(2100)
    await until(() => one.trace.filter(line => line === 'announce').length === 5, { timeout: 5000 })
    expect(one.trace.slice(0, 3)).toEqual(['ask', 'put 10.0.0.10 on 2 for 2 s', 'announce'])
    expect(one.service.held()).toBe(true)
    expect(await held(one.metrics)).toBe('1')
    expect(one.service.health()).toEqual(running)
    await one.service.stop()
    expect(one.trace.at(-1)).toBe('close')
    expect(one.trace.filter(line => line === 'announce')).toHaveLength(5)
    expect(await held(one.metrics)).toBe('0')
  })
  test('renews the lifetime with the lease, shorter when the answer was late, and not when less than a second is left', async () => {
    one.gain(2100)
    await until(() => one.service.held())
    one.keep(2100)
    one.keep(1400)
    one.keep(900)
    expect(one.trace.filter(line => line.startsWith('put'))).toEqual([2, 2, 1].map(seconds => `put 10.0.0.10 on 2 for ${seconds} s`))
    await one.service.stop()
  })
  test('takes the address off before anything else when it loses the lease, and announces no more', async () => {
    one.gain(2100)
    await until(() => one.service.held())
    one.lose()
    expect(one.trace.at(-1)).toBe('remove 10.0.0.10 from 2')
    expect(one.service.held()).toBe(false)
    const told = one.trace.filter(line => line === 'announce').length
    await one.service.stop()
    expect(one.trace.filter(line => line === 'announce')).toHaveLength(told)
  })
  test('puts nothing on when the lease was lost, or ran out, while it asked the segment', async () => {
    for (const meanwhile of [() => { one.lose() }, () => { one.jump(5000) }]) {
      const asked = Promise.withResolvers<void>()
      one.state.asking = asked.promise
      one.gain(2100)
      meanwhile()
      asked.resolve()
      await until(() => one.trace.includes('ask'))
      one.lose()
    }
    await one.service.stop()
    expect(one.trace.filter(line => line.startsWith('put'))).toEqual([])
  })
  test('leaves an address that another machine has, names its MAC, and takes it once it is free', async () => {
    one.state.foreign = '02:00:00:00:00:99'
    one.gain(2100)
    await until(() => one.service.health().state === 'degraded')
    expect(one.service.health()).toMatchObject({ reason: expect.stringMatching(/10\.0\.0\.10 is in use on eth0 by 02:00:00:00:00:99/) })
    expect(one.trace.filter(line => line.startsWith('put'))).toEqual([])
    one.state.foreign = undefined
    await until(() => { one.keep(2100); return one.service.held() })
    expect(one.service.health()).toEqual(running)
    await one.service.stop()
  })
  test('that can no longer change the interface gives up the lease, with the remedy', async () => {
    one.gain(2100)
    await until(() => one.service.held())
    one.state.refuse = new BedplateError('PRIVILEGE_MISSING', { what: 'Putting 10.0.0.10 on its interface', remedy: 'run as root' })
    one.keep(2100)
    expect(one.service.held()).toBe(false)
    expect(one.given().ready?.()).toBe(false)
    expect(one.service.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('run as root') })
    one.state.refuse = undefined
    await until(() => one.given().ready?.())
    await one.service.stop()
  })
  test('keeps the address over a moment without readiness, not over a longer one; and does not bid without', async () => {
    one.gain(60_000)
    await until(() => one.service.held())
    expect(one.given().ready?.()).toBe(true)
    one.state.ready = false
    expect(one.given().ready?.()).toBe(true)
    one.jump(1600)
    expect(one.given().ready?.()).toBe(false)
    one.lose()
    one.state.ready = true
    expect(one.given().ready?.()).toBe(true)
    one.state.ready = false
    expect(one.given().ready?.()).toBe(false)
    await one.service.stop()
  })
})

describe('a region that cannot hold it', () => {
  test.each([
    ['without the interface', (one: ReturnType<typeof stage>) => { one.state.assigned = [] }, /no interface has an address in the network of 10\.0\.0\.10\/24/],
    ['without the privilege', (one: ReturnType<typeof stage>) => { one.state.refuse = new BedplateError('PRIVILEGE_MISSING', { what: 'x', remedy: 'CAP_NET_ADMIN' }) }, /CAP_NET_ADMIN/],
    ['that has it for good', (one: ReturnType<typeof stage>) => { one.state.assigned.push(assigned('10.0.0.10', 24, true)) }, /10\.0\.0\.10 is on eth0 already, for good.*ip address del 10\.0\.0\.10\/24 dev eth0/]
  ] as const)('%s does not bid, and says what to do; it bids once that is done', async (_what, spoil, reason) => {
    const one = stage()
    spoil(one)
    await one.service.start(signal)
    await until(() => one.service.health().state === 'degraded')
    expect(one.service.health()).toMatchObject({ reason: expect.stringMatching(reason) })
    expect(one.given().ready?.()).toBe(false)
    one.state.assigned = [assigned('10.0.0.1', 24, true)]
    one.state.refuse = undefined
    await until(() => one.given().ready?.())
    expect(one.service.health()).toEqual(running)
    await one.service.stop()
  })
  test('takes off what an earlier process left', async () => {
    const one = stage()
    one.state.assigned.push(assigned('10.0.0.10', 32, false))
    await one.service.start(signal)
    await until(() => one.trace.includes('remove 10.0.0.10 from 2'))
    await one.service.stop()
  })
})

test('the pace: the kernel takes the address off before the lease runs out, whenever it was renewed', () => {
  for (let answered = 0; answered < 2000; answered += 10) {
    const seconds = Math.floor((trustedUntil(0, vipPace) - answered) / 1000)
    if (seconds > 0) expect(answered + seconds * 1000 + 280).toBeLessThanOrEqual(vipPace.ttl)
  }
})

let db: TestDatabase
beforeAll(async () => { db = await testDatabase({ size: 1 }) })
afterAll(() => db.drop())
serviceConformance('the floating address', {
  make: async () => {
    await db.query('select 1')
    const { state } = stage()
    const interfaces: Interfaces = { links: () => state.links, addresses: () => state.assigned, put () {}, remove () {}, close () {} }
    return { service: createFloatingAddress({ addresses, holder: 'a', db, clock: systemClock, log, metrics: createMetrics(), ready: () => true, createElector, interfaces: async () => interfaces, segment: { check: async () => {}, whoHas: async () => undefined, announce: async () => {} } }) }
  }
})
