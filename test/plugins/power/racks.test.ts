/** Which rack is asked, in which order, how often, and for how long: under a clock the test moves. */
import { expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { createRacks, type Doubts, type Execution, type RackClient } from '../../../plugins/power/region/racks.ts'
import type { Route } from '../../../plugins/power/store/routes.ts'
import { manualClock } from '../../kit/clock.ts'
import { until } from '../../kit/wait.ts'
import { rackThat } from '../machines/parts.ts'

const target = { machine: 'm1', driver: 'redfish', parameters: {} }
const never = new AbortController().signal
const options = (timeout: number, signal = never, more: Partial<Execution> = {}): Execution => ({ timeout, signal, hosts: [], doubts: new Map(), hand: async () => true, ...more })
const down = () => new BedplateError('LINK_DOWN', { controller: 'x' })

const start = { boot: null }

function harness (answers: Record<string, () => unknown>, routes: readonly Route[] = []) {
  const clock = manualClock()
  const doubts: Doubts = new Map()
  const asked: string[] = []
  const client = (id: string): RackClient => {
    const call = async () => {
      asked.push(id)
      const thrown = answers[id]?.()
      if (thrown instanceof Error) throw thrown
      return { state: 'on' as const, note: null }
    }
    return rackThat({ execute: call, query: call })
  }
  return { clock, asked, racks: createRacks({ clock, rack: client, racks: () => Object.keys(answers), routes: async () => routes }, () => 1), doubts }
}

test('the first rack that can is remembered, and asked first from then on', async () => {
  let cut = true
  const { racks, asked } = harness({ a: () => cut ? down() : undefined, b: () => undefined })
  expect(await racks.execute(target, 'on', start, options(10_000))).toMatchObject({ rack: 'b', state: 'on' })
  cut = false
  await racks.execute(target, 'on', start, options(10_000))
  expect(asked).toEqual(['a', 'b', 'b'])
})

test('a link that is gone at the moment of the call is passed over too', async () => {
  const clock = manualClock()
  const racks = createRacks({ clock, routes: async () => [], racks: () => ['a', 'b'], rack: id => { if (id === 'a') throw down(); return rackThat({ query: async () => ({ state: 'off' }) }) } })
  expect((await racks.query(target, 1_000)).rack).toBe('b')
})

test('rounds go on with growing pauses until the time is over, and the last error is told', async () => {
  const { racks, asked, clock } = harness({ a: down, b: () => new BedplateError('POWER_FAILED', { action: 'on', reason: 'no route' }) })
  const pending = racks.execute(target, 'on', start, options(10_000)).catch((error: unknown) => error)
  const times: number[] = []
  for (let round = 1; round <= 4; round++) { await until(() => clock.sleepers === 1); times.push(clock.monotonic()); await clock.advance(500 * 2 ** (round - 1)) }
  expect(await pending).toMatchObject({ code: 'POWER_FAILED', details: { reason: 'no route' } })
  expect(times).toEqual([0, 500, 1500, 3500])
  expect(asked).toHaveLength(10)
})

test('a question is not repeated: the next poll is', async () => {
  const { racks, asked } = harness({ a: down, b: down })
  await expect(racks.query(target, 60_000)).rejects.toMatchObject({ code: 'LINK_DOWN' })
  expect(asked).toEqual(['a', 'b'])
})

test('what is fatal at one rack is not tried at another', async () => {
  const { racks, asked } = harness({ a: () => new BedplateError('POWER_AUTHENTICATION', { reason: 'no' }), b: () => undefined })
  await expect(racks.execute(target, 'on', start, options(10_000))).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
  expect(asked).toEqual(['a'])
})

test('a signal ends it between two rounds', async () => {
  const { racks, clock } = harness({ a: down })
  const controller = new AbortController()
  const pending = racks.execute(target, 'on', start, options(60_000, controller.signal)).catch((error: unknown) => error)
  await until(() => clock.sleepers === 1)
  controller.abort()
  expect(await pending).toMatchObject({ code: 'LINK_DOWN' })
})

test('no rack at all is an error that says so', async () => {
  const { racks } = harness({})
  await expect(racks.query(target, 1_000)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('no rack controller is linked') })
})
