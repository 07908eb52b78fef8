/** Migrations on a real server: once each, in order, by whoever is first; a newer or another history is refused. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { coreMigrations, readMigrations } from '../../core/database/migrate.ts'
import type { MigrationSet } from '../../core/database/migrate.ts'
import { openDatabase } from '../../core/database/pool.ts'
import { hasCode } from '../../core/errors.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'

let db: TestDatabase
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'migrations-'))
  db = await testDatabase({ bare: true })
})
afterEach(async () => {
  await db.drop()
  await rm(folder, { recursive: true, force: true })
})
const code = (code: ErrorCode, text: RegExp) => (error: unknown) => hasCode(error, code) && text.test((error as Error).message)

async function set (name: string, files: Readonly<Record<string, string>>): Promise<MigrationSet> {
  const directory = join(folder, name)
  await mkdir(directory, { recursive: true })
  for (const [file, sql] of Object.entries(files)) await writeFile(join(directory, file), sql)
  return { name, directory: pathToFileURL(directory) }
}
const applied = () => db.query('select set, number, name from core.migration order by applied_at, set, number')

describe('migrating', () => {
  test('makes the core\'s tables, and says so once', async () => {
    expect((await db.migrate([coreMigrations])).applied).toContain('core 0001-core')
    expect((await db.migrate([coreMigrations])).applied).toEqual([])
    const tables = await db.query<{ name: string }>("select table_name as name from information_schema.tables where table_schema = 'core'")
    expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(['authority', 'change', 'change_horizon', 'controller', 'enrolment_token', 'fact_cursor', 'fact_rejected', 'idempotency', 'leader', 'migration', 'rack_state']))
  })

  test('goes set by set in the order given, file by file in the order of numbers', async () => {
    const first = await set('first', { '0002-more.sql': 'insert into first.t values (2)', '0001-begin.sql': 'create schema first; create table first.t (n integer)' })
    const second = await set('second', { '0001-uses.sql': 'create schema second; create table second.t as select * from first.t' })
    expect((await db.migrate([first, second])).applied).toEqual(['first 0001-begin', 'first 0002-more', 'second 0001-uses'])
    expect(await db.query('select n from second.t')).toEqual([{ n: 2 }])
  })

  test('is done once by twenty controllers at once', async () => {
    const slow = await set('slow', Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`000${i + 1}-step.sql`, `${i === 0 ? 'create schema slow; create table slow.t (n integer); ' : ''}insert into slow.t values (${i}); select pg_sleep(0.02)`])))
    const handles = await Promise.all(Array.from({ length: 20 }, () => openDatabase({ ...db.options, size: 1 })))
    const results = await Promise.all(handles.map(handle => handle.migrate([coreMigrations, slow])))
    await Promise.all(handles.map(handle => handle.close()))
    expect(results.flatMap(({ applied }) => applied).sort()).toEqual([...(await readMigrations([coreMigrations])).map(({ set, name }) => `${set} ${name}`), ...[1, 2, 3, 4, 5].map(n => `slow 000${n}-step`)])
    expect(await db.query('select n from slow.t order by n')).toEqual([0, 1, 2, 3, 4].map(n => ({ n })))
  })

  test('keeps nothing of a file that fails, keeps those before it, names the line, and goes on once it is mended', async () => {
    const broken = { '0001-good.sql': 'create table good (n integer)', '0002-bad.sql': 'create table half (n integer);\n\nselect * from nowhere;' }
    await expect(db.migrate([await set('it', broken)])).rejects.toSatisfy(code('MIGRATION_FAILED', /it 0002-bad failed: line 3: relation "nowhere" does not exist/))
    expect(await db.query("select to_regclass('good')::text as good, to_regclass('half')::text as half")).toEqual([{ good: 'good', half: null }])
    expect((await db.migrate([await set('it', { '0002-bad.sql': 'create table half (n integer)' })])).applied).toEqual(['it 0002-bad'])
  })

  test('refuses a database that a newer Bedplate migrated, naming both', async () => {
    const files = { '0001-a.sql': 'select 1', '0002-b.sql': 'select 1' }
    const newer = await openDatabase({ ...db.options, version: '9.9.9' })
    await newer.migrate([await set('it', files)])
    await newer.close()
    await rm(join(folder, 'it', '0002-b.sql'))
    await expect(db.migrate([await set('it', {})])).rejects.toSatisfy(code('DATABASE_NEWER', /it 0002-b was added by version 9\.9\.9 \(this one knows it up to 0001\)\. Upgrade this controller to version 9\.8\.0/))
  })

  test('refuses a file that was edited after it was applied', async () => {
    await db.migrate([await set('it', { '0001-a.sql': 'select 1' })])
    await expect(db.migrate([await set('it', { '0001-a.sql': 'select 2' })])).rejects.toSatisfy(code('MIGRATION_CHANGED', /it 0001-a .*edited/))
  })

  test('takes a file whose line ends an editor or git has changed for the same', async () => {
    await db.migrate([await set('it', { '0001-a.sql': 'select 1;\nselect 2;\n' })])
    expect((await db.migrate([await set('it', { '0001-a.sql': 'select 1;\r\nselect 2;\r\n' })])).applied).toEqual([])
  })

  test('leaves alone what belongs to a plugin that is not there', async () => {
    const gone = await set('gone', { '0001-a.sql': 'select 1' })
    await db.migrate([gone])
    expect((await db.migrate([await set('it', { '0001-a.sql': 'select 1' })])).applied).toEqual(['it 0001-a'])
    expect(await applied()).toHaveLength(2)
  })

  test('may run longer than a statement usually may, but waits for a lock no longer than regions at work can bear', async () => {
    const [row] = await db.migrate([await set('it', { '0001-a.sql': "create table seen as select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock" })]).then(() => db.query('select * from seen'))
    expect(row).toEqual({ statement: '0', lock: '2s' })
  })
})

describe('file names', () => {
  test.each([['1-a.sql'], ['0001_a.sql'], ['0001-A.sql'], ['0002-a.sql']])('%s as the only one is refused', async file => {
    await expect(readMigrations([await set('it', { [file]: '' })])).rejects.toSatisfy(code('MIGRATION_FAILED', /0001-<what>\.sql/))
  })
  test('two with one number are refused', async () => {
    await expect(readMigrations([await set('it', { '0001-a.sql': '', '0001-b.sql': '' })])).rejects.toSatisfy(code('MIGRATION_FAILED', /0001-b\.sql/))
  })
})
