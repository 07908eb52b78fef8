/** What acts is ended when the process stood still, and a rack does not switch itself off. */
import { expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { createCall, createCalls, persistently } from '../../../../plugins/power/rack/calls.ts'
import { createQueue } from '../../../../plugins/power/rack/queue.ts'
import { createStanding, limit } from '../../../../plugins/power/rack/standing.ts'
import { createWay } from '../../../../plugins/power/rack/way.ts'
import { manualClock } from '../../../kit/clock.ts'
import { until } from '../../../kit/wait.ts'

const never = new AbortController().signal
function begin (clock: ReturnType<typeof manualClock>) {
  const standing = createStanding(clock)
  const over = Promise.withResolvers<void>()
  let given: AbortSignal | undefined
  const done = standing.guard(never, async signal => { given = signal; await over.promise })
  return { aborted: () => given?.aborted, async end () { over.resolve(); await done; await clock.advance(1_000) } }
}

test('time that passes is no pause, and neither is a short one', async () => {
  const clock = manualClock()
  const one = begin(clock)
  await clock.advance(60_000)
  await clock.pause(limit)
  expect(one.aborted()).toBe(false)
  await one.end()
  expect(clock.sleepers).toBe(0)
})

test('a long pause ends what was under way, and not what begins after it', async () => {
  const clock = manualClock()
  const one = begin(clock)
  await clock.pause(limit + 1)
  expect(one.aborted()).toBe(true)
  await one.end()
  const next = begin(clock)
  await clock.advance(1_000)
  expect(next.aborted()).toBe(false)
  await next.end()
})

test('the timer of what waits may fire before any other: it hears of the pause, too', async () => {
  const clock = manualClock()
  const standing = createStanding(clock)
  const seen: boolean[] = []
  const done = standing.guard(never, async (signal, guarded) => { await guarded.sleep(20); seen.push(signal.aborted); await guarded.sleep(20) ; seen.push(signal.aborted) })
  await clock.advance(20)
  await clock.pause(5_000)
  await done
  expect(seen).toEqual([false, true])
  await clock.advance(1_000)
})

test('an answer may be read before any timer fires: the signal knows of the pause when it is asked', async () => {
  const clock = manualClock()
  let late = 0
  const over = Promise.withResolvers<void>()
  const standing = createStanding({ ...clock, monotonic: () => clock.monotonic() + late })
  let given: AbortSignal | undefined
  let told = false
  const done = standing.guard(never, async signal => { given = signal; signal.addEventListener('abort', () => { told = true }); await over.promise })
  late = limit
  expect(given?.aborted).toBe(false)
  late += limit + 1
  expect(given?.aborted).toBe(true)
  expect(told).toBe(true)
  over.resolve()
  await done
  await clock.advance(1_000)
})

test('nothing is begun for a caller that is gone, not even one that waited for its turn', async () => {
  const queue = createQueue()
  const call = createCall({ kept: createKept(), queue, standing: createStanding(systemClock), way: createWay() })
  const gate = Promise.withResolvers<void>()
  const first = queue.run('m', () => gate.promise)
  const caller = new AbortController()
  let begun = 0
  const waiting = call({ machine: 'm', driver: 'manual', parameters: {} }, { controller: 'c', signal: caller.signal }, 10_000, async () => { begun++ }).catch((error: unknown) => error)
  caller.abort()
  gate.resolve()
  await first
  expect(await waiting).toMatchObject({ code: 'POWER_FAILED' })
  expect(begun).toBe(0)
  await until(() => queue.size === 0)
})

test('what fails is not tried again once the signal has aborted', async () => {
  const over = new AbortController()
  let tries = 0
  await expect(persistently(systemClock, over.signal, [], async () => { tries++; over.abort(); throw new TypeError('no') })).rejects.toMatchObject({ code: 'POWER_FAILED' })
  expect(tries).toBe(1)
})

test('a rack does not switch off the machine it runs on; on is nothing to fear', async () => {
  const asked: string[] = []
  const calls = createCalls({ rack: 'r1', timeout: 1_000, begins: () => {}, call: async target => { asked.push(target.machine); return { state: 'on', note: null } as never } })
  const target = { machine: 'm', driver: 'redfish', parameters: {}, boot: null }
  for (const action of ['off', 'cycle', 'shutdown'] as const) await expect(calls.execute({ ...target, action, rack: 'r1' }, { controller: 'c', signal: never })).rejects.toMatchObject({ code: 'POWER_LAST_RACK' })
  expect(asked).toEqual([])
  await calls.execute({ ...target, action: 'on', rack: 'r1' }, { controller: 'c', signal: never })
  await calls.execute({ ...target, action: 'off', rack: 'r2' }, { controller: 'c', signal: never })
  expect(asked).toEqual(['m', 'm'])
})
