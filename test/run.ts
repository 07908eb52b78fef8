/** `npm test`: everything, in one command: system packages, types, and every suite. Ends non-zero when anything failed or did not run. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../core/errors.ts'
import { ensurePackages, packages } from './lab/packages.ts'

const here = join(import.meta.dirname, '..')
const say = (line: string) => process.stderr.write(`${line}\n`)
const run = (command: string, args: readonly string[]): Promise<number> => new Promise(resolve => {
  const child = spawn(join(here, 'node_modules/.bin', command), args, { cwd: here, stdio: 'inherit' })
  child.once('error', error => { say(String(error)); resolve(127) })
  child.once('exit', code => resolve(code ?? 1))
})

interface Results { readonly numPassedTests: number, readonly numFailedTests: number, readonly numPendingTests: number, readonly numTotalTests: number, readonly numFailedTestSuites: number }
const scratch = await mkdtemp(join(tmpdir(), 'bedplate-test-'))
let passed = 0
let failed = 0
let code = 0
try {
  // a missing package fails the suites that need it, by name, and not this script: so that the others still tell what they know
  await ensurePackages([...packages.network, ...packages.machines, ...packages.clients, ...packages.database, ...packages.frontdoor], say).catch(error => { say(`system packages: ${reasonOf(error)}`); code = 1 })
  if (await run('tsc', ['--noEmit']) !== 0) { say('types: failed'); failed++; code = 1 }
  for (const project of ['quick', 'processes', 'system', 'lab']) {
    const file = join(scratch, `${project}.json`)
    if (await run('vitest', ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...process.argv.slice(2)]) !== 0) code = 1
    const results = await readFile(file, 'utf8').then(text => JSON.parse(text) as Results, () => undefined)
    if (!results) { say(`${project}: no results were written`); failed++; code = 1; continue }
    passed += results.numPassedTests
    failed += results.numFailedTests
    const skipped = results.numTotalTests - results.numPassedTests - results.numFailedTests
    if (skipped > 0 && process.env.CI) { say(`${project}: ${skipped} tests did not run; in CI that is a failure`); failed += skipped; code = 1 }
  }
} finally { await rm(scratch, { recursive: true, force: true }) }
if (code !== 0 && failed === 0) failed = 1
say('')
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exit(code)
