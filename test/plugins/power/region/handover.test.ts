/** When the next rack may be asked after one fell silent: the decision, and racks.ts under a clock the test moves. */
import { expect, test } from 'vitest'
import { BedplateError } from '../../../../core/errors.ts'
import { grace } from '../../../../plugins/power/region/assign.ts'
import { glance, nextStep, notice, outcomeOf, type Doubt } from '../../../../plugins/power/region/handover.ts'
import { createRacks, type Doubts, type Execution } from '../../../../plugins/power/region/racks.ts'
import { manualClock } from '../../../kit/clock.ts'
import { until } from '../../../kit/wait.ts'
import { rackThat } from '../../machines/parts.ts'

const doubt: Doubt = { rack: 'a', until: 1000 }
test.each<[string, string[], Doubt | undefined, number, ReturnType<typeof nextStep>]>([
  ['the first, when nothing is doubted', ['a', 'b'], undefined, 0, { ask: 'a' }],
  ['nobody is left', [], undefined, 0, undefined],
  ['who fell silent and is linked again, though another is nearer', ['b', 'a'], doubt, 0, { ask: 'a' }],
  ['another waits', ['b'], doubt, 0, { wait: glance }],
  ['no longer than needed', ['b'], doubt, 990, { wait: 10 }],
  ['and is asked when the time is over', ['b'], doubt, 1000, { ask: 'b' }],
  ['the nearest again, when the time is over', ['b', 'a'], doubt, 1000, { ask: 'b' }]
])('%s', (_name, racks, held, now, step) => { expect(nextStep(racks, held, now)).toEqual(step) })

test.each<[string | undefined, { peerClosed?: boolean, cancelled?: boolean }, string]>([
  ['POWER_FAILED', {}, 'answered'], ['LINK_DOWN', {}, 'answered'], [undefined, {}, 'answered'],
  ['CALL_UNKNOWN', {}, 'silent'], ['CALL_UNKNOWN', { peerClosed: true }, 'gone'],
  ['CALL_TIMEOUT', {}, 'silent'], ['UNAVAILABLE', { cancelled: true }, 'silent'], ['CALL_UNKNOWN', { peerClosed: true, cancelled: true }, 'gone']
])('%s %j: %s', (code, { peerClosed = false, cancelled = false }, expected) => { expect(outcomeOf(code, { peerClosed, cancelled })).toBe(expected) })

function harness (first: () => Promise<{ state: 'on', note: null }>, linked: readonly string[] | (() => readonly string[]) = ['a', 'b']) {
  const clock = manualClock()
  const asked: string[] = []
  const doubts: Doubts = new Map()
  const handed: string[] = []
  const racks = createRacks({
    clock, racks: typeof linked === 'function' ? linked : () => linked, routes: async () => [{ rack: 'a', reachable: true, rtt: 1 }, { rack: 'b', reachable: true, rtt: 5 }, { rack: 'c', reachable: false, rtt: null }],
    rack: id => rackThat({ execute: async () => { asked.push(`${id} ${clock.monotonic()}`); return id === 'a' && asked.length === 1 ? await first() : { state: 'on', note: null } } })
  })
  const begin = (more: Partial<Execution> = {}) => racks.execute({ machine: 'm', driver: 'redfish', parameters: {} }, 'off', { boot: null }, { timeout: 60_000, signal: new AbortController().signal, hosts: [], doubts, hand: async id => { handed.push(id); return true }, ...more }).then(done => done.rack, (error: BedplateError) => error.code)
  return { clock, asked, doubts, handed, begin }
}
const unknown = (peerClosed = false) => new BedplateError('CALL_UNKNOWN', { method: 'power.execute', controller: 'a', reason: 'x', ...(peerClosed ? { peerClosed } : {}) })
/** Moves the clock on until it is done. */
async function run<T> (clock: ReturnType<typeof manualClock>, work: Promise<T>): Promise<T> {
  let over = false
  void work.finally(() => { over = true })
  await until(async () => { if (!over) await clock.advance(50); return over }, { interval: 0 })
  return await work
}

test('a rack whose end closed the connection is followed at once', async () => {
  const { begin, asked, clock } = harness(async () => { throw unknown(true) })
  expect(await run(clock, begin())).toBe('b')
  expect(asked).toEqual(['a 0', 'b 0'])
})

test('one that fell silent is followed when it must have noticed', async () => {
  let up = true
  const { begin, asked, clock, doubts } = harness(async () => { up = false; throw unknown() }, () => up ? ['a', 'b'] : ['b'])
  expect(await run(clock, begin())).toBe('b')
  expect(asked[0]).toBe('a 0')
  expect(Number(asked[1]?.split(' ')[1])).toBeGreaterThanOrEqual(notice)
  expect(doubts.size).toBe(0)
})

test('one that is back is asked itself, without waiting', async () => {
  const { begin, asked, clock } = harness(async () => { throw unknown() })
  expect(await run(clock, begin())).toBe('a')
  expect(asked).toEqual(['a 0', `a ${glance}`])
})

test('the doubt outlives the action: the next one of the machine waits, too', async () => {
  let up = true
  const { begin, asked, clock, doubts } = harness(() => new Promise(() => {}), () => up ? ['a', 'b'] : ['b'])
  const called = new AbortController()
  const first = begin({ signal: called.signal, timeout: 1_000 })
  await until(() => asked.length === 1)
  doubts.set('m', { rack: 'a', until: notice })
  up = false
  expect(await run(clock, begin())).toBe('b')
  expect(Number(asked.at(-1)?.split(' ')[1])).toBeGreaterThanOrEqual(notice)
  called.abort()
  void first
})

test('each rack is noted before it is asked, and one that may not be is not', async () => {
  const { begin, handed, clock } = harness(async () => { throw new BedplateError('POWER_FAILED', { action: 'off', reason: 'no' }) })
  expect(await run(clock, begin())).toBe('b')
  expect(handed).toEqual(['a', 'b'])
  const stopped = harness(async () => ({ state: 'on', note: null }))
  expect(await run(stopped.clock, stopped.begin({ hand: async () => false }))).toBe('UNAVAILABLE')
  expect(stopped.asked).toEqual([])
})

test('a machine that carries a rack is not switched through it, and not without another one left beside who does it', async () => {
  const three = harness(async () => ({ state: 'on', note: null }), ['a', 'b', 'c'])
  expect(await run(three.clock, three.begin({ hosts: ['a'] }))).toBe('b')
  const two = harness(async () => ({ state: 'on', note: null }))
  expect(await run(two.clock, two.begin({ hosts: ['a'] }))).toBe('POWER_LAST_RACK')
  const itself = harness(async () => ({ state: 'on', note: null }), ['a'])
  expect(await run(itself.clock, itself.begin({ hosts: ['a'] }))).toBe('POWER_LAST_RACK')
  expect([...two.asked, ...itself.asked]).toEqual([])
})

test('racks that are linked a moment later count: a region that has just begun to lead has no links yet', async () => {
  const linked: string[] = []
  const { begin, clock, asked } = harness(async () => ({ state: 'on', note: null }), () => linked)
  let ended: string | undefined
  void begin({ hosts: ['a'] }).then(how => { ended = how })
  await clock.advance(grace - 1)
  expect([ended, asked]).toEqual([undefined, []])
  linked.push('a', 'b', 'c')
  await clock.advance(glance)
  expect(ended).toBe('b')
  linked.length = 1
  const [none, short, off] = [begin({ hosts: ['a'] }), begin({ hosts: ['a'], timeout: 1_000 }), new AbortController()]
  const called = begin({ hosts: ['a'], signal: off.signal })
  off.abort()
  await clock.advance(1_000)
  expect([await short, await called]).toEqual(['POWER_LAST_RACK', 'UNAVAILABLE'])
  await clock.advance(grace - 1_000)
  expect(await none).toBe('POWER_LAST_RACK')
  expect(asked).toHaveLength(1)
})
