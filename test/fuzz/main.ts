/** `node test/fuzz/main.ts dhcp|iscsi|tftp [--packets N] [--seconds S] [--seed S] [--json]`: hostile packets through the real receive path; fails when one did harm. */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fuzz as dhcp } from './dhcp/run.ts'
import { fuzz as iscsi } from './iscsi/run.ts'
import { fuzz as tftp } from './tftp/run.ts'

const subjects = { dhcp, iscsi, tftp }
const usage = `node test/fuzz/main.ts ${Object.keys(subjects).join('|')} [--packets N] [--seconds S] [--seed S] [--json]`
const { values, positionals: [subject = ''] } = parseArgs({ allowPositionals: true, options: { packets: { type: 'string', default: '5000000' }, seconds: { type: 'string' }, seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } } })
const [packets, seconds, seed] = [Number(values.packets), values.seconds === undefined ? undefined : Number(values.seconds), Number(values.seed)]
const say = (line: string) => process.stdout.write(`${line}\n`)

if (!Object.hasOwn(subjects, subject) || !Number.isSafeInteger(packets) || packets < 1 || !Number.isSafeInteger(seed) || Number.isNaN(seconds)) {
  process.stderr.write(`${usage}\n`)
  process.exitCode = 2
} else {
  setFlagsFromString('--expose-gc')
  const outcome = await subjects[subject as keyof typeof subjects]({ packets, seconds, seed, collect: runInNewContext('gc') as () => void })
  const { failures, counts } = outcome
  if (values.json) say(JSON.stringify({ subject, seed, ...outcome }))
  else {
    for (const [what, count] of Object.entries(counts)) say(`${String(count).padStart(10)} ${what}`)
    for (const { packet, what, hex } of failures) say(`\npacket ${packet} of seed ${seed}, or one shortly before it: ${what}\n${hex}`)
    say(`${outcome.packets} packets in ${outcome.seconds.toFixed(1)} s, ${Math.round(outcome.perSecond)}/s of processor time (first tenth ${Math.round(outcome.firstTenth)}/s, last tenth ${Math.round(outcome.lastTenth)}/s)`)
    say(`heap ${outcome.heap[0]} MB after a fifth, ${outcome.heap[1]} MB at the end; at most ${outcome.mostKept} things kept; ${failures.length} failures`)
  }
  process.exitCode = failures.length === 0 ? 0 : 1
}
