/** What the regions know of each other and of the racks: SQL of the tables core.controller, authority, enrolment_token and rack_state. */
import type { Clock } from '../clock.ts'
import type { Database, Query, Tx } from '../database/database.ts'
import { reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Role } from '../plugin.ts'

export interface ControllerRow { readonly id: string, readonly hostname: string, readonly roles: readonly Role[], readonly version: string, readonly addresses: readonly string[], readonly rpc_port: number | null }
export interface RegionRow extends ControllerRow { readonly certificate_sha256: string, readonly http_port: number | null, readonly api: readonly string[], readonly started_at: Date, readonly holds_database: boolean }
export interface ListedController extends ControllerRow { readonly http_port: number | null, readonly api: readonly string[], readonly started_at: Date | null, readonly last_seen_at: Date }
export interface RackStateRow { readonly rack: string, readonly plugin: string, readonly position: string, readonly acknowledged_at: Date, readonly error: string | null }
export interface AuthorityRow { readonly certificate: string, readonly sealed_key: string }
export interface TokenRow { readonly id: string, readonly secret_sha256: string, readonly roles: readonly Role[], readonly expired: boolean, readonly used_at: Date | null, readonly used_by: string | null, readonly used_key_sha256: string | null }

/** Names this database and no other, a restored copy included: positions in its change feed mean nothing elsewhere. */
export async function databaseIdentity (db: Query): Promise<string> {
  const [row] = await db.query<{ id: string }>("select c.system_identifier::text || '-' || d.oid::text as id from pg_control_system() c, pg_database d where d.datname = current_database()")
  return row?.id ?? ''
}

export const keptAuthority = async (db: Query): Promise<AuthorityRow | undefined> => (await db.query<AuthorityRow>('select certificate, sealed_key from core.authority where id = 1'))[0]

/** The certificate authority of this installation; `mine` is stored only when there is none yet. Regions that start together agree on one. */
export async function authorityRow (db: Database, mine: () => Promise<AuthorityRow>): Promise<AuthorityRow> {
  const read = () => keptAuthority(db)
  const found = await read()
  if (found !== undefined) return found
  const made = await mine()
  await db.query('insert into core.authority (id, certificate, sealed_key) values (1, $1, $2) on conflict (id) do nothing', [made.certificate, made.sealed_key])
  return await read() ?? made
}

/** Puts this region into the list of controllers, or refreshes it; false when it has been removed. */
export async function registerRegion (db: Query, row: RegionRow): Promise<boolean> {
  const rows = await db.query(`insert into core.controller (id, hostname, roles, version, addresses, rpc_port, certificate_sha256, http_port, api, started_at, holds_database, last_seen_at)
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() where not exists (select 1 from core.controller_removed where id = $1)
    on conflict (id) do update set hostname = excluded.hostname, roles = excluded.roles, version = excluded.version, addresses = excluded.addresses,
      rpc_port = excluded.rpc_port, certificate_sha256 = excluded.certificate_sha256, http_port = excluded.http_port, api = excluded.api, started_at = excluded.started_at,
      holds_database = excluded.holds_database, last_seen_at = now() returning id`,
  [row.id, row.hostname, row.roles, row.version, JSON.stringify(row.addresses), row.rpc_port, row.certificate_sha256, row.http_port, JSON.stringify(row.api), row.started_at, row.holds_database])
  if (rows.length === 0) return false
  // A removal that committed while the statement waited for its lock: the statement looked before, and has put the row back.
  return (await db.query('delete from core.controller where id = $1 and exists (select 1 from core.controller_removed where id = $1) returning id', [row.id])).length === 0
}

/** When this controller was removed; undefined when it was not. */
export async function removedAt (db: Query, id: string): Promise<Date | undefined> {
  return (await db.query<{ removed_at: Date }>('select removed_at from core.controller_removed where id = $1', [id]))[0]?.removed_at
}

/** Controllers removed within the life of a certificate (`seconds`), the newest first. */
export const removedControllers = async (db: Query, seconds: number, limit: number): Promise<string[]> =>
  (await db.query<{ id: string }>('select id from core.controller_removed where removed_at > now() - make_interval(secs => $1) order by removed_at desc, id limit $2', [seconds, limit])).map(row => row.id)

export interface StandingRow { readonly id: string, readonly hostname: string, readonly roles: readonly Role[], readonly holds_database: boolean, readonly unseen: number }

/** One controller and every region, locked, so that no two of them go at the same time; `unseen` in seconds. */
export const standing = (tx: Query, id: string): Promise<StandingRow[]> =>
  tx.query<StandingRow>("select id, hostname, roles, holds_database, extract(epoch from clock_timestamp() - last_seen_at)::float8 as unseen from core.controller where id = $1 or 'region' = any(roles) order by id for update", [id])

/** Takes a controller off the list, with what is known of it. `facts`: all of its facts have arrived, so that how far they were is not needed again. */
export async function removeController (tx: Tx, id: string, facts: boolean): Promise<void> {
  await tx.query('insert into core.controller_removed (id, hostname) select id, hostname from core.controller where id = $1 on conflict (id) do update set removed_at = now()', [id])
  await tx.query('delete from core.rack_state where rack = $1', [id])
  if (facts) await tx.query('delete from core.fact_cursor where rack = $1', [id])
  await tx.query('delete from core.controller where id = $1', [id])
  await tx.changed('core.controller', id)
}

/** Every controller, oldest first. */
export const listControllers = (db: Query): Promise<ListedController[]> =>
  db.query('select id, hostname, roles, version, addresses, rpc_port, http_port, api, started_at, last_seen_at from core.controller order by created_at, id')

/** Regions that were seen within `seconds`, oldest first. */
export const liveRegions = (db: Query, seconds: number): Promise<ControllerRow[]> =>
  db.query<ControllerRow>("select id, hostname, roles, version, addresses, rpc_port from core.controller where 'region' = any(roles) and rpc_port is not null and last_seen_at > now() - make_interval(secs => $1) order by created_at, id", [seconds])

/** Racks that some region was linked with within `seconds`. */
export const seenRacks = async (db: Query, seconds: number): Promise<string[]> =>
  (await db.query<{ id: string }>("select id from core.controller where 'rack' = any(roles) and last_seen_at > now() - make_interval(secs => $1) order by id", [seconds])).map(row => row.id)

/** Marks linked controllers as seen; gives the ids that still are controllers. */
export async function seenControllers (db: Query, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const rows = await db.query<{ id: string }>('update core.controller set last_seen_at = now() where id = any($1) returning id', [ids])
  return new Set(rows.map(row => row.id))
}

/** A controller said hello; false when it has been removed. */
export async function greetController (db: Query, id: string, version: string): Promise<boolean> {
  return (await db.query('update core.controller set version = $2, last_seen_at = now() where id = $1 returning id', [id, version])).length > 0
}

/** The roles a controller was enrolled with; undefined when there is no such controller (any more). */
export async function controllerRoles (db: Query, id: string): Promise<readonly Role[] | undefined> {
  return (await db.query<{ roles: readonly Role[] }>('select roles from core.controller where id = $1', [id]))[0]?.roles
}

export async function setCertificate (db: Query, id: string, sha256: string): Promise<void> {
  await db.query('update core.controller set certificate_sha256 = $2 where id = $1', [id, sha256])
}

export async function storeToken (db: Query, token: { readonly id: string, readonly secretSha256: string, readonly roles: readonly Role[], readonly seconds: number }): Promise<void> {
  await db.query('insert into core.enrolment_token (id, secret_sha256, roles, expires_at) values ($1, $2, $3, now() + make_interval(secs => $4))', [token.id, token.secretSha256, token.roles, token.seconds])
}

/** Reads a token and locks it against a second use at the same time. */
export async function lockToken (tx: Query, id: string): Promise<TokenRow | undefined> {
  return (await tx.query<TokenRow>('select id, secret_sha256, roles, expires_at <= now() as expired, used_at, used_by, used_key_sha256 from core.enrolment_token where id = $1 for update', [id]))[0]
}

export async function spendToken (tx: Query, id: string, controller: string, keySha256: string): Promise<void> {
  await tx.query('update core.enrolment_token set used_at = now(), used_by = $2, used_key_sha256 = $3 where id = $1', [id, controller, keySha256])
}

/** The certificate hash an enrolled controller has and whether it was ever linked (its version comes with its first hello); undefined when there is no such controller. */
export async function enrolledController (tx: Query, id: string): Promise<{ readonly certificate_sha256: string | null, readonly linked: boolean } | undefined> {
  return (await tx.query<{ certificate_sha256: string | null, linked: boolean }>("select certificate_sha256, version <> '' as linked from core.controller where id = $1 for update", [id]))[0]
}

export async function enrolController (tx: Query, row: { readonly id: string, readonly hostname: string, readonly roles: readonly Role[], readonly certificateSha256: string }): Promise<void> {
  await tx.query(`insert into core.controller (id, hostname, roles, version, addresses, certificate_sha256) values ($1, $2, $3, '', '[]', $4)
    on conflict (id) do update set hostname = excluded.hostname, roles = excluded.roles, certificate_sha256 = excluded.certificate_sha256`, [row.id, row.hostname, row.roles, row.certificateSha256])
  await tx.query('delete from core.controller_removed where id = $1', [row.id])
}

export interface RackStates {
  /** Remembers how far a rack is; written by flush(), or soon. */
  set(rack: string, plugin: string, position: string, error: string | undefined): void
  flush(): Promise<void>
  list(): Promise<RackStateRow[]>
}

/** How far racks are. Many acknowledgements a second become one statement a second. */
export function createRackStates (db: Query, clock: Clock, log: Logger): RackStates {
  let pending = new Map<string, readonly [string, string, string, string | null]>()
  let flushing: Promise<void> | undefined
  async function write (): Promise<void> {
    const rows = [...pending.values()]
    if (rows.length === 0) return
    pending = new Map()
    try {
      // A rack that was removed meanwhile gets no row.
      await db.query(`insert into core.rack_state (rack, plugin, position, acknowledged_at, error)
        select r, p, o, now(), e from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as t(r, p, o, e) where exists (select 1 from core.controller c where c.id = r)
        on conflict (rack, plugin) do update set position = excluded.position, acknowledged_at = now(), error = excluded.error`,
      [rows.map(row => row[0]), rows.map(row => row[1]), rows.map(row => row[2]), rows.map(row => row[3])])
    } catch (error) {
      for (const row of rows) if (!pending.has(`${row[0]}\0${row[1]}`)) pending.set(`${row[0]}\0${row[1]}`, row)
      throw error
    }
  }
  return {
    set (rack, plugin, position, error) {
      pending.set(`${rack}\0${plugin}`, [rack, plugin, position, error ?? null])
      flushing ??= clock.sleep(250).then(write).catch((error: unknown) => { log.warn({ reason: reasonOf(error) }, 'the positions of racks could not be stored') }).finally(() => { flushing = undefined })
    },
    flush: write,
    list: () => db.query<RackStateRow>('select rack, plugin, position, acknowledged_at, error from core.rack_state order by rack, plugin')
  }
}
