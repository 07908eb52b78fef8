/** Migrations of several regions on one real database: who may start beside whom, and when what takes away is applied. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { coreMigrations } from '../../core/database/migrate.ts'
import type { MigrationSet } from '../../core/database/migrate.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { hasCode } from '../../core/errors.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

let db: TestDatabase
let folder = ''
const handles: DatabaseHandle[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regions-'))
  db = await testDatabase({ bare: true })
})
afterEach(async () => {
  await Promise.all(handles.splice(0).map(handle => handle.close()))
  await db.drop()
  await rm(folder, { recursive: true, force: true })
})
const code = (code: ErrorCode, text: RegExp) => (error: unknown) => hasCode(error, code) && text.test((error as Error).message)

const files = {
  '0001-begin.sql': 'create schema it; create table it.t (old integer)',
  '0002-new.sql': 'alter table it.t add column new integer',
  '0003-no-old.sql': '-- contract\nalter table it.t drop column old',
  '0004-more.sql': 'create table it.more (n integer)'
}
/** The plugin `it` as far as file `last`. */
async function upTo (last: number, changed: Readonly<Record<string, string>> = {}): Promise<MigrationSet> {
  const directory = join(folder, `it-${last}-${Object.keys(changed).join()}`)
  await mkdir(directory, { recursive: true })
  for (const [file, sql] of Object.entries({ ...files, ...changed }).slice(0, last)) await writeFile(join(directory, file), sql)
  return { name: 'it', directory: pathToFileURL(directory) }
}
const [labelOld, labelMore] = ['it 0003-no-old', 'it 0004-more']
const columns = async () => (await db.query<{ name: string }>("select column_name as name from information_schema.columns where table_schema = 'it' and table_name = 't' order by ordinal_position")).map(({ name }) => name)

/** A region that starts: migrates as the daemon does, and is seen from then on. */
async function region (id: string, version: string, sets: readonly MigrationSet[]) {
  const handle = await openDatabase({ ...db.options, version, size: 2 })
  handles.push(handle)
  return await handle.migrate([coreMigrations, ...sets], { id, hostname: id, roles: ['region'], version })
}
const silent = (id: string, seconds: number) => db.query('update core.controller set last_seen_at = now() - make_interval(secs => $2) where id = $1', [id, seconds])
const ofIt = (labels: readonly string[]) => labels.filter(label => label.startsWith('it '))

describe('versions', () => {
  test('one minor apart, in either order, run side by side', async () => {
    await region('a', '1.1.0', [])
    await region('b', '1.2.3', [])
    await region('a', '1.1.9', [])
    expect(await db.query('select id, version from core.controller order by id')).toEqual([{ id: 'a', version: '1.1.9' }, { id: 'b', version: '1.2.3' }])
  })

  test.each(['1.3.0', '1.0.0', '2.1.0', '0.2.0', ''])('%j is refused beside 1.1.0 and 1.2.0, and leaves neither a row nor a migration', async version => {
    await region('a', '1.1.0', [])
    await region('b', '1.2.0', [])
    await expect(region('c', version, [await upTo(2)])).rejects.toSatisfy(code('VERSION_INCOMPATIBLE', /the region (a|b) 1\..*bedplate controller list/))
    expect(await db.query('select id from core.controller order by id')).toEqual([{ id: 'a' }, { id: 'b' }])
    expect(await db.query("select from core.migration where set = 'it'")).toEqual([])
  })

  test('of regions that were silent for a minute, of racks, and of oneself before the upgrade do not matter', async () => {
    await region('a', '1.0.0', [])
    await db.query("insert into core.controller (id, hostname, roles, version) values ('rack', 'rack', '{rack}', '0.1.0'), ('enrolled', 'enrolled', '{region}', '')")
    await expect(region('b', '1.2.0', [])).rejects.toSatisfy(code('VERSION_INCOMPATIBLE', /the region a 1\.0\.0/))
    await silent('a', 61)
    await region('b', '1.2.0', [])
    await region('b', '1.4.0', [])
  })

  test('of two that start at once and do not fit, one is refused', async () => {
    await db.migrate([coreMigrations])
    const results = await Promise.allSettled([region('a', '1.0.0', []), region('b', '1.2.0', []), region('c', '1.4.0', [])])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toSatisfy(code('VERSION_INCOMPATIBLE', /fit/))
  })
})

describe('a contract', () => {
  test('waits for a region without it, while the expands after it do not; the last region to be upgraded applies it', async () => {
    await region('a', '1.0.0', [await upTo(1)])
    await region('b', '1.0.0', [await upTo(1)])
    const first = await region('a', '1.1.0', [await upTo(4)])
    expect([ofIt(first.applied), first.waiting, first.failed]).toEqual([['it 0002-new', labelMore], [`${labelOld} waits for b (version 1.0.0)`], []])
    expect(await columns()).toEqual(['old', 'new'])
    expect(ofIt((await region('b', '1.0.0', [await upTo(1)])).applied)).toEqual([]) // it starts on what is ahead of it
    const last = await region('b', '1.1.0', [await upTo(4)])
    expect([ofIt(last.applied), last.waiting]).toEqual([[labelOld], []])
    expect(await columns()).toEqual(['new'])
    expect(await db.query("select number, phase, version from core.migration where set = 'it' order by number")).toEqual([{ number: 1, phase: 'expand', version: '1.0.0' }, ...[[2, 'expand'], [3, 'contract'], [4, 'expand']].map(([number, phase]) => ({ number, phase, version: '1.1.0' }))])
    await expect(region('b', '1.0.0', [await upTo(1)])).rejects.toSatisfy(code('DATABASE_NEWER', /it 0003-no-old by version 1\.1\.0 took away what older versions use.*Upgrade this controller to version 1\.1\.0 or newer/))
  })

  test('is applied at once, in the order of numbers, where nobody else is', async () => {
    const { applied } = await region('a', '1.0.0', [await upTo(4)])
    expect(ofIt(applied)).toEqual(['it 0001-begin', 'it 0002-new', labelOld, labelMore])
  })

  test('waits for a region that is off but was there within a day, says so, and no longer once that was removed', async () => {
    await region('a', '1.0.0', [await upTo(2)])
    await silent('a', 86_000)
    expect((await region('b', '1.1.0', [await upTo(3)])).waiting).toEqual([`${labelOld} waits for a (version 1.0.0, not running)`])
    await db.query("delete from core.controller where id = 'a'")
    expect((await region('b', '1.1.0', [await upTo(3)])).applied).toEqual([labelOld])
    expect(await db.query('select controller from core.migrator')).toEqual([{ controller: 'b' }])
  })

  test('does not wait for one that was not seen for a day, for racks, nor for regions without the plugin', async () => {
    await region('gone', '1.0.0', [await upTo(2)])
    await silent('gone', 86_500)
    await region('other', '1.0.0', [])
    await db.query("insert into core.controller (id, hostname, roles, version) values ('rack', 'rack', '{rack}', '1.0.0'), ('enrolled', 'enrolled', '{region}', '')")
    expect((await region('b', '1.1.0', [await upTo(3)])).applied).toContain(labelOld)
  })

  test('waits for a region that says nothing of its migrations: the version before this table, or one that went back to it', async () => {
    await db.migrate([coreMigrations, await upTo(2)])
    await db.query("insert into core.controller (id, hostname, roles, version) values ('before', 'before', '{region}', '1.0.0')")
    expect((await region('b', '1.1.0', [await upTo(3)])).waiting).toHaveLength(1)
    await db.query("delete from core.controller where id = 'before'")
    await region('c', '1.1.0', [await upTo(2)])
    await db.query("update core.migrator set known = jsonb_set(known, '{it}', '3') where controller = 'c'")
    await db.query("update core.controller set version = '1.0.0' where id = 'c'") // as its link would, after it went back
    expect((await region('b', '1.1.0', [await upTo(3)])).waiting).toEqual([`${labelOld} waits for c (version 1.0.0)`])
  })

  test('and a region that needs what it takes away never both win', async () => {
    for (let round = 0; round < 5; round++) {
      await db.query('drop schema if exists core cascade; drop schema if exists it cascade')
      await region('old', '1.0.0', [await upTo(2)])
      await db.query("delete from core.controller where id = 'old'")
      const [ahead, behind] = await Promise.allSettled([region('new', '1.1.0', [await upTo(3)]), region('old', '1.0.0', [await upTo(2)])])
      expect(ahead.status).toBe('fulfilled')
      const contracted = !(await columns()).includes('old')
      expect(behind.status).toBe(contracted ? 'rejected' : 'fulfilled')
    }
  })

  test('that fails keeps no region from starting, but tools, and is applied once its cause is gone', async () => {
    const changed = { '0003-no-old.sql': '-- contract\nalter table it.t alter column new set not null' }
    await db.migrate([coreMigrations, await upTo(2)])
    await db.query('insert into it.t values (1, null)')
    const { applied, failed } = await region('a', '1.1.0', [await upTo(4, changed)])
    expect([ofIt(applied), failed]).toEqual([[labelMore], [expect.stringContaining('it 0003-no-old failed')]])
    await expect(db.migrate([coreMigrations, await upTo(4, changed)])).rejects.toSatisfy(code('MIGRATION_FAILED', /it 0003-no-old failed.*null/))
    await db.query('update it.t set new = 1')
    expect((await region('a', '1.1.0', [await upTo(4, changed)])).applied).toEqual([labelOld])
  })
})

describe('a database of the version before', () => {
  /** As the first release made it: no phase, nobody's announcements. */
  async function before (): Promise<void> {
    await db.migrate([coreMigrations, await upTo(2)])
    await db.query("alter table core.migration drop column phase; drop table core.migrator; update core.migration set version = '1.0.0'")
    await db.query("insert into core.controller (id, hostname, roles, version) values ('a', 'a', '{region}', '1.0.0')")
  }

  test('is taken over: what was applied were expands, and its region counts', async () => {
    await before()
    const { applied, waiting } = await region('b', '1.1.0', [await upTo(4)])
    expect([applied, waiting]).toEqual([[labelMore], [`${labelOld} waits for a (version 1.0.0)`]])
    expect(await db.query("select distinct phase from core.migration")).toEqual([{ phase: 'expand' }])
  })

  test('is left as it is by a version that does not fit', async () => {
    await before()
    await expect(region('b', '1.2.0', [await upTo(4)])).rejects.toSatisfy(code('VERSION_INCOMPATIBLE', /the region a 1\.0\.0/))
    expect(await db.query("select to_regclass('core.migrator')::text as made")).toEqual([{ made: null }])
  })
})

test('a migration does not keep regions at work waiting: it gives way to a transaction that holds its table, and comes again', async () => {
  await region('a', '1.0.0', [await upTo(1)])
  const holder = await db.session()
  await holder.query('begin; insert into it.t values (1)')
  const migrating = region('b', '1.1.0', [await upTo(2)])
  const gaveWay = () => db.query<{ n: number }>("select xact_rollback::int as n from pg_stat_database where datname = current_database()").then(([row]) => row?.n ?? 0)
  const rolledBack = await gaveWay()
  await until(async () => await gaveWay() > rolledBack, { what: 'the migration to give way' })
  await db.query('insert into it.t values (2)') // nobody is in the way of it now, or only for a moment
  await holder.query('commit')
  await holder.close()
  expect(ofIt((await migrating).applied)).toEqual(['it 0002-new'])
})
