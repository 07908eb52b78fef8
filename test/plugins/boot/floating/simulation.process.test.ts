/** The same schedules as simulation.test.ts, many more of them. */
import { describe, expect, test } from 'vitest'
import { runSeeds, schedules } from './seeds.ts'

describe('racks that crash, stop, are cut off, come back and end in order, over five hours each', () => {
  test.each(Object.entries(schedules))('%s', async (_, schedule) => { expect(await runSeeds(101, 160, schedule)).toBeGreaterThan(300) })
})
