/** The bench's section of a page: put in once, replaced ever after, and nothing else touched. */
import { expect, it } from 'vitest'
import { rowOf } from '../../bench/figures.ts'
import { withSection } from '../../bench/page.ts'

const options = (value: number) => ({
  area: 'dhcp', command: 'npm run bench -- dhcp --write', date: '2026-01-02', machine: '2 × Some CPU', versions: ['Kea 2.2.0'],
  rows: [rowOf({ area: 'dhcp', case: 'fast', peerName: 'Other', unit: 'exchanges/s', better: 'higher', required: 1, conditions: 'Each on one core.' }, [{ value }], [{ value: 1 }])]
})

it('is added at the end, and replaced in place', () => {
  const page = '# Performance\n\nWhat was there.\n'
  const once = withSection(page, options(2))
  expect(once.startsWith('# Performance\n\nWhat was there.\n\n<!-- bench dhcp')).toBe(true)
  expect(once).toContain('| fast | 2 | 1 | Other |')
  const more = `${once}\n## After\n`
  const twice = withSection(more, options(3))
  expect(twice).toContain('| fast | 3 | 1 | Other |')
  expect(twice).not.toContain('| fast | 2 | 1')
  expect(twice.endsWith('\n## After\n')).toBe(true)
  expect(withSection(twice, options(3))).toBe(twice)
})
