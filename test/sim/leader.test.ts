/** The simulation of leadership: repeats itself by its seed, and finds what is wrong when something is. */
import { describe, expect, test } from 'vitest'
import { leader } from './leader.ts'
import type { LeaderOptions } from './leader.ts'
import { runMany } from './run.ts'

test('a seed tells the same story every time', async () => {
  const first = await leader(7, { verbose: true })
  const [again, other] = await Promise.all([leader(7, { verbose: true }), leader(8, { verbose: true })]) // beside another, too
  expect(again).toEqual(first)
  expect(first.lines.length).toBeGreaterThan(10)
  expect(other.hash).not.toBe(first.hash)
  expect((await leader(7)).hash).toBe(first.hash) // whether it is written down or not
})

test('many seeds, in any company, give the same sum', async () => {
  const one = await runMany(seed => leader(seed), 100, 40)
  const two = await runMany(seed => leader(seed), 100, 40)
  expect(two.hash).toBe(one.hash)
  expect(one.failures).toEqual([])
  expect(one.facts.terms).toBeGreaterThan(60) // leadership does change hands
})

describe('it notices', () => {
  test.each<[string, LeaderOptions, RegExp]>([
    ['trust that outlasts the lease, as when it counts from the answer', { pace: { margin: -1_500 } }, /lead at once/],
    ['clocks that run apart without a margin', { pace: { margin: 0 } }, /lead at once/],
    ['a takeover that does not wait for the last term\'s writers', { flaws: { noKeyShare: true } }, /was committed (while|after)|two committed/],
    ['a failover that forgets, with bidders that do not care', { flaws: { noTimelines: true } }, /given twice|lead at once/]
  ])('%s', async (_what, options, expected) => {
    const { failures } = await runMany(seed => leader(seed, options), 1, 1_500)
    expect(failures.map(({ violation }) => violation)).toContainEqual(expect.stringMatching(expected))
    const [failure] = failures
    expect(await leader(failure?.seed ?? 0, options)).toEqual(failure) // by its seed alone
  })
})
