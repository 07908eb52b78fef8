/** A leader that misses racks others are linked with hands leadership on; at most once a minute, and only for a moment. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createElector } from '../../core/leader/elector.ts'
import { createHandover } from '../../core/leader/handover.ts'
import { createLogger } from '../../core/log.ts'
import { manualClock } from '../kit/clock.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

const log = createLogger('silent')
let db: TestDatabase
beforeAll(async () => { db = await testDatabase() })
afterAll(() => db.drop())

describe('the decision', () => {
  const setup = () => {
    const clock = manualClock()
    const state = { leading: true, missed: [] as string[] }
    return { clock, state, ready: createHandover({ clock, log, leading: () => state.leading, missed: () => state.missed }) }
  }

  test('stays while nothing is missed, or while another leads', () => {
    const { state, ready } = setup()
    expect(ready()).toBe(true)
    state.missed = ['rack']
    state.leading = false
    expect(ready()).toBe(true)
  })

  test('stands back for 3 s, then bids again, and keeps what came back for a minute', async () => {
    const { clock, state, ready } = setup()
    state.missed = ['rack']
    expect(ready()).toBe(false)
    state.leading = false
    await clock.advance(2999)
    expect(ready()).toBe(false)
    await clock.advance(1)
    expect(ready()).toBe(true)
    state.leading = true
    await clock.advance(56_999)
    expect(ready()).toBe(true)
    await clock.advance(1)
    expect(ready()).toBe(false)
  })

  test('never keeps anybody from leading for more than 3 s in 60', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ after: fc.integer({ min: 1, max: 5000 }), leading: fc.boolean(), missing: fc.boolean() }), { maxLength: 60 }), async steps => {
      const { clock, state, ready } = setup()
      let refused: number | undefined
      for (const { after, leading, missing } of steps) {
        await clock.advance(after)
        Object.assign(state, { leading, missed: missing ? ['rack'] : [] })
        if (ready()) continue
        const now = clock.monotonic()
        if (refused === undefined || now - refused >= 3000) { expect(now - (refused ?? -Infinity)).toBeGreaterThanOrEqual(60_000); refused = now }
      }
    }), { numRuns: 50 })
  })
})

test('the next region leads within a moment, and the one that stood back stands by', async () => {
  const missed: string[] = []
  const lead = (holder: string, misses: () => readonly string[]) => {
    const elector = createElector({ name: 'handover', holder, db, clock: systemClock, log, ready: createHandover({ clock: systemClock, log, leading: () => elector.current() !== undefined, missed: misses }), onGain () {}, onLoss () {} })
    return elector
  }
  const [first, second] = [lead('first', () => missed), lead('second', () => [])]
  const { signal } = new AbortController()
  await first.start(signal)
  await until(() => first.current())
  await second.start(signal)
  missed.push('rack')
  await until(() => second.current(), { timeout: 3000 }) // sooner than its lease would have run out
  expect(first.current()).toBeUndefined()
  await Promise.all([first.stop(), second.stop()])
})
