/** A hundred thousand damaged messages: none throws, none is promised what is not stored, and good ones among them are answered. */
import { expect, it } from 'vitest'
import { flood6 } from './flood6.ts'

it.each([1, 2])('seed %i', seed => {
  const { counts, failures } = flood6(50_000, seed)
  expect(failures).toEqual([])
  for (const what of ['out ADVERTISE', 'out REPLY', 'dropped option-truncated', 'dropped unanswered']) expect(counts[what] ?? 0, what).toBeGreaterThan(0)
  expect(counts['dropped internal']).toBeUndefined()
})
