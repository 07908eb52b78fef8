/** Ten thousand schedules of each simulation. A failing seed is printed with the command that shows its story. */
import { expect, test } from 'vitest'
import { leader } from './leader.ts'
import { outbox } from './outbox.ts'
import { runMany } from './run.ts'

const count = 10_000
test.each([['leader', leader], ['outbox', outbox]] as const)('%s: ten thousand schedules', async (kind, schedule) => {
  const { failures, schedules } = await runMany(seed => schedule(seed), 1, count)
  expect(failures.map(({ seed, violation }) => `${violation}: npm run sim -- ${kind} --seed ${seed}`)).toEqual([])
  expect(schedules).toBe(count)
}, 300_000)
