/** `npm run test:boot`: every firmware, transport, image and way to the root in QEMU; a table. Root; Debian's packages. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { reasonOf } from '../../core/errors.ts'
import { project } from '../lab/controller.ts'
import { labImage } from '../lab/image.ts'
import { ensurePackages, packages } from '../lab/packages.ts'
import { judgements } from './judgement.ts'
import { nameOf, plans } from './matrix.ts'
import { document, page, table, type Judgement } from './page.ts'
import { runPlan, type Outcome, type RunOptions } from './run.ts'

const { values: options } = parseArgs({ options: { only: { type: 'string', multiple: true }, json: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, again: { type: 'boolean', default: false }, keep: { type: 'string' }, image: { type: 'string' }, help: { type: 'boolean', default: false } } })
const matches = (name: string, text: string): boolean => text.split('/').every((part, index) => part === '' || part === '*' || name.split('/')[index] === part)
const all = [...plans.map(nameOf), ...judgements.map(({ name }) => name)]
const unknown = (options.only ?? []).filter(text => !all.some(name => matches(name, text)))
if (options.help || unknown.length > 0) {
  process.stderr.write(`${unknown.map(text => `There is no ${text}.\n`).join('')}npm run test:boot -- [--only <firmware>/<image>/<way>]… [--again] [--json] [--write] [--image <folder>] [--keep <folder>]

--only   a cell, or more of them: uefi-pxe, */cell, */*/iscsi
         ${all.join('\n         ')}
--again  also what an earlier run has an outcome of
--json   one object per cell on standard output instead of the table
--write  the table becomes docs/boot-matrix.md
--image  another image than the one built from Debian's packages: its folder
--keep   leaves the serial lines and the racks' logs there
`)
  process.exit(options.help ? 0 : 2)
}
const began = performance.now()
const clock = (): string => { const s = Math.round((performance.now() - began) / 1000); return `${String(Math.floor(s / 60)).padStart(3)}:${String(s % 60).padStart(2, '0')}` }
const say = (line: string): void => { process.stderr.write(`${clock()}  ${line}\n`) }

// What came out before is kept, so that a run that is broken off goes on where it was.
const file = join(project, '.cache/boot/outcomes.json')
interface Kept { readonly outcomes: readonly Outcome[], readonly judgements: readonly Judgement[] }
const before: Kept = options.again && options.only === undefined ? { outcomes: [], judgements: [] } : await readFile(file, 'utf8').then(text => JSON.parse(text) as Kept, () => ({ outcomes: [], judgements: [] }))
const outcomes = new Map(before.outcomes.map(one => [`${one.row}/${one.image}/${one.way}`, one]))
const judged = new Map(before.judgements.map(one => [one.name, one]))
const chosen = (name: string): boolean => options.only === undefined ? options.again || (outcomes.get(name) ?? judged.get(name))?.failure !== undefined || !(outcomes.has(name) || judged.has(name)) : options.only.some(text => matches(name, text))
const save = async (): Promise<void> => { await writeFile(file, JSON.stringify({ outcomes: [...outcomes.values()], judgements: [...judged.values()] })) }

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { process.exit(130) }) // the cell's network takes everything in it along
await mkdir(join(project, '.cache/boot'), { recursive: true })
await ensurePackages([...packages.network, ...packages.machines, ...packages.firmware], say)
const [mine, besides] = [plans.filter(plan => chosen(nameOf(plan))), judgements.filter(({ name }) => chosen(name))]
const debian = mine.some(({ image }) => image === 'debian') ? options.image ?? await labImage(say) : undefined
let done = 0
const failures: string[] = []
async function attempt<T extends object> (name: string, work: (options: RunOptions) => Promise<T>): Promise<T | { readonly failure: string }> {
  say(`${++done} of ${mine.length + besides.length}  ${name}`)
  const started = performance.now()
  const result = await work({ say, ...options.keep === undefined ? {} : { keep: join(options.keep, name.replaceAll('/', '-')) }, ...debian === undefined ? {} : { debian } }).catch((error: unknown) => ({ failure: reasonOf(error) }))
  const failure = 'failure' in result ? String(result.failure) : undefined
  say(`   ${failure === undefined ? 'passed' : 'FAILED'} after ${((performance.now() - started) / 1000).toFixed(1)} s`)
  if (failure !== undefined) failures.push(`${name}: ${failure}`)
  if (options.json) process.stdout.write(`${JSON.stringify({ cell: name, ...result })}\n`)
  return result
}
for (const plan of mine) {
  const { row, image, way } = plan
  outcomes.set(nameOf(plan), { row: row.name, image, way, seconds: 0, ...await attempt(nameOf(plan), how => runPlan(plan, how)) })
  await save()
}
for (const { name, title, run } of besides) {
  const started = performance.now()
  const result = await attempt(name, async how => { await run(how); return {} })
  judged.set(name, { name, title, seconds: Math.round((performance.now() - started) / 100) / 10, ...result })
  await save()
}
if (!options.json) process.stdout.write(`${table([...outcomes.values()])}\n`)
if (options.write) await writeFile(document, page(plans.flatMap(plan => outcomes.get(nameOf(plan)) ?? []), judgements.flatMap(({ name }) => judged.get(name) ?? [])))
for (const failure of failures) process.stderr.write(`✗ ${failure}\n`)
process.exit(failures.length === 0 ? 0 : 1)
