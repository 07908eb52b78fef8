/** Waiting for a fact to be stored: by number, with an end, and without a lie about what was dropped. */
import { expect, test } from 'vitest'
import { createWaiting } from '../../core/state/waiting.ts'

/** Whether a promise has settled by now, and how. */
const now = async (promise: Promise<boolean>): Promise<boolean | 'waits'> => await Promise.race([promise, new Promise<'waits'>(resolve => { setImmediate(resolve, 'waits') })])

test('whoever waits is told when everything up to its fact is settled, and not before', async () => {
  const waiting = createWaiting()
  const [second, fourth] = [waiting.stored(2), waiting.stored(4)]
  waiting.settled(3)
  expect([await now(second), await now(fourth)]).toEqual([true, 'waits'])
  waiting.settled(4)
  expect(await fourth).toBe(true)
})
test('a fact that is settled already is answered at once; several may wait for one', async () => {
  const waiting = createWaiting()
  const both = [waiting.stored(1), waiting.stored(1)]
  waiting.settled(1)
  expect(await Promise.all([...both, waiting.stored(1)])).toEqual([true, true, true])
})
test('a signal ends the waiting of one alone, also one that is aborted already', async () => {
  const waiting = createWaiting()
  const gone = new AbortController()
  const [left, stays] = [waiting.stored(1, gone.signal), waiting.stored(1)]
  gone.abort()
  expect([await left, await waiting.stored(1, gone.signal), await now(stays)]).toEqual([false, false, 'waits'])
  waiting.settled(1)
  expect(await stays).toBe(true)
})
test('what was dropped is never said to be stored, however far the others get', async () => {
  const waiting = createWaiting()
  waiting.settled(1)
  const [dropped, kept] = [waiting.stored(3), waiting.stored(4)]
  waiting.dropped(3)
  expect([await dropped, await now(kept)]).toEqual([false, 'waits'])
  waiting.settled(9)
  expect([await kept, await waiting.stored(2), await waiting.stored(1)]).toEqual([true, false, true])
})
