/** The leader tries contracts that wait, until none is left; and says what keeps it from it. */
import { describe, expect, test } from 'vitest'
import { createContraction } from '../../core/database/contraction.ts'
import type { Migrated } from '../../core/database/migrate.ts'
import { BedplateError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import type { Term } from '../../core/leader/term.ts'
import { manualClock } from '../kit/clock.ts'
import type { ManualClock } from '../kit/clock.ts'
import { serviceConformance } from '../kit/conformance/service.ts'

const log = createLogger('silent')
const never = new AbortController().signal
const nothing: Migrated = { applied: [], waiting: [], failed: [] }
const waiting: Migrated = { ...nothing, waiting: ['it 0003-x waits for b (version 1.0.0)'] }
const term = (signal: AbortSignal = never): Term => ({ number: 1n, valid: () => !signal.aborted, signal, write: () => Promise.reject(new BedplateError('TERM_LOST', { term: 1 })) })

/** One whose tries answer as told, the last answer again and again. */
function made (...answers: (Migrated | BedplateError)[]) {
  const clock: ManualClock = manualClock()
  let tries = 0
  const service = createContraction({
    clock, log, every: 1000,
    async migrate () {
      const answer = answers[Math.min(tries++, answers.length - 1)] ?? nothing
      if (answer instanceof BedplateError) throw answer
      return answer
    }
  })
  return { clock, service, tries: () => tries }
}

describe('the contraction', () => {
  test('tries at once, then again while something waits, and no more when nothing does', async () => {
    const { clock, service, tries } = made(waiting, waiting, { ...nothing, applied: ['it 0003-x'] })
    await service.start(never, term())
    await clock.advance(0)
    expect([tries(), service.health()]).toEqual([1, { state: 'running' }]) // an upgrade that is under way is no fault
    await clock.advance(999)
    expect(tries()).toBe(1)
    await clock.advance(1)
    await clock.advance(1000)
    await clock.advance(100_000)
    expect([tries(), clock.sleepers]).toEqual([3, 0])
    await service.stop()
  })

  test('is degraded by a contract that cannot be applied, naming it, and goes on trying', async () => {
    const { clock, service, tries } = made({ ...nothing, failed: ['Migration it 0003-x failed: no'] }, nothing)
    await service.start(never, term())
    await clock.advance(0)
    expect(service.health()).toEqual({ state: 'degraded', reason: 'The database could not be tidied up: Migration it 0003-x failed: no' })
    await clock.advance(1000)
    expect([tries(), service.health()]).toEqual([2, { state: 'running' }])
    await service.stop()
  })

  test('is degraded while the database cannot be asked, and goes on trying', async () => {
    const { clock, service } = made(new BedplateError('DATABASE_UNREACHABLE', { hosts: 'db', reason: 'gone' }), nothing)
    await service.start(never, term())
    await clock.advance(0)
    expect(service.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('gone') })
    await clock.advance(1000)
    expect(service.health()).toEqual({ state: 'running' })
    await service.stop()
  })

  test('ends with the term', async () => {
    const over = new AbortController()
    const { clock, service, tries } = made(waiting)
    await service.start(never, term(over.signal))
    await clock.advance(0)
    over.abort()
    await clock.advance(10_000)
    expect([tries(), clock.sleepers]).toEqual([1, 0])
    await service.stop()
  })

  test('does nothing on a region that does not lead', async () => {
    const { clock, service, tries } = made(waiting)
    await service.start(never)
    await clock.advance(10_000)
    expect([tries(), service.health().state]).toEqual([0, 'off'])
  })
})

serviceConformance('contraction', { make: () => ({ service: made(waiting).service, term: term() }) })
