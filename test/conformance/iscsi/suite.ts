/** iscsi-test-cu, test by test: each in a process of its own, since CUnit counts a skip as a pass and one crash ends all. */
import { execFile } from 'node:child_process'
import { ways } from './reasons.ts'

export type Verdict = 'pass' | 'skip' | 'fail' | 'hang' | 'error'
export interface Outcome { readonly test: string, readonly verdict: Verdict, readonly milliseconds: number, /** The suite's reason for a skip or failure, or how the test was run. */ readonly said: string }
/** Units of one target, by URL; `second` is the first one over another portal. */
export interface Urls { readonly first: string, readonly second: string, readonly readOnly: string }

interface Ended { readonly output: string, readonly late: boolean }
const run = (args: readonly string[], patience: number): Promise<Ended> => new Promise((resolve, reject) => {
  execFile('iscsi-test-cu', [...args], { timeout: patience, killSignal: 'SIGKILL', maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
    if (error !== null && 'code' in error && error.code === 'ENOENT') reject(error)
    else resolve({ output: `${stdout}${stderr}`, late: error?.killed === true })
  })
})

/** Names of all tests, without `ALL.`. */
export async function listTests (): Promise<string[]> {
  const { output } = await run(['-l'], 10_000)
  return [...new Set(output.split('\n').flatMap(line => { const [, name] = /^ALL\.([^.\s]+\.[^.\s]+)$/.exec(line.trim()) ?? []; return name === undefined ? [] : [name] }))]
}

/** Runs one; everything on the unit may be lost. `patience` in ms. */
export async function runTest (test: string, urls: Urls, patience = 60_000): Promise<Outcome> {
  const way = ways.find(({ tests }) => tests.test(test))
  const targets = way?.way === 'readOnly' ? [urls.readOnly] : way?.way === 'paths' ? [urls.first, urls.second] : [urls.first]
  const began = performance.now()
  const { output, late } = await run(['-d', '-f', way?.way === 'twice' ? '-V' : '-v', '-t', `${way?.way === 'twice' ? '*' : 'ALL'}.${test}`, ...targets], patience)
  const milliseconds = Math.round(performance.now() - began)
  return { test, milliseconds, ...late ? { verdict: 'hang' as const, said: `not ended after ${patience / 1000} s` } : way?.way === 'twice' ? judgeTwice(output, way.why) : judge(output, way?.why ?? '') }
}

/** Of CUnit's summary and the suite's own marks. Pure. */
export function judge (output: string, why: string): Pick<Outcome, 'verdict' | 'said'> {
  const [, ran, failed] = /^\s*tests\s+\d+\s+(\d+)\s+\d+\s+(\d+)/m.exec(output) ?? []
  const marked = (mark: string): string | undefined => output.split('\n').find(line => line.includes(mark))?.replace(/^.*?(?=\[)/, '').trim()
  const asserted = /^\s*\d+\.\s.*CU_.*$/m.exec(output)?.[0].trim()
  if (ran === undefined || ran === '0') return { verdict: 'error', said: output.trim().split('\n').at(-1) ?? 'it said nothing' }
  if (failed !== '0') return { verdict: 'fail', said: [marked('[FAILED]'), asserted].filter(Boolean).join('; ') }
  const skipped = marked('[SKIPPED]')
  return skipped === undefined ? { verdict: 'pass', said: why } : { verdict: 'skip', said: skipped.replace('[SKIPPED] ', '') }
}

/** Two runs in one process, of which the first may fail by the one assertion that can only fail there, and the second has to reset the unit for real. Pure. */
export function judgeTwice (output: string, why: string): Pick<Outcome, 'verdict' | 'said'> {
  const { verdict, said } = judge(output, why)
  const assertions = output.split('\n').filter(line => /CU_(?:ASSERT|FAIL)/.test(line))
  const second = output.slice(output.lastIndexOf('Suite:'))
  const known = assertions.length === 1 && /^\s*1\. test_async_lu_reset_simple\.c:\d+\s+- CU_ASSERT_EQUAL\(reconnect_succeeded,1\)/.test(assertions[0] ?? '') && !second.includes(assertions[0] ?? '')
  const done = second.includes('1 resets successful') && /(?:\.\.\.|\n)\s*passed/.test(second)
  if (assertions.length === 0 && verdict === 'pass') return { verdict, said } // 1.20 and later
  return known && done ? { verdict: 'pass', said: why } : { verdict: 'fail', said: said || 'the second run did not reset the unit' }
}
