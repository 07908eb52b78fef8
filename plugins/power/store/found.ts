/** SQL of scans and of what they found. */
import type { Query, Tx } from '../../../core/plugin.ts'

export type ScanState = 'running' | 'done' | 'failed' | 'cancelled'
export interface Scan {
  readonly id: string, readonly range: string, readonly addresses: number, readonly secrets: string | null, readonly state: ScanState, readonly chunks: readonly number[]
  readonly looked: number, readonly found: number, readonly error: string | null, readonly createdAt: Date, readonly finishedAt: Date | null
}
export interface FoundRow {
  readonly host: string, readonly driver: string, readonly address: string, readonly tls: string | null, readonly uuid: string | null, readonly vendor: string | null, readonly model: string | null
  readonly serial: string | null, readonly problem: string | null, readonly secrets: string | null, readonly rack: string, readonly seenAt: Date, readonly machines: readonly string[]
}
export type NewFound = Omit<FoundRow, 'seenAt' | 'machines'>

const scanColumns = `id::text, range, addresses, secrets, state, chunks, looked, error, created_at as "createdAt", finished_at as "finishedAt", (select count(*)::int from power.found f where f.scan = s.id) as found`
const foundColumns = `host(host) as host, driver, address, tls, uuid, vendor, model, serial, problem, secrets, rack, seen_at as "seenAt"`
/** With whoever is powered by a BMC at the same host, by whatever driver: one pass over the machines, however many BMCs there are. */
async function owned<R extends { readonly host: string }> (q: Query, rows: readonly R[]): Promise<(R & { readonly machines: readonly string[] })[]> {
  const users = await q.query<{ host: string, machines: string[] }>(`select host, array_agg(machine order by machine) as machines
    from (select trim(both '[]' from substring(endpoint from '://(.+):[0-9]+$')) as host, machine from power.machine where endpoint is not null) m where host = any($1) group by host`, [[...new Set(rows.map(({ host }) => host))]])
  const byHost = new Map(users.map(({ host, machines }) => [host, machines]))
  return rows.map(row => ({ ...row, machines: byHost.get(row.host) ?? [] }))
}
const kept = 100 // scans that have ended

/** Secrets are sealed under the scan's id: first the id, then `sealed(id)`. */
export async function insertScan (tx: Tx, range: string, addresses: number, sealed: (id: string) => string | null, now: Date): Promise<string> {
  const [row] = await tx.query<{ id: string }>('insert into power.scan (range, addresses, created_at) values ($1, $2, $3) returning id::text', [range, addresses, now])
  const id = row?.id ?? ''
  await tx.query('update power.scan set secrets = $2 where id = $1', [id, sealed(id)])
  await tx.query(`delete from power.scan where state <> 'running' and id <= $1::bigint - ${kept}`, [id])
  return id
}
export const scan = async (q: Query, id: string): Promise<Scan | undefined> => (await q.query<Scan>(`select ${scanColumns} from power.scan s where id = $1`, [id]))[0]
/** Newest first; `before` is the last id of the page before. */
export const scans = (q: Query, { before, limit }: { readonly before?: string | undefined, readonly limit: number }): Promise<Scan[]> => q.query<Scan>(`select ${scanColumns} from power.scan s where $1::bigint is null or id < $1 order by s.id desc limit $2`, [before ?? null, limit])
export const runningScans = (q: Query, limit: number): Promise<Scan[]> => q.query<Scan>(`select ${scanColumns} from power.scan s where state = 'running' order by s.id limit $1`, [limit])
/** Only while it runs: what comes too late changes nothing. */
export async function noteChunk (tx: Tx, id: string, chunk: number, looked: number, error: string | null): Promise<boolean> {
  const rows = await tx.query(`update power.scan set chunks = chunks || $2::integer, looked = looked + $3, error = coalesce(error, $4) where id = $1 and state = 'running' and not chunks @> array[$2::integer] returning id`, [id, chunk, looked, error])
  return rows.length > 0
}
/** Its credentials go with it. False when it has ended already. */
export async function endScan (tx: Tx, id: string, state: Exclude<ScanState, 'running'>, now: Date): Promise<boolean> {
  return (await tx.query(`update power.scan set state = $2, finished_at = $3, secrets = null where id = $1 and state = 'running' returning id`, [id, state, now])).length > 0
}

/** A scan that could not ask whose the BMC is leaves what an earlier one was told, where it is still the same BMC: its problem too, unless there is another one now. */
export async function putFound (tx: Tx, scan: string, f: NewFound, now: Date): Promise<void> {
  await tx.query(`insert into power.found as o (host, driver, address, tls, uuid, vendor, model, serial, problem, secrets, rack, scan, seen_at) values ($1::inet, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    on conflict (host, driver) do update set (address, tls, rack, scan, seen_at, vendor) = (excluded.address, excluded.tls, excluded.rack, excluded.scan, excluded.seen_at, coalesce(excluded.vendor, o.vendor)),
      (uuid, model, serial, secrets, problem) = (select case when same then o.uuid else excluded.uuid end, case when same then coalesce(o.model, excluded.model) else excluded.model end, case when same then o.serial else excluded.serial end,
        case when same then o.secrets else excluded.secrets end, case when same then coalesce(excluded.problem, o.problem) else excluded.problem end from (select excluded.secrets is null and o.tls is not distinct from excluded.tls as same) known)`,
  [f.host, f.driver, f.address, f.tls, f.uuid, f.vendor, f.model, f.serial, f.problem, f.secrets, f.rack, scan, now])
}
/** What an earlier scan got into the same BMC with, sealed. */
export const foundSecrets = async (q: Query, host: string, driver: string, tls: string | null): Promise<string | null> =>
  (await q.query<{ secrets: string | null }>('select secrets from power.found where host = $1::inet and driver = $2 and tls is not distinct from $3', [host, driver, tls]))[0]?.secrets ?? null
/** In the order of addresses, after one of them. */
export const listFound = async (q: Query, { host, driver, limit }: { readonly host?: string | undefined, readonly driver?: string | undefined, readonly limit: number }): Promise<FoundRow[]> =>
  await owned(q, await q.query<Omit<FoundRow, 'machines'>>(`select ${foundColumns} from power.found f where $1::inet is null or (f.host, f.driver) > ($1, $2) order by f.host, f.driver limit $3`, [host ?? null, driver ?? '', limit]))
export const dropFound = async (tx: Tx, host: string): Promise<boolean> => (await tx.query('delete from power.found where host = $1::inet returning host', [host])).length > 0

/** Those a machine may be given: they took the credentials, and are nobody's. Locked, so that two machines do not get the same one. */
export async function freeFound (tx: Tx, uuids: readonly string[], address: string | null): Promise<FoundRow[]> {
  const rows = await tx.query<Omit<FoundRow, 'machines'>>(`select ${foundColumns} from power.found f where secrets is not null and problem is null and (uuid = any($1) or f.host = $2::inet) order by f.host, f.driver for update`, [uuids, address])
  return (await owned(tx, rows)).filter(({ machines }) => machines.length === 0)
}
/** The same of all that one scan found. */
export const freeOf = async (q: Query, scan: string): Promise<{ readonly host: string, readonly uuid: string | null }[]> =>
  (await owned(q, await q.query<{ host: string, uuid: string | null }>('select host(f.host) as host, uuid from power.found f where scan = $1 and secrets is not null and problem is null order by f.host, f.driver', [scan]))).filter(({ machines }) => machines.length === 0)
