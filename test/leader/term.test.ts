/** The pure part of leadership: trust counts from before the question. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaultPace, failoverWait, nextStep, timelineOf, trustedUntil } from '../../core/leader/term.ts'

const pace = { ttl: 5_000, renew: 1_500, margin: 1_000 }

test('a lease is trusted until attempt start + TTL − margin', () => {
  expect(trustedUntil(500, pace)).toBe(4_500)
  expect(defaultPace).toEqual(pace)
})

test('a leader waits, renews when it is due, and lets go', () => {
  expect(nextStep(1_000, 1_000, pace)).toEqual({ step: 'wait', for: 1_500 })
  expect(nextStep(2_499, 1_000, pace)).toEqual({ step: 'wait', for: 1 })
  expect(nextStep(2_500, 1_000, pace)).toEqual({ step: 'renew' })
  expect(nextStep(4_999, 1_000, pace)).toEqual({ step: 'renew' })
  expect(nextStep(5_000, 1_000, pace)).toEqual({ step: 'lost' })
  expect(nextStep(1e9, 1_000, pace)).toEqual({ step: 'lost' })
})

test('however long the question and the answer take, trust ends before the database gives the lease to another', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 60_000 }), fc.nat(5_000), (start, delay, ttl, margin) => {
    const granted = start + delay // the server counts from when the statement ran there
    expect(trustedUntil(start, { ttl, renew: ttl / 3, margin })).toBeLessThanOrEqual(granted + ttl - margin)
  }), { numRuns: 200 })
})

test('a leader never waits beyond its trust', () => {
  fc.assert(fc.property(fc.nat(100_000), fc.nat(100_000), fc.nat(20_000), fc.nat(20_000), fc.nat(20_000), (now, attempt, ttl, renew, margin) => {
    const next = nextStep(now, attempt, { ttl, renew, margin })
    if (next.step === 'wait') expect(now + next.for).toBeLessThanOrEqual(trustedUntil(attempt, { ttl, renew, margin }))
    if (next.step !== 'lost') expect(now).toBeLessThan(trustedUntil(attempt, { ttl, renew, margin }))
  }), { numRuns: 500 })
})

test('after a failover a bidder waits a TTL, unless a term of the new timeline was given since', () => {
  expect([1n, 7n, (1n << 32n) + 1n, 2n << 32n].map(timelineOf)).toEqual([1, 1, 2, 3])
  expect(failoverWait(600, 500, 2, 7n, pace)).toBe(4_900)
  expect(failoverWait(5_500, 500, 2, 7n, pace)).toBe(0)
  expect(failoverWait(600, 500, 2, (1n << 32n) + 1n, pace)).toBe(0)
  expect(failoverWait(600, 500, 3, (1n << 32n) + 1n, pace)).toBe(4_900)
  expect(failoverWait(600, 500, 1, 0n, pace)).toBe(0) // never promoted: nothing can have been lost
})
