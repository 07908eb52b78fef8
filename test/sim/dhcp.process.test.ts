/** Twenty thousand schedules of DHCP, and its mutants. A failing seed is printed with the command that tells its story. */
import { expect, test } from 'vitest'
import { runAll, runMutants } from './dhcp/workers.ts'

const count = 20_000
const enough = 1_000 // schedules within which every mutant is caught

test('twenty thousand schedules', async () => {
  const { failures, schedules, broken } = await runAll(1, count, 2, () => {})
  expect(broken).toBeUndefined()
  expect(failures.map(({ seed, violation }) => `${violation}: npm run sim -- dhcp --seed ${seed}`)).toEqual([])
  expect(schedules).toBe(count)
}, 3_000_000) // seven minutes of one core; the machine may be busy

test('every deliberate fault in the decision code is caught', async () => {
  const results = await runMutants(enough, 2, 1, () => {})
  expect(results.filter(({ caught }) => !caught).map(({ mutant, broken }) => `${mutant.name}: ${broken ?? `not caught in ${enough} schedules`}`)).toEqual([])
  expect(results.length).toBeGreaterThanOrEqual(15)
}, 3_000_000)
