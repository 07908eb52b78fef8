import { expect, test } from 'vitest'
import { tableOf, verdictsOf, type Results } from './table.ts'

const one = (ancestorTitles: readonly string[], title: string, status = 'passed', failureMessages: readonly string[] = []): Results['testResults'][number]['assertionResults'][number] => ({ ancestorTitles, title, status, failureMessages })
const verdicts = verdictsOf({ testResults: [
  { assertionResults: [one(['power driver a'], 'switches on'), { ...one(['power driver a'], 'knows its state'), meta: { inapplicable: true } }, one(['something else'], 'is not told')] },
  { assertionResults: [one(['of a maker', 'power driver b'], 'switches on'), one(['of another', 'power driver b'], 'switches on', 'failed', ['it stayed off\n    at line 3'])] },
  { assertionResults: [one(['power driver c'], 'switches on', 'pending')] }
] })

test('only the suites of drivers are told, with their subject and the first line of a failure', () => {
  expect(verdicts).toHaveLength(5)
  expect(verdicts[3]).toEqual({ driver: 'b', subject: 'of another', test: 'switches on', status: 'failed', message: 'it stayed off' })
})

test('one failure marks the driver as failed, and what did not run or had nothing to try is no success', () => {
  const rows = tableOf(verdicts, [{ name: 'a', experimental: undefined }, { name: 'b', experimental: 'nobody has one' }, { name: 'c', experimental: undefined }, { name: 'unseen', experimental: undefined }]).split('\n')
  expect(rows.slice(0, 4)).toEqual(['|  | `a` | `b` | `c` |', '| --- | :-: | :-: | :-: |', '| switches on | ✓ | ✗ | ? |', '| knows its state |  |  |  |'])
  expect(rows).toContain('- `b`: of a maker; of another')
  expect(rows).toContain('- `b`: nobody has one')
  expect(rows.join('\n')).not.toContain('unseen')
})
