/** Migrations: numbered SQL files, each applied once, in its own transaction, by whoever comes first. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Session } from './connection.ts'

/** A folder of `0001-what.sql`, named after the plugin (or the core) whose tables they make. */
export interface MigrationSet { readonly name: string, readonly directory: URL }
export interface Migrated { readonly applied: readonly string[] } // 'core 0001-core', in order
export interface Migration { readonly set: string, readonly number: number, readonly name: string, readonly checksum: string, readonly sql: string }
interface Applied { readonly set: string, readonly number: number, readonly name: string, readonly checksum: string, readonly version: string }

export const coreMigrations: MigrationSet = { name: 'core', directory: new URL('./migrations/', import.meta.url) }
const lock = 4_702_394_921 // any constant: all of Bedplate's migrators meet here

/**
 * Reads the files of the sets, in order.
 * @throws BedplateError MIGRATION_FAILED for a file name that is not `0001-what.sql`, or numbers that do not count up from 1
 */
export async function readMigrations (sets: readonly MigrationSet[]): Promise<Migration[]> {
  const found: Migration[] = []
  for (const { name: set, directory } of sets) {
    const folder = new URL(directory.href.endsWith('/') ? directory.href : `${directory.href}/`)
    const files = (await readdir(folder)).filter(file => file.endsWith('.sql')).sort()
    for (const [index, file] of files.entries()) {
      const name = file.slice(0, -'.sql'.length)
      if (!/^\d{4}-[a-z0-9-]+$/.test(name) || Number(name.slice(0, 4)) !== index + 1) throw new BedplateError('MIGRATION_FAILED', { migration: `${set} ${file}`, reason: `it should be called ${String(index + 1).padStart(4, '0')}-<what>.sql: numbers count up from 0001 without a gap` })
      const sql = (await readFile(new URL(file, folder), 'utf8')).replaceAll('\r\n', '\n')
      found.push({ set, number: index + 1, name, checksum: createHash('sha256').update(sql).digest('hex'), sql })
    }
  }
  return found
}

/**
 * What is still to be applied.
 * @throws BedplateError DATABASE_NEWER when the database knows a migration beyond ours; MIGRATION_CHANGED when an applied file was edited or renamed
 */
export function pending (migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  for (const set of new Set(migrations.map(migration => migration.set))) {
    const ours = migrations.filter(migration => migration.set === set)
    const newer = applied.filter(row => row.set === set && row.number > ours.length).at(-1)
    if (newer) throw new BedplateError('DATABASE_NEWER', { found: `${set} ${newer.name}${newer.version ? `, by version ${newer.version}` : ''}`, known: `${set} up to ${ours.at(-1)?.name ?? 'none'}` })
  }
  return migrations.filter(migration => {
    const row = applied.find(row => row.set === migration.set && row.number === migration.number)
    if (!row) return true
    if (row.checksum !== migration.checksum) throw new BedplateError('MIGRATION_CHANGED', { migration: `${migration.set} ${migration.name}`, reason: row.name === migration.name ? 'the file was edited' : `${row.name} was applied under that number` })
    return false
  })
}

interface MigrateOptions { readonly sets: readonly MigrationSet[], readonly version: string, readonly log: Logger, readonly open: () => Promise<Session> }

/** Brings the database up to date. Safe to run from any number of controllers at once: each file is applied by one of them, and the others wait for it. */
export async function migrate ({ sets, version, log, open }: MigrateOptions): Promise<Migrated> {
  const migrations = await readMigrations(sets)
  const session = await open()
  const applied: string[] = []
  try {
    let todo = pending(migrations, await readApplied(session))
    while (todo.length > 0) {
      const next = await applyOne(session, migrations, version, log)
      if (next === undefined) break
      applied.push(next)
      todo = todo.slice(1)
    }
    pending(migrations, await readApplied(session))
    return { applied }
  } finally {
    await session.close()
  }
}

/** Applies the first file that is missing, in a transaction that holds the lock; undefined when another controller was done before. */
async function applyOne (session: Session, migrations: readonly Migration[], version: string, log: Logger): Promise<string | undefined> {
  await session.query('begin')
  let migration: Migration | undefined
  try {
    await session.query("set local lock_timeout = '5min'") // another controller's migration may take its time
    await session.query('select pg_advisory_xact_lock($1)', [lock])
    await session.query(`create schema if not exists core;
      create table if not exists core.migration (
        set text not null, number integer not null, name text not null, checksum text not null,
        applied_at timestamptz not null default now(), version text not null, primary key (set, number))`)
    migration = pending(migrations, await readApplied(session))[0] // a new statement sees what the last holder of the lock committed
    if (!migration) { await session.query('commit'); return undefined }
    const label = `${migration.set} ${migration.name}`
    log.info({ migration: label }, 'migrating the database')
    await session.query("set local lock_timeout = '1min'")
    await session.query(migration.sql)
    await session.query('insert into core.migration (set, number, name, checksum, version) values ($1, $2, $3, $4, $5)', [migration.set, migration.number, migration.name, migration.checksum, version])
    await session.query('commit')
    return label
  } catch (error) {
    await session.query('rollback').catch(() => {})
    if (error instanceof BedplateError) throw error
    throw new BedplateError('MIGRATION_FAILED', { migration: migration ? `${migration.set} ${migration.name}` : 'core', reason: where(error, migration?.sql) }, error)
  }
}

async function readApplied (session: Session): Promise<Applied[]> {
  const [found] = await session.query<{ present: boolean }>("select to_regclass('core.migration') is not null as present")
  if (!found?.present) return []
  return await session.query<Applied>('select set, number, name, checksum, version from core.migration order by set, number')
}

/** PostgreSQL's message with the line of the file it points at. */
function where (error: unknown, sql: string | undefined): string {
  const position = Number((error as { position?: unknown }).position)
  if (sql === undefined || !Number.isInteger(position) || position < 1) return reasonOf(error)
  return `line ${sql.slice(0, position - 1).split('\n').length}: ${reasonOf(error)}`
}
