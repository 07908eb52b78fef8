/** What every power driver was held to, as a table: the tests of their suite down, the drivers across. Pure. */

export interface Verdict { readonly driver: string, /** What the driver was tried on; empty where there is one subject only. */ readonly subject: string, readonly test: string, readonly status: 'passed' | 'failed' | 'inapplicable' | 'other' /* did not run */, readonly message: string }
export interface DriverNote { readonly name: string, readonly experimental: string | undefined }
/** What is read of vitest's JSON. */
export interface Results { readonly testResults: readonly { readonly assertionResults: readonly { readonly ancestorTitles: readonly string[], readonly title: string, readonly status: string, readonly failureMessages: readonly string[], readonly meta?: { readonly inapplicable?: boolean } }[] }[] }

const marks = { passed: '✓', failed: '✗', other: '?', inapplicable: '' } as const
const heading = /^power driver (\S+)/

/** The tests of suites that are called `power driver <name>`; what such a suite stands in is its subject. */
export const verdictsOf = ({ testResults }: Results): Verdict[] => testResults.flatMap(({ assertionResults }) => assertionResults.flatMap(({ ancestorTitles, title, status, failureMessages, meta }) => {
  const driver = ancestorTitles.map(name => heading.exec(name)?.[1]).find(name => name !== undefined)
  if (driver === undefined) return []
  return [{
    driver, test: title, subject: ancestorTitles.filter(name => name !== '' && !heading.test(name)).join(', '),
    status: status === 'passed' && meta?.inapplicable ? 'inapplicable' as const : status === 'passed' ? 'passed' as const : status === 'failed' ? 'failed' as const : 'other' as const, message: failureMessages[0]?.split('\n')[0] ?? ''
  }]
}))

/** Markdown: the table, a mark where all subjects of the driver agree with the worst of them; then the subjects, and why some drivers are experimental. */
export function tableOf (verdicts: readonly Verdict[], drivers: readonly DriverNote[]): string {
  const shown = drivers.filter(({ name }) => verdicts.some(({ driver }) => driver === name))
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const cell = (test: string, driver: string): string => {
    const found = new Set(verdicts.filter(one => one.test === test && one.driver === driver).map(({ status }) => status))
    const worst = (['failed', 'other', 'passed', 'inapplicable'] as const).find(status => found.has(status))
    return worst === undefined ? '' : marks[worst]
  }
  const subjects = shown.map(({ name }) => ({ name, tried: [...new Set(verdicts.filter(({ driver, subject }) => driver === name && subject !== '').map(({ subject }) => subject))] })).filter(({ tried }) => tried.length > 0)
  const experimental = shown.filter(one => one.experimental !== undefined)
  return [
    row(['', ...shown.map(({ name }) => `\`${name}\``)]), row(['---', ...shown.map(() => ':-:')]),
    ...[...new Set(verdicts.map(({ test }) => test))].map(test => row([test, ...shown.map(({ name }) => cell(test, name))])),
    ...subjects.length === 0 ? [] : ['', 'Each of these alone:', '', ...subjects.map(({ name, tried }) => `- \`${name}\`: ${tried.join('; ')}`)],
    ...experimental.length === 0 ? [] : ['', 'Experimental:', '', ...experimental.map(({ name, experimental }) => `- \`${name}\`: ${experimental}`)]
  ].join('\n')
}
