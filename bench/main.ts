/** `npm run bench -- dhcp [--case name,…] [--rounds 3] [--json] [--write]`: Bedplate beside other servers, on this machine, in one run. Progress on stderr, the table or the JSON on stdout. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { reasonOf } from '../core/errors.ts'
import { ensurePackages } from '../test/lab/packages.ts'
import { dhcp } from './dhcp/area.ts'
import { httpboot } from './httpboot/area.ts'
import { iscsi } from './iscsi/area.ts'
import { jsonOf, missed, tableOf } from './figures.ts'
import { machine } from './machine.ts'
import { withSection } from './page.ts'
import { power } from './power/area.ts'
import { opened } from './rounds.ts'
import { stormArea } from './storm/area.ts'
import { tftp } from './tftp/area.ts'

const areas = { dhcp: opened(dhcp), httpboot: opened(httpboot), iscsi: opened(iscsi), power: opened(power), storm: opened(stormArea), tftp: opened(tftp) }
const usage = `npm run bench -- ${Object.keys(areas).join('|')} [--case name,…] [--rounds 3] [--json] [--write]`
const page = join(import.meta.dirname, '../docs/performance.md')
const began = performance.now()
const say = (line: string) => { process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`) }

async function bench (): Promise<number> {
  const { values, positionals: [name = ''] } = parseArgs({ allowPositionals: true, options: { case: { type: 'string', multiple: true, default: [] }, rounds: { type: 'string', default: '3' }, json: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } } })
  const area = Object.hasOwn(areas, name) ? areas[name as keyof typeof areas] : undefined
  const rounds = Number(values.rounds)
  const only = values.case.flatMap(text => text.split(','))
  const unknown = only.filter(one => area?.cases.every(({ name }) => name !== one))
  if (area === undefined || !Number.isSafeInteger(rounds) || rounds < 1 || unknown.length > 0) {
    process.stderr.write(`${usage}\n${area === undefined ? '' : `cases: ${area.cases.map(({ name }) => name).join(', ')}\n`}`)
    return 2
  }
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { say(`${signal}: ending after this run`); stop.abort() })
  await ensurePackages(area.packages, say)
  const rows = await area.run({ rounds, only, say, signal: stop.signal })
  if (values.json) for (const row of rows) process.stdout.write(`${jsonOf(row)}\n`)
  else process.stdout.write(`${tableOf(rows)}\n`)
  if (values.json) process.stderr.write(`${tableOf(rows)}\n`)
  if (values.write) {
    const command = `npm run bench -- ${name} --write`
    await writeFile(page, withSection(await readFile(page, 'utf8'), { area: name, rows, machine: machine(), versions: await area.versions(), command, date: new Date().toISOString().slice(0, 10) }))
    say(`written: ${page}`)
  }
  return rows.length === 0 || rows.some(missed) || stop.signal.aborted ? 1 : 0
}

process.exitCode = await bench().catch((error: unknown) => { process.stderr.write(`${reasonOf(error)}\n`); return 1 })
