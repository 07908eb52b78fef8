/** `npm run test:power`: breaks what is between a wish and a BMC, and tells what each fault cost. Root; Debian's iproute2. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEmbedded } from '../../core/database/embedded.ts'
import { openDatabase } from '../../core/database/pool.ts'
import { reasonOf } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { page, table, type Result } from './page.ts'
import { rows } from './rows.ts'
import { openWorld } from './world.ts'

const { values: options } = parseArgs({ options: { only: { type: 'string' }, write: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } })
if (options.help) {
  process.stdout.write(`npm run test:power -- [--only <text>] [--write] [--keep]\n\n--only    the rows whose name has this text\n--write   docs/power-routing.md\n--keep    leave the logs where they are\n\n${rows.map(({ name }) => `  ${name}\n`).join('')}`)
  process.exit(0)
}
const began = performance.now()
const say = (line: string): void => { process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`) }

const chosen = rows.filter(({ name }) => name.includes(options.only ?? ''))
const directory = await mkdtemp(join(tmpdir(), 'bedplate-power-'))
const log = createLogger('warn')
const embedded = await startEmbedded({ dataDirectory: directory, log })
const { host, port, database, user } = embedded.connection
const db = await openDatabase({ hosts: [{ host, port }], database, user, log })
const results: Result[] = []
let wrong = 0
try {
  const world = await openWorld({ directory, say, database: { socket: join(host, `.s.PGSQL.${port}`), name: database, user }, query: (text, values) => db.query(text, values) })
  try {
    for (const [index, row] of chosen.entries()) {
      say(row.name)
      try {
        await world.whole()
        const cost = await row.run(world, `box-${index + 1}`)
        results.push({ name: row.name, ...cost })
        if (cost.switches === row.switches) continue
        wrong++
        say(`it was switched ${cost.switches} times, not ${row.switches}`)
      } catch (error) {
        wrong++
        say(`failed: ${reasonOf(error)}`)
      }
    }
  } finally { await world.close() }
} finally {
  await db.close()
  await embedded.stop()
  if (options.keep) say(`the logs are in ${directory}`)
  else await rm(directory, { recursive: true, force: true })
}
process.stdout.write(`${table(results)}\n`)
if (options.write && wrong === 0) await writeFile(join(import.meta.dirname, '../../docs/power-routing.md'), page(results))
if (wrong > 0) { say(`${wrong} of ${chosen.length} rows are not as they must be`); process.exitCode = 1 }
