/** All SQL of the tracking: what controllers said, what is made of it, links, and the history. */
import type { Query, Tx } from '../../core/plugin.ts'
import type { LinkReport, ServiceReport } from './manifest.ts'
import type { OwnInterface } from './interfaces.ts'
import { keyOf, lacking, news } from './state.ts'
import type { Change, ControllerState, Link, Missed, Said, ServiceRow } from './state.ts'

const serviceColumns = 'controller, role, plugin, service, leader, state, reason, since, restarts'
const servicesOf = (q: Query, controller: string): Promise<ServiceRow[]> => q.query<ServiceRow>(`select ${serviceColumns} from tracking.service where controller = $1 order by plugin, service, role`, [controller])

export interface Everything {
  readonly services: readonly ServiceRow[], readonly shown: ReadonlyMap<string, Said>, readonly links: readonly Link[], readonly missed: readonly Missed[]
  readonly controllers: ReadonlyMap<string, Said>
  readonly now: Date // the database's, as all moments here but those of services
}
/** `<controller> <key>`, as `shown` is keyed. */
export const shownKey = (row: ServiceRow): string => `${row.controller} ${keyOf(row)}`

/** All there is, ordered by controller, plugin and service. */
export async function everything (q: Query): Promise<Everything> {
  const rows = await q.query<ServiceRow & { shown_state: Said['state'], shown_reason: string | null, shown_since: Date }>(`select ${serviceColumns}, shown_state, shown_reason, shown_since from tracking.service order by controller, plugin, service, role`)
  const links = await q.query<Link>('select region, rack, since from tracking.link')
  const missed = await q.query<Missed>('select rack, region, url, reason, since from tracking.missed order by rack, region, url')
  const controllers = await q.query<Said & { id: string }>('select id, state, reason, since from tracking.controller')
  const [clock] = await q.query<{ now: Date }>('select clock_timestamp() as now')
  return {
    services: rows.map(({ shown_state: _, shown_reason: __, shown_since: ___, ...row }) => row),
    shown: new Map(rows.map(row => [shownKey(row), { state: row.shown_state, reason: row.shown_reason, since: row.shown_since }])),
    links, missed,
    controllers: new Map(controllers.map(({ id, ...said }) => [id, said])),
    now: clock?.now ?? new Date(0)
  }
}

/** Makes the controller known here and keeps others from writing about it until the transaction ends. Gives what its last whole report was of. */
async function hold (tx: Tx, controller: string): Promise<string | null> {
  await tx.query('insert into tracking.controller (id) values ($1) on conflict do nothing', [controller])
  const [row] = await tx.query<{ make: string | null }>('select make from tracking.controller where id = $1 for update', [controller])
  return row?.make ?? null
}

/** Stores changes as the controller told them, and what the history is to know of them. */
async function put (tx: Tx, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  const json = JSON.stringify(changes)
  await tx.query(`insert into tracking.service (${serviceColumns}, shown_state, shown_reason, shown_since)
    select controller, role, plugin, service, leader, state, reason, since, restarts, state, reason, since
    from jsonb_to_recordset($1::jsonb) as t(controller text, role text, plugin text, service text, leader boolean, state text, reason text, since timestamptz, restarts integer)
    on conflict (controller, role, plugin, service) do update set leader = excluded.leader, state = excluded.state, reason = excluded.reason, since = excluded.since, restarts = excluded.restarts,
      shown_state = excluded.state, shown_reason = excluded.reason, shown_since = excluded.since`, [json])
  await remember(tx, changes.filter(({ history }) => history).map(change => ({ ...change, at: change.since })))
  for (const change of changes) await tx.changed('tracking.service', shownKey(change).replace(' ', '/'))
}

type Remembered = Pick<ServiceRow, 'controller' | 'state' | 'reason'> & { readonly role?: string, readonly plugin?: string, readonly service?: string, readonly at: Date }
const remember = (tx: Tx, entries: readonly Remembered[]): Promise<unknown> => entries.length === 0
  ? Promise.resolve()
  : tx.query(`insert into tracking.history (at, controller, role, plugin, service, state, reason)
    select at, controller, nullif(role, ''), plugin, service, state, reason
    from rows from (jsonb_to_recordset($1::jsonb) as (at timestamptz, controller text, role text, plugin text, service text, state text, reason text)) with ordinality as t(at, controller, role, plugin, service, state, reason, place)
    order by place`, [JSON.stringify(entries)])

/** Services of a controller that changed. One that changed twice in the batch is in the history twice. */
export async function putServices (tx: Tx, controller: string, reports: readonly ServiceReport[]): Promise<void> {
  await hold(tx, controller)
  let before = await servicesOf(tx, controller)
  for (const run of runs(reports)) {
    const changes = news(before, controller, run)
    await put(tx, changes)
    before = [...before.filter(row => !changes.some(change => keyOf(change) === keyOf(row))), ...changes]
  }
}
/** Parts of the list in which no service comes twice: one statement may not touch a row twice. */
function runs (reports: readonly ServiceReport[]): ServiceReport[][] {
  const result: ServiceReport[][] = []
  let seen = new Set<string>()
  for (const report of reports) {
    const key = keyOf({ ...report, role: report.role ?? '' })
    if (result.length === 0 || seen.has(key)) { result.push([]); seen = new Set() }
    seen.add(key)
    result.at(-1)?.push(report)
  }
  return result
}

/** Every service of a controller: what is missing is expected all the same, unless it runs another version now or leaves the plugin out. */
export async function putAll (tx: Tx, controller: string, make: string, reports: readonly ServiceReport[]): Promise<void> {
  const last = await hold(tx, controller)
  const before = await servicesOf(tx, controller)
  const [clock] = await tx.query<{ now: Date }>('select clock_timestamp() as now')
  const { expected, gone } = lacking(before, last === make, reports, clock?.now ?? new Date(0))
  for (const row of gone) {
    await tx.query('delete from tracking.service where controller = $1 and role = $2 and plugin = $3 and service = $4', [controller, row.role, row.plugin, row.service])
    await tx.changed('tracking.service', shownKey(row).replace(' ', '/'))
  }
  await put(tx, [...news(before, controller, reports), ...expected])
  if (last !== make) await tx.query('update tracking.controller set make = $2 where id = $1', [controller, make])
}

/** The interfaces of a region that is no rack. */
export async function putInterfaces (tx: Tx, region: string, interfaces: readonly OwnInterface[]): Promise<void> {
  const changed = await tx.query('update tracking.controller set interfaces = $2 where id = $1 and interfaces <> $2 returning id', [region, JSON.stringify(interfaces)])
  if (changed.length > 0) await tx.changed('tracking.controller', region)
}
export const interfacesOf = async (q: Query): Promise<Map<string, readonly OwnInterface[]>> =>
  new Map((await q.query<{ id: string, interfaces: OwnInterface[] }>(`select id, interfaces from tracking.controller where interfaces <> '[]'`)).map(({ id, interfaces }) => [id, interfaces]))

/** The racks a region holds links to, all of them. */
export async function putLinks (tx: Tx, region: string, racks: readonly string[]): Promise<void> {
  const gone = await tx.query('delete from tracking.link where region = $1 and rack <> all ($2::text[]) returning rack', [region, racks])
  const come = await tx.query('insert into tracking.link (region, rack) select $1, unnest($2::text[]) on conflict do nothing returning rack', [region, racks])
  if (gone.length + come.length > 0) await tx.changed('tracking.controller', region)
}
/** A link that came up or broke and came up again: it is new. */
export const renewLink = (tx: Tx, region: string, rack: string): Promise<unknown> => tx.query('update tracking.link set since = clock_timestamp() where region = $1 and rack = $2', [region, rack])

/** The links a rack misses, all of them, as it told. */
export async function putMissed (tx: Tx, rack: string, links: readonly LinkReport[]): Promise<void> {
  const down = JSON.stringify(links.filter(({ up }) => !up).map(({ controller: region, url, reason }) => ({ region, url, reason })))
  await tx.query(`delete from tracking.missed m where rack = $1 and not exists (select from jsonb_to_recordset($2::jsonb) as t(region text, url text) where t.region = m.region and t.url = m.url)`, [rack, down])
  await tx.query(`insert into tracking.missed (rack, region, url, reason) select distinct on (region, url) $1, region, url, reason from jsonb_to_recordset($2::jsonb) as t(region text, url text, reason text)
    on conflict (rack, region, url) do update set reason = excluded.reason`, [rack, down])
  await tx.changed('tracking.controller', rack)
}

/** What the leader makes of it, where that differs from what was shown: history and events. */
export async function show (tx: Tx, services: readonly ServiceRow[], controllers: readonly ControllerState[], at: Date): Promise<void> {
  for (const { controller, role, plugin, service, state, reason, since } of services) await tx.query('update tracking.service set shown_state = $5, shown_reason = $6, shown_since = $7 where controller = $1 and role = $2 and plugin = $3 and service = $4', [controller, role, plugin, service, state, reason, since])
  for (const { id, state, reason } of controllers) await tx.query(`insert into tracking.controller (id, state, reason, since) values ($1, $2, $3, $4)
    on conflict (id) do update set reason = excluded.reason, state = excluded.state, since = case when tracking.controller.state = excluded.state then tracking.controller.since else excluded.since end`, [id, state, reason, at])
  await remember(tx, [...services.map(row => ({ ...row, at })), ...controllers.map(({ id, state, reason }) => ({ controller: id, state, reason, at }))])
  for (const row of services) await tx.changed('tracking.service', shownKey(row).replace(' ', '/'))
  for (const { id } of controllers) await tx.changed('tracking.controller', id)
}
/** Holds off reports about any controller until the transaction ends. */
export const holdAll = (tx: Tx): Promise<unknown> => tx.query('select from tracking.controller order by id for update')

/** What is known of controllers that are no more. */
export async function forget (tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.query('delete from tracking.controller where id = any ($1::text[])', [ids])
  await tx.query('delete from tracking.link where region = any ($1::text[]) or rack = any ($1::text[])', [ids])
  await tx.query('delete from tracking.missed where rack = any ($1::text[])', [ids])
  for (const id of ids) await tx.changed('tracking.controller', id)
}
/** Deletes the history that is older than `days`, or beyond the newest `rows`. */
export const prune = (tx: Tx, days: number, rows: number): Promise<unknown> =>
  tx.query('delete from tracking.history where at < now() - make_interval(days => $1) or id <= (select id from tracking.history order by id desc offset $2 limit 1)', [days, rows])

export interface HistoryRow { readonly id: string, readonly at: Date, readonly controller: string, readonly role: string | null, readonly plugin: string | null, readonly service: string | null, readonly state: Said['state'], readonly reason: string | null }
export interface HistoryFilter { readonly controller?: string | undefined, readonly plugin?: string | undefined, readonly service?: string | undefined, readonly state?: string | undefined }
/** Newest first; `after` is the last id of the page before. */
export const history = (q: Query, filter: HistoryFilter, after: string | undefined, limit: number): Promise<HistoryRow[]> =>
  q.query<HistoryRow>(`select id::text, at, controller, role, plugin, service, state, reason from tracking.history
    where ($1::text is null or controller = $1) and ($2::text is null or plugin = $2) and ($3::text is null or service = $3) and ($4::text is null or state = $4) and ($5::bigint is null or id < $5)
    order by tracking.history.id desc limit $6`,
  [filter.controller ?? null, filter.plugin ?? null, filter.service ?? null, filter.state ?? null, after !== undefined && /^[1-9]\d{0,17}$/.test(after) ? after : null, limit])
