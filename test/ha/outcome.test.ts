/** The arithmetic of the availability run. */
import { expect, test } from 'vitest'
import { compareFacts, markdown, readsFailed, requestsFailed, shortcomings, table, type Outcome } from './outcome.ts'

const reads = (...seen: readonly (readonly [at: number, ok: boolean])[]) => seen.map(([at, ok]) => ({ t: 'read' as const, at, ok, why: ok ? '' : 'no' }))
const good: Outcome = { fault: 'region killed', detectSeconds: 0.1, recoverSeconds: 1.2, readsFailedSeconds: 0.4, requestsFailed: 3, lostWrites: 0, lostFacts: 0, doubledFacts: 0 }

test.each([
  ['none', reads([0, true], [100, true]), 0],
  ['one failure lasts until the next success begins', reads([0, true], [100, false], [200, true]), 100],
  ['two outages are added', reads([0, false], [50, true], [100, false], [150, false], [250, true]), 200],
  ['the order of arrival does not matter', reads([200, true], [100, false], [0, true]), 100],
  ['an outage that does not end lasts to the end', reads([0, true], [100, false]), 900]
])('reads failed: %s', (_name, seen, expected) => { expect(readsFailed(seen, 1000)).toBe(expected) })

test('requests that failed are reads and each attempt of a write', () => {
  expect(requestsFailed(reads([0, false], [1, true]), [{ t: 'write', name: 'a', at: 0, done: 1, acknowledged: true, failures: ['x', 'y'] }])).toBe(3)
})

const rack = 'r'
test.each([
  ['all there', [{ rack, life: 'a', last: 3 }], [{ rack, life: 'a', stored: 3, different: 3, last: 3, ordered: true }], { lost: 0, doubled: 0 }],
  ['one more than the ledger has', [{ rack, life: 'a', last: 3 }], [{ rack, life: 'a', stored: 4, different: 4, last: 4, ordered: true }], { lost: 0, doubled: 0 }],
  ['the tail is missing', [{ rack, life: 'a', last: 5 }], [{ rack, life: 'a', stored: 3, different: 3, last: 3, ordered: true }], { lost: 2, doubled: 0 }],
  ['a gap', [{ rack, life: 'a', last: 5 }], [{ rack, life: 'a', stored: 4, different: 4, last: 5, ordered: true }], { lost: 1, doubled: 0 }],
  ['a whole life is missing', [{ rack, life: 'a', last: 5 }, { rack, life: 'b', last: 2 }], [{ rack, life: 'a', stored: 5, different: 5, last: 5, ordered: true }], { lost: 2, doubled: 0 }],
  ['one twice', [{ rack, life: 'a', last: 3 }], [{ rack, life: 'a', stored: 4, different: 3, last: 3, ordered: false }], { lost: 0, doubled: 1 }],
  ['out of order', [{ rack, life: 'a', last: 3 }], [{ rack, life: 'a', stored: 3, different: 3, last: 3, ordered: false }], { lost: 0, doubled: 1 }]
])('facts: %s', (_name, promised, stored, expected) => { expect(compareFacts(promised, stored)).toEqual(expected) })

test('what falls short is named', () => {
  expect(shortcomings(good)).toEqual([])
  expect(shortcomings({ ...good, readsFailedSeconds: 3.1, lostWrites: 1, lostFacts: 2, doubledFacts: 3, recoverSeconds: Infinity })).toHaveLength(5)
})

test('the table has a row for each fault', () => {
  expect(table([good, { ...good, fault: 'a' }]).split('\n')).toHaveLength(3)
  expect(markdown([good])).toContain('| region killed | 0.1 s | 1.2 s | 0.4 s | 3 | 0 | 0 | 0 |')
})
