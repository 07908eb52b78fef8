/** Migrations: numbered SQL files, each applied once, in its own transaction, by whoever comes first; those that take something away wait until nobody needs it. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Session } from './connection.ts'
import { labelOf, pending, phaseOf } from './pending.ts'
import type { Applied, Migration } from './pending.ts'
import { announce, checkVersions, hasTable, otherRegions, waitingReason, waitsFor } from './regions.ts'
import type { Migrator } from './regions.ts'
import { isRepeatable } from './sqlstate.ts'

/** A folder of `0001-what.sql`, named after the plugin (or the core) whose tables they make. */
export interface MigrationSet { readonly name: string, readonly directory: URL }
/** `applied`: 'core 0001-core', in order. `waiting`: why, for each contract that other regions are not ready for. `failed`: for each that could not be applied; this version works without it. */
export interface Migrated { readonly applied: readonly string[], readonly waiting: readonly string[], readonly failed: readonly string[] }

export const coreMigrations: MigrationSet = { name: 'core', directory: new URL('./migrations/', import.meta.url) }
const lock = 4_702_394_921 // any constant: all of Bedplate's migrators meet here
// Whoever waits for a lock on a table makes everybody behind it wait too. So a migration waits briefly, lets them pass, and comes again: regions beside this one are at work.
const lockTimeout = '2s'
const attempts = 30

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
      found.push({ set, number: index + 1, name, checksum: createHash('sha256').update(sql).digest('hex'), phase: phaseOf(sql), sql })
    }
  }
  return found
}

interface MigrateOptions {
  readonly sets: readonly MigrationSet[]
  readonly version: string
  readonly log: Logger
  readonly open: () => Promise<Session>
  readonly clock?: Clock
  /** The region that does it. Without one (tools, tests) nothing is checked against other regions but whether a contract must wait for them. */
  readonly self?: Migrator | undefined
}
type Work = MigrateOptions & { readonly session: Session, readonly migrations: readonly Migration[], readonly failed: Map<Migration, string> }

/**
 * Brings the database as far up to date as the other regions allow. Safe to run from any number of regions at once: each file is applied by one of them, and the others wait for it.
 * @throws BedplateError VERSION_INCOMPATIBLE when a region runs that `self` may not run beside; DATABASE_NEWER, MIGRATION_CHANGED, MIGRATION_FAILED
 */
export async function migrate (options: MigrateOptions): Promise<Migrated> {
  const { version, open } = options
  const migrations = await readMigrations(options.sets)
  const session = await open()
  const work: Work = { ...options, session, migrations, failed: new Map() }
  const applied: string[] = []
  try {
    pending(migrations, await readApplied(session), version) // before anything is locked or made in a database that is not ours to change
    for (let next = await applyNext(work); next !== undefined; next = await applyNext(work)) applied.push(...next)
    const waiting = await settle(work)
    return { applied, waiting, failed: [...work.failed.values()] }
  } catch (error) {
    throw error instanceof BedplateError ? error : new BedplateError('MIGRATION_FAILED', { migration: 'core', reason: reasonOf(error) }, error)
  } finally {
    await session.close()
  }
}

/** Runs `work` in a transaction that holds the lock of all migrators. */
async function locked<T> (session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('begin')
  try {
    await session.query("set local lock_timeout = '5min'") // another controller's migration may take its time
    await session.query('select pg_advisory_xact_lock($1)', [lock])
    const result = await work()
    await session.query('commit')
    return result
  } catch (error) {
    await session.query('rollback').catch(() => {})
    throw error
  }
}

/** Applies the first file that is missing and may be applied, and gives its name (none for a contract that failed); undefined when there is none (any more). */
async function applyNext ({ session, migrations, failed, version, log, self, clock = systemClock }: Work): Promise<readonly string[] | undefined> {
  for (let attempt = 1; ; attempt++) {
    let migration: Migration | undefined
    try {
      return await locked(session, async () => {
        await makeTables(session)
        const others = await otherRegions(session, self?.id ?? '') // a new statement sees what the last holder of the lock committed
        if (self !== undefined) checkVersions(self, others)
        migration = pending(migrations, await readApplied(session), version).find(each => each.phase === 'expand' || (!failed.has(each) && waitsFor(each, others).length === 0))
        if (migration === undefined) return undefined
        const { set, number, name, checksum, phase, sql } = migration
        log.info({ migration: labelOf(migration), phase }, 'migrating the database')
        await session.query(`set local lock_timeout = '${lockTimeout}'`)
        await session.query(sql)
        await session.query('insert into core.migration (set, number, name, checksum, phase, version) values ($1, $2, $3, $4, $5, $6)', [set, number, name, checksum, phase, version])
        return [labelOf(migration)]
      })
    } catch (error) {
      if (error instanceof BedplateError) throw error
      if (migration === undefined || attempt === attempts || !isRepeatable(error)) {
        const fault = new BedplateError('MIGRATION_FAILED', { migration: migration ? labelOf(migration) : 'core', reason: where(error, migration?.sql) }, error)
        if (migration?.phase !== 'contract' || self === undefined) throw fault
        failed.set(migration, fault.message) // tidying up is no reason for a region not to start
        log.warn({ err: fault }, 'a migration that takes away what is not used any more failed')
        return []
      }
      log.info({ migration: labelOf(migration), attempt, reason: reasonOf(error) }, 'a migration lets others pass and is repeated')
      await clock.sleep(500 * (1 + Math.random()))
    }
  }
}

/** Checks once more, now that nothing can come between, and announces this region. Gives what waits. */
async function settle ({ session, migrations, failed, version, self }: Work): Promise<string[]> {
  return await locked(session, async () => {
    const others = await otherRegions(session, self?.id ?? '')
    if (self !== undefined) checkVersions(self, others)
    const left = pending(migrations, await readApplied(session), version)
    if (self !== undefined) await announce(session, self, migrations)
    return left.filter(migration => !failed.has(migration)).map(migration => waitingReason(migration, waitsFor(migration, others)))
  })
}

/** What this file itself needs, also in a database that an earlier version made: there, everything applied so far was an expand. */
async function makeTables (session: Session): Promise<void> {
  if (await hasTable(session, 'migrator')) return
  await session.query(`create schema if not exists core;
    create table if not exists core.migration (
      set text not null, number integer not null, name text not null, checksum text not null,
      applied_at timestamptz not null default now(), version text not null, primary key (set, number));
    alter table core.migration add column if not exists phase text not null default 'expand';
    create table core.migrator (controller text primary key, version text not null, known jsonb not null);
    comment on table core.migrator is 'Which migrations each region has: the highest number of each set, as of that version.'`)
}

async function readApplied (session: Session): Promise<Applied[]> {
  if (!await hasTable(session, 'migration')) return []
  return await session.query<Applied>("select set, number, name, checksum, version, coalesce(to_jsonb(m) ->> 'phase', 'expand') as phase from core.migration m order by set, number") // the column may not be there yet
}

/** PostgreSQL's message with the line of the file it points at. */
function where (error: unknown, sql: string | undefined): string {
  const position = Number((error as { position?: unknown }).position)
  if (sql === undefined || !Number.isInteger(position) || position < 1) return reasonOf(error)
  return `line ${sql.slice(0, position - 1).split('\n').length}: ${reasonOf(error)}`
}
