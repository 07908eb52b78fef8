/**
 * `npm run conformance -- iscsi [--only <text>] [--json]`: a public suite against the program, test by test. Fails on a failure, a hang, a skip without a reason, or too few passes.
 * `npm run conformance -- redfish --address redfish+https://user:password@host[/redfish/v1/Systems/x] [--tls …] [--image <url>] [--no-switch] [--only <text>] [--json | --markdown]`: the redfish driver against
 * any service, check by check. Fails on a failure; what the service does not do is none. `--no-switch` leaves the machine alone: a grade for a BMC in use, or before one is bought.
 * `npm run conformance -- power [--write]`: every power driver through the suite they share, as one table; `--write` puts it into docs/power-drivers.md.
 */
import { parseArgs } from 'node:util'
import { systemClock } from '../../core/clock.ts'
import { reasonOf } from '../../core/errors.ts'
import { pace } from '../../plugins/power/driver.ts'
import { ensurePackages } from '../lab/packages.ts'
import { leastPassed, reasons } from './iscsi/reasons.ts'
import { listTests, runTest } from './iscsi/suite.ts'
import type { Outcome } from './iscsi/suite.ts'
import { startTarget } from './iscsi/target.ts'
import { conformPower } from './power/main.ts'
import { line, row, run } from './redfish/suite.ts'

const { values: { only, json, markdown, address, tls, image, write, 'no-switch': noSwitch }, positionals: [subject] } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, json: { type: 'boolean', default: false }, markdown: { type: 'boolean', default: false }, address: { type: 'string' }, tls: { type: 'string' }, image: { type: 'string' }, write: { type: 'boolean', default: false }, 'no-switch': { type: 'boolean', default: false } }
})
const say = (line: string): void => { process.stderr.write(`${line}\n`) }

/** What of the outcomes is not as it should be. */
function shortcomings (outcomes: readonly Outcome[], whole: boolean): string[] {
  const passed = outcomes.filter(({ verdict }) => verdict === 'pass').length
  return [
    ...outcomes.filter(({ verdict }) => verdict !== 'pass' && verdict !== 'skip').map(({ test, verdict, said }) => `${test}: ${verdict}: ${said}`),
    ...outcomes.filter(({ test, verdict, said }) => verdict === 'skip' && reasonFor(test, said) === undefined).map(({ test, said }) => `${test}: skipped (${said}) without a reason in test/conformance/iscsi/reasons.ts`),
    ...whole && passed < leastPassed ? [`${passed} tests passed; ${leastPassed} is the least`] : []
  ]
}
const reasonFor = (test: string, said: string): string | undefined => reasons.find(one => one.tests.test(test) && said.includes(one.said))?.why

async function iscsi (): Promise<number> {
  await ensurePackages(['libiscsi-bin'], say)
  const tests = (await listTests()).filter(test => only === undefined || test.includes(only))
  let target = await startTarget()
  const outcomes: Outcome[] = []
  try {
    for (const test of tests) {
      const outcome = await runTest(test, target.urls)
      outcomes.push(target.fate === undefined ? outcome : { ...outcome, verdict: 'fail', said: `the target ended: ${target.fate}` })
      const { verdict, milliseconds, said } = outcomes.at(-1) ?? outcome
      if (json) process.stdout.write(`${JSON.stringify({ suite: 'iscsi', test, verdict, milliseconds, said, reason: verdict === 'skip' ? reasonFor(test, said) ?? null : null })}\n`)
      else if (verdict !== 'skip') process.stdout.write(`${verdict}  ${test}  ${milliseconds} ms${said === '' ? '' : `  (${said})`}\n`)
      if (target.fate !== undefined) { await target.end(); target = await startTarget() }
    }
  } finally { await target.end() }
  if (!json) for (const { test, verdict, said } of outcomes) if (verdict === 'skip') process.stdout.write(`skip  ${test}: ${reasonFor(test, said) ?? said}\n`)
  const counts = (['pass', 'skip', 'fail', 'hang', 'error'] as const).map(verdict => `${outcomes.filter(one => one.verdict === verdict).length} ${verdict}`)
  say(`${outcomes.length} tests: ${counts.join(', ')}`)
  const wrong = shortcomings(outcomes, only === undefined)
  for (const line of wrong) say(`not as it should be: ${line}`)
  return outcomes.length === 0 || wrong.length > 0 ? 1 : 0
}

async function redfish (): Promise<number> {
  if (address === undefined) { say('say with --address which service: redfish+https://user:password@host[/redfish/v1/Systems/x]'); return 2 }
  const wanted = { address, switching: !noSwitch, ...(tls === undefined ? {} : { tls }), ...(image === undefined ? {} : { image }), ...(only === undefined ? {} : { only }) }
  const outcomes = await run(wanted, { signal: new AbortController().signal, clock: systemClock, pace }, outcome => {
    process.stdout.write(`${json ? JSON.stringify({ suite: 'redfish', ...outcome }) : markdown ? row(outcome) : line(outcome)}\n`)
  })
  say((['passed', 'failed', 'not offered', 'not tried'] as const).map(verdict => `${outcomes.filter(one => one.verdict === verdict).length} ${verdict}`).join(', '))
  return outcomes.length === 0 || outcomes.some(({ verdict }) => verdict === 'failed') ? 1 : 0
}

const suites = { iscsi, redfish, power: () => conformPower({ write, say }) }
if (subject !== 'iscsi' && subject !== 'redfish' && subject !== 'power') {
  say('npm run conformance -- iscsi [--only <text>] [--json]\nnpm run conformance -- redfish --address <url> [--tls <how>] [--image <url>] [--no-switch] [--only <text>] [--json | --markdown]\nnpm run conformance -- power [--write]')
  process.exitCode = 2
} else process.exitCode = await suites[subject]().catch((error: unknown) => { say(reasonOf(error)); return 1 })
