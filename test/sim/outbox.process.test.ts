/** Ten thousand schedules of the outbox. A failing seed is printed with the command that tells its story. */
import { expect, test } from 'vitest'
import { outbox } from './outbox.ts'
import { runMany } from './run.ts'

const count = 10_000

test('ten thousand schedules', async () => {
  const { failures, schedules } = await runMany(seed => outbox(seed), 1, count)
  expect(failures.map(({ seed, violation }) => `${violation}: npm run sim -- outbox --seed ${seed}`)).toEqual([])
  expect(schedules).toBe(count)
}, 300_000) // 20 s of one core; the machine may be busy
