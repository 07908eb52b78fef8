/** Seeded schedules of faults: never two racks with the address that hear each other, always one while a rack runs. `simulate(seed, …).story` tells what happened. */
import { describe, expect, test } from 'vitest'
import { runSeeds, schedules } from './seeds.ts'

describe('racks that crash, stop, are cut off, come back and end in order', () => {
  test.each(Object.entries(schedules))('%s', async (_, schedule) => { expect(await runSeeds(1, 4, schedule)).toBeGreaterThan(20) })
})
