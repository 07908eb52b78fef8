/** A database of one's own for each test file, copied from a template that holds the migrations. */
import { createHash, randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import type { Clock } from '../../core/clock.ts'
import { openSession } from '../../core/database/connection.ts'
import type { Session } from '../../core/database/connection.ts'
import { coreMigrations, readMigrations } from '../../core/database/migrate.ts'
import type { MigrationSet } from '../../core/database/migrate.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle, DatabaseOptions } from '../../core/database/pool.ts'
import { createLogger } from '../../core/log.ts'
import type { Logger } from '../../core/log.ts'
import type { Connection } from '../../core/database/embedded.ts'
import './global-setup.ts' // its declaration of what is provided

export interface TestDatabaseOptions {
  readonly migrations?: readonly (MigrationSet | { readonly name: string, readonly migrations?: URL })[] // plugins' manifests will do; the core's own always come first
  readonly bare?: boolean // an empty database, without even the core's tables
  readonly log?: Logger
  readonly clock?: Clock
  readonly size?: number
}
export interface TestDatabase extends DatabaseHandle {
  readonly options: DatabaseOptions // to open another handle on the same database, as a second region would
  /** Closes it and drops the database, whoever else is still connected. */
  drop(): Promise<void>
}

/** The server of this run of vitest. */
export const server = (): Connection => inject('postgresql')

/** A session on the server's maintenance database. */
const maintenance = (): Promise<Session> => openSession(server(), { database: 'postgres', user: server().user, applicationName: 'test kit' }, '0')

const drop = async (session: Session, name: string): Promise<void> => { await session.query(`drop database if exists "${name}" with (force)`) }

/** Makes the template for a set of migrations unless another test file has. */
async function template (session: Session, sets: readonly MigrationSet[], log: Logger): Promise<string> {
  const migrations = await readMigrations(sets)
  const name = `template_${createHash('sha256').update(migrations.map(({ set, name, checksum }) => `${set} ${name} ${checksum}`).join('\n')).digest('hex').slice(0, 16)}`
  await session.query('select pg_advisory_lock(hashtext($1))', [name])
  try {
    if ((await session.query('select from pg_database where datname = $1', [name])).length > 0) return name
    const building = `building_${name}`
    await drop(session, building)
    await session.query(`create database "${building}"`)
    const { host, port, user } = server()
    const handle = await openDatabase({ hosts: [{ host, port }], database: building, user, log, size: 1 })
    try { await handle.migrate(sets) } finally { await handle.close() }
    await session.query(`alter database "${building}" rename to "${name}"`)
    return name
  } finally {
    await session.query('select pg_advisory_unlock(hashtext($1))', [name])
  }
}

/** Opens a fresh database with `migrations` applied. Call `drop()` in afterAll. */
export async function testDatabase ({ migrations = [], bare = false, log = createLogger('silent'), clock, size = 5 }: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { host, port, user } = server()
  const database = `test_${randomBytes(6).toString('hex')}`
  const session = await maintenance()
  try {
    const sets = [coreMigrations, ...migrations.flatMap((set): MigrationSet[] => {
      const directory = 'directory' in set ? set.directory : set.migrations
      return directory === undefined || set.name === 'core' ? [] : [{ name: set.name, directory }]
    })]
    await session.query(`create database "${database}"${bare ? '' : ` template "${await template(session, sets, log)}"`}`)
  } finally {
    await session.close()
  }
  const options: DatabaseOptions = { hosts: [{ host, port }], database, user, log, size, ...(clock ? { clock } : {}) }
  const handle = await openDatabase(options)
  return Object.assign(handle, {
    options,
    async drop () {
      await handle.feed.service.stop()
      await handle.close()
      const session = await maintenance()
      try { await drop(session, database) } finally { await session.close() }
    }
  })
}
