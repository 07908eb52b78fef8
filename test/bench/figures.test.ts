/** What the bench makes of its runs: medians, ratios in which more is better, rows, and what it prints. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { brokenRow, jsonOf, markdownOf, median, missed, ratioOf, rowOf, tableOf } from '../../bench/figures.ts'
import type { Plan } from '../../bench/figures.ts'

const plan: Plan = { area: 'dhcp', case: 'fast', peerName: 'Other', unit: 'exchanges/s', better: 'higher', required: 1.5, conditions: 'Each on one core.' }
const runs = (...values: number[]) => values.map(value => ({ value }))

describe('median', () => {
  it('is the middle one, or the mean of the middle two', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
    expect(median([])).toBeNaN()
  })
  it('has as many below as above, in whatever order they come', () => {
    fc.assert(fc.property(fc.array(fc.integer(), { minLength: 1 }), values => {
      const middle = median(values)
      const below = values.filter(value => value < middle).length
      const above = values.filter(value => value > middle).length
      return below <= values.length / 2 && above <= values.length / 2
    }), { numRuns: 300 })
  })
})

describe('a row', () => {
  it('takes the median of the ratios round by round, not the ratio of the medians', () => {
    const row = rowOf(plan, runs(10, 30, 100), runs(10, 10, 20))
    expect(row).toMatchObject({ ours: 30, peer: 10, ratio: 3, ratios: [1, 3, 5] })
    expect(rowOf(plan, runs(10, 90, 40), runs(10, 30, 40)).ratio).toBe(1)
  })
  it('counts more as better where less is', () => {
    expect(ratioOf('lower', 2, 4)).toBe(2)
    expect(rowOf({ ...plan, better: 'lower' }, runs(2, 4, 8), 4)).toMatchObject({ peer: 4, ratio: 1 })
  })
  it('falls short by its ratio, by a fault, and when it could not be measured', () => {
    const good = rowOf(plan, runs(3), runs(2))
    expect(missed(good)).toBe(false)
    expect(missed(rowOf(plan, runs(2), runs(2)))).toBe(true)
    expect(missed(rowOf(plan, [{ value: 9, fault: '1 of 10 exchanges lost' }], runs(1)))).toBe(true)
    expect(missed(brokenRow(plan, 'it did not start'))).toBe(true)
    expect(missed({ ...brokenRow(plan, 'it did not start'), required: null })).toBe(false)
  })
  it('tells the details of the run nearest to the median', () => {
    const row = rowOf(plan, [{ value: 1, details: { p99: 9 } }, { value: 2, details: { p99: 8 } }, { value: 3, details: { p99: 7 } }], runs(1, 1, 1))
    expect(row.details.ours).toEqual({ p99: 8 })
  })
})

describe('what is printed', () => {
  const row = rowOf(plan, [{ value: 12_345.6, details: { 'p99 ms': 1.234 } }], [{ value: 4000, fault: '2 of 9 exchanges lost' }])
  it('is one line of JSON with the fields agreed on', () => {
    expect(JSON.parse(jsonOf(row))).toMatchObject({ area: 'dhcp', case: 'fast', ours: 12345.6, peer: 4000, peerName: 'Other', unit: 'exchanges/s', better: 'higher', ratio: 3.0864, required: 1.5 })
    expect(jsonOf(row)).not.toContain('\n')
    expect(JSON.parse(jsonOf(brokenRow(plan, 'why')))).toMatchObject({ ours: null, ratio: null, faults: ['why'] })
  })
  it('is a table whose columns stand under each other', () => {
    const [head = '', line = '', ...notes] = tableOf([row]).split('\n')
    expect(line.indexOf('4,000')).toBe(head.indexOf('peer'))
    expect(line).toMatch(/12,346 .* 3\.09 .* ≥ 1\.5 +faulty$/)
    expect(notes).toEqual(['fast, ours: p99 ms 1.23', 'fast: round 1, Other: 2 of 9 exchanges lost'])
  })
  it('is Markdown with the conditions', () => {
    const text = markdownOf([row])
    expect(text).toContain('| fast | 12,346 | 4,000 | Other |')
    expect(text).toContain('- **fast**: Each on one core.')
  })
})
