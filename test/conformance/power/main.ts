/** `npm run conformance -- power [--write]`: every power driver through its suite, as one table. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drivers } from '../../../plugins/power/drivers.ts'
import { ensurePackages, packages } from '../../lab/packages.ts'
import { tableOf, verdictsOf, type Results } from './table.ts'

const root = join(import.meta.dirname, '../../..')
const page = join(root, 'docs/power-drivers.md')

/** Exit code 1 when a test failed, did not run, or a driver has no suite. */
export async function conformPower ({ write, say }: { readonly write: boolean, readonly say: (line: string) => void }): Promise<number> {
  await ensurePackages([...packages.network, ...packages.power], say)
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-conformance-'))
  try {
    const file = join(folder, 'results.json')
    await new Promise<void>(resolve => {
      const child = spawn(join(root, 'node_modules/.bin/vitest'), ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, 'test/plugins/power/drivers', 'test/plugins/power/manual.test.ts'], { cwd: root, stdio: ['ignore', 2, 2] })
      child.once('error', () => { resolve() })
      child.once('close', () => { resolve() })
    })
    const verdicts = verdictsOf(JSON.parse(await readFile(file, 'utf8')) as Results)
    const table = tableOf(verdicts, drivers.map(({ name, experimental }) => ({ name, experimental })))
    process.stdout.write(`${table}\n`)
    const without = drivers.filter(({ name }) => !verdicts.some(({ driver }) => driver === name))
    const wrong = verdicts.filter(({ status }) => status === 'failed' || status === 'other')
    for (const { driver, subject, test, message } of wrong) say(`${driver}: ${subject === '' ? '' : `${subject}: `}${test}: ${message}`)
    for (const { name } of without) say(`${name}: no suite was run`)
    const applicable = verdicts.filter(({ status }) => status !== 'inapplicable')
    const count = `${applicable.length - wrong.length} of ${applicable.length} passed`
    say(count)
    if (write) {
      const before = await readFile(page, 'utf8')
      const [begin, end] = ['<!-- table: written by npm run conformance -- power --write -->', '<!-- end of table -->']
      const [from, to] = [before.indexOf(begin), before.indexOf(end)]
      await writeFile(page, `${before.slice(0, from + begin.length)}\n${count}, ${new Date().toISOString().slice(0, 10)}.\n\n${table}\n${before.slice(to)}`)
    }
    return wrong.length + without.length === 0 ? 0 : 1
  } finally { await rm(folder, { recursive: true, force: true }) }
}
