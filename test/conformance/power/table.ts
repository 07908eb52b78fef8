/** What every power driver was held to, as a table: the conformance suite's tests down, the drivers across. Pure. */

export interface Verdict { readonly suite: string /* what the driver was tried on stands in its file's name or the suite's */, readonly test: string, readonly status: 'passed' | 'failed' | 'other', readonly message: string }
export interface DriverNote { readonly name: string, readonly title: string, readonly experimental: string | undefined }

/** Reads vitest's JSON: the tests of suites that are called `power driver <name>`, whatever they stand in. */
export function verdictsOf (results: { readonly testResults: readonly { readonly assertionResults: readonly { readonly ancestorTitles: readonly string[], readonly title: string, readonly status: string, readonly failureMessages: readonly string[] }[] }[] }): Verdict[] {
  return results.testResults.flatMap(({ assertionResults }) => assertionResults.flatMap(({ ancestorTitles, title, status, failureMessages }) => {
    const suite = ancestorTitles.find(name => name.startsWith('power driver '))
    if (suite === undefined) return []
    return [{ suite: [...ancestorTitles.filter(name => name !== suite && name !== ''), suite.slice('power driver '.length)].toReversed().join(' · '), test: title, status: status === 'passed' ? 'passed' as const : status === 'failed' ? 'failed' as const : 'other' as const, message: failureMessages[0]?.split('\n')[0] ?? '' }]
  }))
}

export const markOf = { passed: '✓', failed: '✗', other: '–' } as const

/** Markdown: a table, then what each column was tried on. */
export function tableOf (verdicts: readonly Verdict[], drivers: readonly DriverNote[]): string {
  const suites = [...new Set(verdicts.map(({ suite }) => suite))].sort()
  const tests = [...new Set(verdicts.map(({ test }) => test))]
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const cell = (test: string, suite: string): string => { const found = verdicts.filter(one => one.test === test && one.suite === suite); return found.length === 0 ? '' : found.every(({ status }) => status === 'passed') ? markOf.passed : found.some(({ status }) => status === 'failed') ? markOf.failed : markOf.other }
  const experimental = drivers.filter(driver => driver.experimental !== undefined)
  return [
    row(['', ...suites.map(suite => `\`${suite}\``)]), row(['---', ...suites.map(() => ':-:')]),
    ...tests.map(test => row([test, ...suites.map(suite => cell(test, suite))])),
    ...experimental.length === 0 ? [] : ['', 'Experimental:', ...experimental.map(({ name, experimental }) => `- \`${name}\`: ${experimental}`)]
  ].join('\n')
}
