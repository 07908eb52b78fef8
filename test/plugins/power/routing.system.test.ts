/** Two racks, two regions and their BMCs as real daemons in namespaces: whatever dies, hangs or is cut off, the machine is switched once. All rows: `npm run test:power`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rows } from '../../power/rows.ts'
import { openWorld, type World } from '../../power/world.ts'
import { server, testDatabase, type TestDatabase } from '../../kit/database.ts'

let db: TestDatabase
let world: World
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bedplate-power-'))
  db = await testDatabase({ bare: true })
  world = await openWorld({ directory, database: { socket: join(server().host, `.s.PGSQL.${server().port}`), name: db.options.database, user: db.options.user }, query: (text, values) => db.query(text, values), say: () => {} })
}, 120_000)
afterAll(async () => {
  await world?.close()
  await db.drop()
  await rm(directory, { recursive: true, force: true })
}, 60_000)

for (const [index, row] of rows.entries()) {
  if (row.ci !== true) continue
  test(row.name, async () => {
    await world.whole()
    const { switches, seconds, outcome } = await row.run(world, `box-${index + 1}`)
    console.log(`${row.name}: ${outcome}, ${seconds} s`)
    expect(switches).toBe(row.switches)
  }, 120_000)
}
