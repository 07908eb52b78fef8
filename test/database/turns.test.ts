/** Turns: so many at once, in order, and a sentence when none comes in time. */
import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createTurns } from '../../core/database/turns.ts'
import { manualClock } from '../kit/clock.ts'

test('no more than the limit run at once, and those that wait come in order', async () => {
  const turns = createTurns({ limit: 2, patience: 10_000, what: 'things', clock: systemClock })
  const begun: number[] = []
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>())
  const done = gates.map((gate, index) => turns.take(async () => { begun.push(index); await gate.promise }))
  const settle = () => new Promise(resolve => { setImmediate(resolve) })
  await settle()
  expect(begun).toEqual([0, 1])
  gates[1]?.resolve()
  await done[1]
  await settle()
  expect(begun).toEqual([0, 1, 2])
  for (const gate of gates) gate.resolve()
  await Promise.all(done)
  expect(begun).toEqual([0, 1, 2, 3, 4])
})

test('a turn that does not come in time is refused, and takes no place afterwards', async () => {
  const clock = manualClock()
  const turns = createTurns({ limit: 1, patience: 1000, what: 'connections', clock })
  const gate = Promise.withResolvers<void>()
  const first = turns.take(() => gate.promise)
  const second = turns.take(async () => 'never').catch((error: unknown) => error)
  await clock.advance(1000)
  expect(String(await second)).toContain('all 1 connections are busy')
  gate.resolve()
  await first
  expect(await turns.take(async () => 'next')).toBe('next')
})

test('work that fails gives its turn back', async () => {
  const turns = createTurns({ limit: 1, patience: 1000, what: 'connections', clock: systemClock })
  await expect(turns.take(async () => { throw new TypeError('no') })).rejects.toThrow('no')
  expect(await turns.take(async () => 1)).toBe(1)
})
