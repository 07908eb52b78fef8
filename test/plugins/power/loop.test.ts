/** The leader's loop: woken at once, never asleep for good, degraded while it cannot look, and one at a time. */
import { expect, test } from 'vitest'
import type { Term } from '../../../core/plugin.ts'
import { createLoop } from '../../../plugins/power/region/loop.ts'
import { manualClock } from '../../kit/clock.ts'
import { until } from '../../kit/wait.ts'
import { quiet } from '../machines/parts.ts'

const never = new AbortController().signal
const term = (signal = never): Term => ({ number: 1n, valid: () => !signal.aborted, signal, write: async () => { throw new TypeError('no database here') } })

function harness (look: (count: number) => Promise<void> = async () => {}, idle: () => Promise<void> = async () => {}) {
  const clock = manualClock()
  let looks = 0
  const loop = createLoop({ name: 'test', every: 5_000, clock, log: quiet, look: async () => { await look(++looks) }, idle })
  return { clock, loop, looks: () => looks }
}

test('it looks when it starts, and again after its interval', async () => {
  const { clock, loop, looks } = harness()
  await loop.start(never, term())
  await until(() => clock.sleepers === 1)
  expect(looks()).toBe(1)
  await clock.advance(4_999)
  expect(looks()).toBe(1)
  await clock.advance(1)
  await until(() => looks() === 2)
  await loop.stop()
  expect(clock.sleepers).toBe(0)
})

test('it looks at once when woken, also when woken in the middle of a look', async () => {
  const gate = Promise.withResolvers<void>()
  const { clock, loop, looks } = harness(async count => { if (count === 2) await gate.promise })
  await loop.start(never, term())
  await until(() => clock.sleepers === 1)
  loop.wake()
  await until(() => looks() === 2)
  loop.wake() // something came in while it looks: it may have looked past it
  gate.resolve()
  await until(() => looks() === 3)
  await until(() => clock.sleepers === 1)
  expect(looks()).toBe(3)
  await loop.stop()
})

test('a look that fails is told, and the next one mends it', async () => {
  const { clock, loop } = harness(async count => { if (count === 1) throw new TypeError('the database is away') })
  await loop.start(never, term())
  await until(() => loop.health().state === 'degraded')
  expect(loop.health()).toEqual({ state: 'degraded', reason: 'It could not look at what there is to do: the database is away' })
  await until(() => clock.sleepers === 1)
  await clock.advance(5_000)
  await until(() => loop.health().state === 'running')
  await loop.stop()
  expect(loop.health()).toEqual({ state: 'off', reason: 'Stopped.' })
})

test('it ends with the term, and waits at its stop for what it has begun', async () => {
  const lost = new AbortController()
  const gate = Promise.withResolvers<void>()
  const { clock, loop, looks } = harness(async () => {}, () => gate.promise)
  await loop.start(never, term(lost.signal))
  await until(() => clock.sleepers === 1)
  lost.abort()
  await until(() => clock.sleepers === 0)
  loop.wake()
  expect(looks()).toBe(1)
  let stopped = false
  const stopping = loop.stop().then(() => { stopped = true })
  await new Promise(resolve => { setImmediate(resolve) })
  expect(stopped).toBe(false)
  gate.resolve()
  await stopping
})

test('a new life begins only when the one before has ended', async () => {
  const gate = Promise.withResolvers<void>()
  let inside = 0
  let most = 0
  const { loop, looks } = harness(async count => { most = Math.max(most, ++inside); if (count === 1) await gate.promise; inside-- })
  await loop.start(never, term())
  await until(() => looks() === 1)
  const stopping = loop.stop()
  await loop.start(never, term())
  await new Promise(resolve => { setImmediate(resolve) })
  expect(looks()).toBe(1)
  gate.resolve()
  await until(() => looks() === 2)
  await stopping
  expect(most).toBe(1)
  expect(loop.health().state).toBe('running') // the stop of the first life does not speak for the second
  await loop.stop()
})

test('without a term, or when its start is given up, it does nothing', async () => {
  const { loop, looks } = harness()
  await loop.start(never)
  await loop.start(AbortSignal.abort(), term())
  expect(looks()).toBe(0)
  expect(loop.health().state).toBe('off')
})
