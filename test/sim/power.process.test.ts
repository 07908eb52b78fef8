/** The simulation of power actions: repeats itself by its seed, and finds what is wrong when something is. */
import { describe, expect, test } from 'vitest'
import { power, type Mutation } from './power.ts'
import { runMany } from './run.ts'

test('a seed tells the same story every time', async () => {
  const first = await power(7, { verbose: true })
  const [again, other] = await Promise.all([power(7, { verbose: true }), power(8, { verbose: true })])
  expect(again).toEqual(first)
  expect(first.lines.length).toBeGreaterThan(2)
  expect(other.hash).not.toBe(first.hash)
})

test('a machine is off once and on once, whatever dies, hangs or is cut off', async () => {
  const { failures, facts } = await runMany(seed => power(seed), 1, 2_000)
  expect(failures.map(({ seed, violation }) => `${seed}: ${violation}`)).toEqual([])
  expect(facts.cycles).toBeGreaterThan(1_900)
  expect(facts.handovers).toBeGreaterThan(500)
})

describe('it notices', () => {
  test.each<[string, Mutation]>([
    ['a silent rack that is followed at once', { notice: 0 }],
    ['a rack that goes on where it was before it hung', { heedless: 'pauses' }],
    ['a rack that goes on without its region', { heedless: 'links' }]
  ])('%s', async (_name, mutation) => {
    const { failures } = await runMany(seed => power(seed, {}, mutation), 1, 20_000)
    expect(failures[0]?.violation).toMatch(/switched it/)
  }, 60_000)
})
