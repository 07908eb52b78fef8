/** A process that runs schedules for the one that started it; with `--mutant <name>` on decision code that has that fault in it. Talks over IPC. */
import { registerHooks } from 'node:module'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BedplateError } from '../../../core/errors.ts'
import { runMany } from '../run.ts'
import { mutants } from './mutants.ts'
import type { Mutant } from './mutants.ts'

const { values } = parseArgs({ options: { first: { type: 'string' }, count: { type: 'string' }, mutant: { type: 'string' }, seed: { type: 'string' } } })

/** Puts the fault in as the file is loaded. A text that is not found exactly once means that the list of mutants is behind the code. */
function inject ({ name, file, from, to }: Mutant): void {
  const url = new URL(`../../../${file}`, import.meta.url)
  const parts = readFileSync(fileURLToPath(url), 'utf8').split(from)
  if (parts.length !== 2) throw new BedplateError('INTERNAL', { reason: `mutant "${name}": its text is ${parts.length - 1} times in ${file}` })
  registerHooks({
    load (asked, context, next) {
      const loaded = next(asked, context)
      if (asked.split('?')[0] !== url.href || loaded.source === undefined || loaded.source === null) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString('utf8')
      return { ...loaded, source: source.split(from).join(to) }
    }
  })
}

const mutant = values.mutant === undefined ? undefined : mutants.find(({ name }) => name === values.mutant)
if (mutant !== undefined) inject(mutant)
const { dhcp } = await import('./dhcp.ts')

if (values.seed !== undefined) {
  for (const line of (await dhcp(Number(values.seed), { verbose: true })).lines) process.stdout.write(`${line}\n`)
} else {
  const first = Number(values.first)
  const count = Number(values.count)
  const step = 50
  for (let done = 0; done < count; done += step) {
    const summary = await runMany(seed => dhcp(seed), first + done, Math.min(step, count - done))
    process.send?.(summary)
    if (summary.failures.length > 0 && mutant !== undefined) break
  }
  process.disconnect?.()
}
