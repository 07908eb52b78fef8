/** Runs the simulation over seeds, and tells the story of the first that goes wrong. */
import { expect } from 'vitest'
import { simulate } from './simulation.ts'
import type { Schedule } from './simulation.ts'

export const schedules: Readonly<Record<string, Schedule>> = {
  'two of them': { racks: 2, seconds: 300, asymmetric: false, lossy: false },
  'three of them': { racks: 3, seconds: 300, asymmetric: false, lossy: false },
  'four that also hear each other in one direction only': { racks: 4, seconds: 300, asymmetric: true, lossy: false },
  'three that lose packets': { racks: 3, seconds: 300, asymmetric: true, lossy: true }
}

/** How often the address was taken. */
export async function runSeeds (from: number, to: number, schedule: Schedule): Promise<number> {
  let takes = 0
  for (let seed = from; seed <= to; seed++) {
    const outcome = await simulate(seed, schedule)
    expect(outcome.violations.slice(0, 1), `seed ${seed}, last lines:\n${outcome.story.slice(-12).join('\n')}`).toEqual([])
    takes += outcome.takes
  }
  return takes
}
