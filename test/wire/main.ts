/** `npm run wire`: real clients on a real wire while what serves them breaks; a table of clients × faults. Root; Debian's packages. */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { reasonOf } from '../../core/errors.ts'
import { ensurePackages, packages } from '../lab/packages.ts'
import type { Firmware } from '../../sim/machine/machine.ts'
import { programs, type Program } from './client.ts'
import { faults } from './fault.ts'
import { markdown, shortcomings, table, type Outcome } from './outcome.ts'
import { document, written } from './page.ts'
import { settle, suffer } from './run.ts'
import { clean, createWorld, type Remains } from './world.ts'

const kinds: readonly string[] = [...programs, 'ipxe', 'uefi']
const { values: options } = parseArgs({ options: { client: { type: 'string', multiple: true }, fault: { type: 'string', multiple: true }, json: { type: 'boolean', default: false }, write: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
const unknown = [...(options.client ?? []).filter(name => !kinds.includes(name)), ...(options.fault ?? []).filter(name => !faults.some(fault => fault.name === name))]
if (options.help || unknown.length > 0) {
  process.stderr.write(`${unknown.map(name => `There is no ${name}.\n`).join('')}npm run wire -- [--client <c>]… [--fault <f>]… [--json] [--write] [--keep]\n\n--client  ${kinds.join(', ')}\n--fault   ${faults.map(({ name }) => name).join(', ')}\n--json    one object per client and fault on standard output instead of the table\n--write   the table goes into docs/dhcp-availability.md\n--keep    leave the logs where they are\n`)
  process.exit(unknown.length > 0 ? 2 : 0)
}
const began = performance.now()
const say = (line: string): void => { process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`) }
const wanted = (name: string): boolean => options.client === undefined || options.client.includes(name)
const chosen: readonly Program[] = programs.filter(wanted)
const firmware: readonly Firmware[] = [...wanted('ipxe') ? ['bios' as const] : [], ...wanted('uefi') ? ['uefi' as const] : []]

await ensurePackages([...packages.network, ...packages.clients, ...packages.database, ...firmware.length > 0 ? packages.machines : []], say)
const outcomes: Outcome[] = []
const failures: string[] = []
const remains: Remains = { undo: [] }
let interrupted = false
const stop = Promise.withResolvers<never>()
stop.promise.catch(() => {})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { interrupted = true; stop.reject(new Error('interrupted')) })
try {
  const world = await Promise.race([createWorld(remains, say), stop.promise])
  const steady = await Promise.race([settle(world, chosen), stop.promise])
  say('every client has its address')
  for (const fault of faults) {
    if (options.fault !== undefined && !options.fault.includes(fault.name)) continue
    const found = await Promise.race([suffer({ world, steady, programs: chosen, firmware, say }, fault), stop.promise])
    outcomes.push(...found)
    if (options.json) for (const outcome of found) process.stdout.write(`${JSON.stringify(outcome)}\n`)
  }
} catch (error) {
  failures.push(reasonOf(error))
} finally {
  await clean(remains, say, options.keep || (failures.length > 0 && !interrupted))
}
failures.push(...shortcomings(outcomes))
;(options.json ? process.stderr : process.stdout).write(`${table(outcomes, faults)}\n`)
if (options.write && outcomes.length > 0) {
  const text = await readFile(document, 'utf8')
  await writeFile(document, written(text, markdown(outcomes, faults)))
}
for (const failure of failures) process.stderr.write(`✗ ${failure}\n`)
process.exit(failures.length === 0 && outcomes.length > 0 ? 0 : 1)
