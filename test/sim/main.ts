/**
 * `npm run sim -- leader|outbox|power [--seed S] [--count N] [--json]`, `npm run sim -- dhcp [--seeds N] [--first S] [--mutants] [--json]`, `npm run sim -- dhcp --seed S`:
 * seeded schedules of the real code in virtual time. With a seed alone: that one, and its story.
 */
import { parseArgs } from 'node:util'
import { dhcpCommand } from './dhcp/command.ts'
import { leader } from './leader.ts'
import { outbox } from './outbox.ts'
import { power } from './power.ts'
import { runMany } from './run.ts'
import type { Outcome } from './run.ts'

const kinds: Readonly<Record<string, (seed: number, options: { readonly verbose?: boolean }) => Promise<Outcome>>> = { leader, outbox, power }
const usage = 'npm run sim -- leader|outbox|power [--seed S] [--count N] [--json]\nnpm run sim -- dhcp [--seeds N] [--first S] [--mutants [--only NAME]] [--jobs N] [--json]\nnpm run sim -- dhcp --seed S'
const { values, positionals: [kind = ''] } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' }, count: { type: 'string' }, json: { type: 'boolean', default: false },
    seeds: { type: 'string' }, first: { type: 'string' }, mutants: { type: 'boolean', default: false }, only: { type: 'string' }, jobs: { type: 'string' }
  }
})
const schedule = kinds[kind]
const seed = Number(values.seed ?? 1)
const count = Number(values.count ?? (values.seed === undefined ? 10_000 : 1))
const say = (line: string) => process.stdout.write(`${line}\n`)
const whole = (text: string | undefined, otherwise: number) => Number(text ?? otherwise)

if (kind === 'dhcp') {
  const [seeds, first, jobs] = [whole(values.seeds ?? values.count, values.mutants ? 1_000 : 20_000), whole(values.first, 1), whole(values.jobs, 0)]
  if (![seeds, first, jobs, seed].every(Number.isSafeInteger) || seeds < 1) {
    process.stderr.write(`${usage}\n`)
    process.exitCode = 2
  } else {
    process.exitCode = await dhcpCommand({ seeds, first, json: values.json, mutants: values.mutants, only: values.only, jobs: jobs > 0 ? jobs : undefined, seed: values.seed === undefined ? undefined : seed })
  }
} else if (schedule === undefined || !Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1) {
  process.stderr.write(`${usage}\n`)
  process.exitCode = 2
} else {
  const { failures, seconds, ...summary } = await runMany(one => schedule(one, { verbose: count === 1 }), seed, count)
  const [first] = failures
  const story = first === undefined ? undefined : await schedule(first.seed, { verbose: true })
  const command = first === undefined ? undefined : `npm run sim -- ${kind} --seed ${first.seed}`
  if (values.json) say(JSON.stringify({ kind, ...summary, seconds: Number(seconds.toFixed(1)), failures: failures.map(({ seed, violation, hash }) => ({ seed, violation, hash })), ...(command === undefined ? {} : { command }) }))
  else {
    const lines = story?.lines ?? (count === 1 ? (await schedule(seed, { verbose: true })).lines : [])
    for (const line of lines) say(line)
    for (const { seed, violation } of failures) say(`seed ${seed}: ${violation}`)
    if (command !== undefined) say(`again: ${command}`)
    say(`${kind}: ${summary.schedules} schedules in ${seconds.toFixed(1)} s, ${failures.length} failed; ${Object.entries(summary.facts).map(([name, n]) => `${n} ${name}`).join(', ')}; hash ${summary.hash}`)
  }
  process.exitCode = failures.length === 0 ? 0 : 1
}
