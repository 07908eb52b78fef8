/** `npm test`: everything, in one command: system packages, types, every suite, and the availability run. Ends non-zero when anything failed or did not run. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { reasonOf } from '../core/errors.ts'
import { ensurePackages, packages } from './lab/packages.ts'

const here = join(import.meta.dirname, '..')
const say = (line: string) => process.stderr.write(`${line}\n`)
/** Runs a program of the dependencies; each line of its standard output goes to `heard` as well. */
const run = (command: string, args: readonly string[], heard?: (line: string) => void): Promise<number> => new Promise(resolve => {
  const child = spawn(join(here, 'node_modules/.bin', command), args, { cwd: here, stdio: ['inherit', heard === undefined ? 'inherit' : 'pipe', 'inherit'] })
  if (heard !== undefined && child.stdout !== null) createInterface(child.stdout).on('line', line => { process.stdout.write(`${line}\n`); heard(line) })
  child.once('error', error => { say(String(error)); resolve(127) })
  child.once('close', code => resolve(code ?? 1))
})

interface Results {
  readonly numPassedTests: number, readonly numFailedTests: number, readonly numTotalTests: number
  readonly testResults: readonly { readonly name: string, readonly message: string, readonly assertionResults: readonly { readonly status: string, readonly fullName: string, readonly failureMessages: readonly string[] }[] }[]
}
const scratch = await mkdtemp(join(tmpdir(), 'bedplate-test-'))
let passed = 0
let failed = 0
let code = 0
const failures: string[] = [] // told again at the very end: half an hour of output lie between a failure and there

/** What failed in a suite of vitest: each test, and each file that could not even begin, with the beginning of its message. */
const failuresOf = ({ testResults }: Results): string[] => testResults.flatMap(({ name, message, assertionResults }) => {
  const tests = assertionResults.filter(({ status }) => status === 'failed')
  const said = (text: string | undefined): string => (text ?? '').split('\n').slice(0, 12).join('\n    ')
  if (tests.length > 0) return tests.map(test => `${relative(here, name)}: ${test.fullName}\n    ${said(test.failureMessages[0])}`)
  return message === '' ? [] : [`${relative(here, name)}\n    ${said(message)}`]
})

/** One suite of vitest. */
async function suite (project: string): Promise<void> {
  const file = join(scratch, `${project}.json`)
  if (await run('vitest', ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...process.argv.slice(2)]) !== 0) code = 1
  const results = await readFile(file, 'utf8').then(text => JSON.parse(text) as Results, () => undefined)
  if (!results) { say(`${project}: no results were written`); failed++; code = 1; return }
  passed += results.numPassedTests
  failed += results.numFailedTests
  failures.push(...failuresOf(results))
  const skipped = results.numTotalTests - results.numPassedTests - results.numFailedTests
  if (skipped > 0 && process.env.CI) { say(`${project}: ${skipped} tests did not run; in CI that is a failure`); failed += skipped; code = 1 }
}

/** The availability run; each fault counts as a test. */
async function availability (): Promise<void> {
  if (await run('node', ['test/ha/main.ts', '--json'], () => { passed++ }) !== 0) { failures.push('npm run test:ha'); failed++; code = 1 }
}

try {
  // a missing package fails the suites that need it, by name, and not this script: so that the others still tell what they know
  await ensurePackages([...packages.network, ...packages.machines, ...packages.clients, ...packages.database, ...packages.frontdoor, ...packages.firmware, ...packages.power], say).catch(error => { say(`system packages: ${reasonOf(error)}`); code = 1 })
  if (await run('tsc', ['--noEmit']) !== 0) { failures.push('tsc --noEmit'); failed++; code = 1 }
  for (const project of ['quick', 'processes', 'system']) await suite(project)
  if (process.argv.length === 2) await availability() // arguments choose among vitest's tests
  await suite('lab')
} finally { await rm(scratch, { recursive: true, force: true }) }
if (code !== 0 && failed === 0) failed = 1
process.stdout.write(failures.map(text => `\nFAILED  ${text}\n`).join(''))
say('')
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exit(code)
