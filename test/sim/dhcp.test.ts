/** The simulation of DHCP: repeats itself by its seed, and holds in a handful of schedules. */
import { expect, test } from 'vitest'
import { dhcp } from './dhcp/dhcp.ts'
import { mutants } from './dhcp/mutants.ts'
import { runMany } from './run.ts'

test('a seed tells the same story every time', async () => {
  const first = await dhcp(7, { verbose: true })
  const [again, other] = await Promise.all([dhcp(7, { verbose: true }), dhcp(8, { verbose: true })])
  expect(again).toEqual(first)
  expect(first.lines.length).toBeGreaterThan(20)
  expect(other.hash).not.toBe(first.hash)
})

test('many seeds, in any company, give the same sum', async () => {
  const one = await runMany(seed => dhcp(seed), 100, 20)
  const two = await runMany(seed => dhcp(seed), 100, 20)
  expect(two.hash).toBe(one.hash)
  expect(one.failures).toEqual([])
  expect(one.facts.leases).toBeGreaterThan(100)
})

test('every mutant has a name of its own', () => {
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length)
  expect(mutants.length).toBeGreaterThanOrEqual(15)
})
