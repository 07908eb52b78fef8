/** `npm run survive`: a machine in mid-deployment loses the rack that serves it; a table of moments × faults. Root; Debian's packages. */
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { reasonOf } from '../../core/errors.ts'
import { labImage } from '../lab/image.ts'
import { ensurePackages, packages } from '../lab/packages.ts'
import type { Firmware } from '../../sim/machine/machine.ts'
import { faults } from './fault.ts'
import { cell, markdown, newest, table, undisturbed, type Outcome } from './outcome.ts'
import { document, written } from './page.ts'
import { points, roots } from './point.ts'
import { cache, ready } from './ready.ts'
import { nameOf, runCell, type Cell } from './run.ts'
import { clean, type Remains } from './world.ts'

const { values: options } = parseArgs({ options: { only: { type: 'string', multiple: true }, firmware: { type: 'string', default: 'uefi' }, again: { type: 'boolean', default: false }, anew: { type: 'boolean', default: false }, image: { type: 'string' }, json: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, show: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
const cells = (firmware: Firmware): Cell[] => [
  ...roots.map(root => ({ root, firmware })),
  ...faults.flatMap(fault => points.filter(point => firmware === 'uefi' || point.name !== 'tftp').map(point => ({ point, fault, root: point.root, firmware }))) // the BIOS machine's card has iPXE in its ROM
]
const firmware = options.firmware as Firmware
const all = cells(firmware)
const matches = (one: Cell, text: string): boolean => text.split('/').every((part, index) => part === '' || part === '*' || nameOf(one).split('/')[index] === part)
const unknown = (options.only ?? []).filter(text => !all.some(one => matches(one, text)))
if (options.help || unknown.length > 0 || !['bios', 'uefi'].includes(firmware)) {
  process.stderr.write(`${unknown.map(text => `There is no ${text}.\n`).join('')}npm run survive -- [--only <moment>/<fault>]… [--firmware uefi|bios] [--again] [--anew] [--image <folder>] [--json] [--write] [--show]

--only   one cell, a row (tftp) or a column (*/kill); ${undisturbed}/http and ${undisturbed}/iscsi are undisturbed
         moments: ${points.map(({ name }) => name).join(', ')}
         faults: ${faults.map(({ name }) => name).join(', ')}
--again  also what an earlier run has an outcome of (a cell named whole with --only always runs)
--anew   commissions the machine again that every cell begins with a copy of
--image  another image than the one built from Debian's packages
--json   one object per cell on standard output instead of the table
--write  the table goes into docs/boot-availability.md
--show   runs nothing: the table of what was measured so far
`)
  process.exit(options.help ? 0 : 2)
}
const began = performance.now()
const clock = (): string => { const s = Math.round((performance.now() - began) / 1000); return `${String(Math.floor(s / 60)).padStart(3)}:${String(s % 60).padStart(2, '0')}` }
let place = ''
const say = (line: string): void => { process.stderr.write(`${clock()}  ${place}${line}\n`) }

const file = join(cache, 'outcomes.jsonl')
await mkdir(cache, { recursive: true })
if (options.again && options.only === undefined && !options.show) await rm(file, { force: true })
const outcomes: Outcome[] = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(line => JSON.parse(line) as Outcome)
const known = (one: Cell): boolean => outcomes.some(({ point, fault, root, firmware }) => point === (one.point?.name ?? undisturbed) && fault === (one.fault?.name ?? undisturbed) && root === one.root && firmware === one.firmware)
const named = (one: Cell): boolean => options.only?.includes(nameOf(one)) ?? false
const chosen = options.show ? [] : all.filter(one => (options.only?.some(text => matches(one, text)) ?? true) && (options.again || named(one) || !known(one)))

const remains: Remains = { undo: [] }
const failures: string[] = []
const done: Outcome[] = []
const stop = Promise.withResolvers<never>()
stop.promise.catch(() => {})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.reject(new Error('interrupted; what was measured is kept, and the next run goes on from there')) })
try {
  let from = ''
  if (chosen.length > 0) {
    await ensurePackages([...packages.network, ...packages.machines, 'curl', 'tcpdump'], say)
    const image = options.image ?? await labImage(say)
    from = await Promise.race([ready({ image, firmware, anew: options.anew, remains, say, hear: say }), stop.promise])
  }
  for (const [index, one] of chosen.entries()) {
    place = `${nameOf(one)} (${index + 1} of ${chosen.length})  `
    const outcome = await Promise.race([runCell({ ...one, from, remains, say }), stop.promise])
    await appendFile(file, `${JSON.stringify(outcome)}\n`)
    outcomes.push(outcome)
    done.push(outcome)
    if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`)
    say(cell(outcome))
    if (!outcome.kept) failures.push(`${nameOf(one)}: ${outcome.why}`)
  }
  place = ''
} catch (error) {
  failures.push(reasonOf(error))
} finally { await clean(remains, say) }

const shown = newest(outcomes).filter(outcome => outcome.firmware === firmware)
;(options.json ? process.stderr : process.stdout).write(`${table(shown, points, faults)}\n`)
if (options.write) {
  const base = roots.flatMap(root => { const whole = shown.find(({ point, root: by }) => point === undisturbed && by === root)?.whole; return whole === undefined ? [] : [`${whole.toFixed(0)} s with its root over ${root === 'http' ? 'HTTP' : 'iSCSI'}`] })
  await writeFile(document, written(await readFile(document, 'utf8').catch(() => ''), markdown(shown, points, faults), base.length === 0 ? '' : `Undisturbed it takes ${base.join(', ')}.`))
}
for (const failure of failures) process.stderr.write(`✗ ${failure}\n`)
process.exit(failures.length === 0 && (done.length > 0 || chosen.length === 0) ? 0 : 1)
