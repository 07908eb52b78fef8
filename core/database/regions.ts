/** What the regions on one database must agree on before its schema changes: which versions run, and which migrations each of them has. */
import { BedplateError } from '../errors.ts'
import { versionFault } from '../version.ts'
import type { Query } from './database.ts'
import { labelOf } from './pending.ts'
import type { Migration } from './pending.ts'

/** The region that migrates. */
export interface Migrator { readonly id: string, readonly hostname: string, readonly roles: readonly string[], readonly version: string }
export interface OtherRegion { readonly id: string, readonly hostname: string, readonly version: string, readonly running: boolean, readonly known: Readonly<Record<string, number>> | null }

// Two spans, since two things are asked of a region that was not seen for a while.
// May it be running? Regions say every 5 s that they are there; after a minute of silence one is off, or cut off and of no harm: it cannot reach the database.
const runningFor = 60 // s
// Will it come back as it was? A reboot, a power cut, a disk that is changed: within a day it may, and must find the schema it knows, since a contract cannot be undone.
// Longer would let a machine that is gone for good hold back every contract until somebody thinks of it; who knows that it is gone removes it, which counts at once.
const expectedFor = 86_400 // s

/** Whether the core has that table. Asked of the catalogue as the statement sees it: to_regclass answers from a cache that an advisory lock does not refresh. */
export const hasTable = async (db: Query, name: string): Promise<boolean> =>
  (await db.query("select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'core' and c.relname = $1", [name])).length > 0

/** Every region but this one that runs or may come back, oldest first. One that enrolled but never started has no version yet, and does not count. */
export async function otherRegions (db: Query, self: string): Promise<OtherRegion[]> {
  if (!await hasTable(db, 'controller')) return []
  // What is known is void when another version has registered since: one from before this table does not say what it has.
  return await db.query<OtherRegion>(`
    select c.id, c.hostname, c.version, c.last_seen_at > clock_timestamp() - make_interval(secs => $2) as running, m.known
    from core.controller c left join core.migrator m on m.controller = c.id and m.version = c.version
    where 'region' = any(c.roles) and c.version <> '' and c.id <> $1 and c.last_seen_at > clock_timestamp() - make_interval(secs => $3)
    order by c.created_at, c.id`, [self, runningFor, expectedFor])
}

/** Throws VERSION_INCOMPATIBLE, with a sentence for each running region that `self` may not run beside. */
export function checkVersions (self: Migrator, others: readonly OtherRegion[]): void {
  const faults = others.flatMap(({ running, version, hostname }) => running ? versionFault(self.version, version, `the region ${hostname}`) ?? [] : [])
  if (faults.length > 0) throw new BedplateError('VERSION_INCOMPATIBLE', { reason: `${faults.join('; ')}. A region that was stopped counts for ${runningFor} s more; "bedplate controller list" shows which runs what` })
}

/** The regions a contract has to wait for: those that have its plugin, in a version that does not have the file. */
export const waitsFor = ({ set, number }: Migration, others: readonly OtherRegion[]): OtherRegion[] =>
  others.filter(({ known }) => known === null || (known[set] !== undefined && known[set] < number))

/** Says which version this region runs and which migrations it has. In the transaction that checked that it may start: from its commit on, contracts wait for this region. */
export async function announce (tx: Query, self: Migrator, migrations: readonly Migration[]): Promise<void> {
  if (!await hasTable(tx, 'controller')) return
  if (await hasTable(tx, 'controller_removed') && (await tx.query('select from core.controller_removed where id = $1', [self.id])).length > 0) return // it is turned away next
  const known = Object.fromEntries(migrations.map(({ set, number }) => [set, number])) // in order: the last of each set stays
  await tx.query(`insert into core.controller (id, hostname, roles, version) values ($1, $2, $3, $4)
    on conflict (id) do update set version = excluded.version, last_seen_at = clock_timestamp()`, [self.id, self.hostname, self.roles, self.version])
  await tx.query(`insert into core.migrator (controller, version, known) values ($1, $2, $3)
    on conflict (controller) do update set version = excluded.version, known = excluded.known`, [self.id, self.version, JSON.stringify(known)])
  await tx.query('delete from core.migrator m where not exists (select from core.controller c where c.id = m.controller)')
}

/** Why a contract waits, for the log and for health. */
export const waitingReason = (migration: Migration, regions: readonly OtherRegion[]): string =>
  `${labelOf(migration)} waits for ${regions.map(({ hostname, version, running }) => `${hostname} (version ${version}${running ? '' : ', not running'})`).join(', ')}`
