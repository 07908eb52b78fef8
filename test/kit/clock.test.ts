/** The kit's clock and waiting: tests lean on them, so they are tested too. */
import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { manualClock } from './clock.ts'
import { onceEvent, until } from './wait.ts'

describe('the manual clock', () => {
  test('stands still until it is moved, and both its times move together', async () => {
    const clock = manualClock(1_000)
    expect([clock.now(), clock.monotonic()]).toEqual([1_000, 0])
    await clock.advance(250)
    expect([clock.now(), clock.monotonic()]).toEqual([1_250, 250])
  })

  test('steps the wall clock alone', () => {
    const clock = manualClock(1_000)
    clock.step(-400)
    expect([clock.now(), clock.monotonic()]).toEqual([600, 0])
  })

  test('wakes sleepers in the order they are due, each at its own time, and lets one sleep again on the way', async () => {
    const clock = manualClock()
    const woken: string[] = []
    const sleeper = async (name: string, ...naps: readonly number[]) => { for (const nap of naps) { await clock.sleep(nap); woken.push(`${name}@${clock.monotonic()}`) } }
    const all = [sleeper('b', 20, 20, 20), sleeper('a', 10), sleeper('late', 1_000)]
    await clock.advance(50)
    expect(woken).toEqual(['a@10', 'b@20', 'b@40'])
    expect([clock.monotonic(), clock.sleepers]).toEqual([50, 2])
    await clock.advance(950)
    await Promise.all(all)
    expect(woken).toEqual(['a@10', 'b@20', 'b@40', 'b@60', 'late@1000'])
  })

  test('wakes at once, without a throw, when the signal aborts', async () => {
    const clock = manualClock()
    const abort = new AbortController()
    const asleep = clock.sleep(1_000, abort.signal)
    abort.abort()
    await asleep
    await clock.sleep(1_000, abort.signal)
    expect([clock.monotonic(), clock.sleepers]).toEqual([0, 0])
  })
})

describe('until', () => {
  test('gives the first truthy value', async () => {
    let calls = 0
    expect(await until(() => ++calls === 3 && 'three')).toBe('three')
  })
  test('names what it waited for, and the last error', async () => {
    await expect(until(() => false, { timeout: 20, what: 'a miracle' })).rejects.toThrow('not within 20 ms: a miracle')
    await expect(until(() => { throw new TypeError('still broken') }, { timeout: 20, what: 'a miracle' })).rejects.toThrow('it last threw: still broken')
  })
})

describe('onceEvent', () => {
  test('gives the arguments, or names the event that never came', async () => {
    const emitter = new EventEmitter()
    setImmediate(() => { emitter.emit('ready', 1, 2) })
    expect(await onceEvent(emitter, 'ready')).toEqual([1, 2])
    await expect(onceEvent(emitter, 'never', { timeout: 20 })).rejects.toThrow('no event "never" within 20 ms')
    expect(emitter.listenerCount('never')).toBe(0)
  })
})
