/** SQL of power: which rack reaches which BMC, who asks it, and what racks tell of states. One statement for many machines. */
import type { Query, Tx } from '../../../core/plugin.ts'
import type { PowerStateName } from '../manifest.ts'
import type { Bmc } from '../store.ts'

export interface Route { readonly rack: string, readonly reachable: boolean, readonly rtt: number | null }
export interface EntryRow { readonly machine: string, readonly driver: string, readonly endpoint: string | null, readonly poller: string | null, readonly version: string, readonly turn: string }
export interface SeenRow { readonly machine: string, readonly state: PowerStateName, readonly error: string | null, readonly version: string, readonly turn: string }
export interface Candidate { readonly machine: string, readonly endpoint: string | null, readonly poller: string | null, readonly state: PowerStateName, readonly error: string | null, readonly routes: readonly Route[] }

/** What racks are told of: BMCs with a place, or that can be asked (`asking`: the drivers that can). */
export const entries = (q: Query, asking: readonly string[], machines?: readonly string[]): Promise<EntryRow[]> => q.query<EntryRow>(
  `select machine, driver, endpoint, poller, version, turn from power.machine where (endpoint is not null or driver = any($1)) and ($2::text[] is null or machine = any($2))`, [asking, machines ?? null])

/** Those of these machines that this rack asks. */
export const polled = (q: Query, rack: string, machines: readonly string[]): Promise<Pick<Bmc, 'machine' | 'driver' | 'parameters' | 'secrets' | 'version' | 'state' | 'error'>[]> => q.query(
  'select machine, driver, parameters, secrets, version, state, error from power.machine where poller = $1 and machine = any($2)', [rack, machines])

/** What racks told of the way to this machine's BMC. */
export const routesFor = (q: Query, machine: string): Promise<Route[]> => q.query<Route>('select r.rack, r.reachable, r.rtt from power.route r join power.machine m on m.endpoint = r.endpoint where m.machine = $1', [machine])

export async function putRoutes (tx: Tx, rack: string, routes: readonly { readonly endpoint: string, readonly reachable: boolean, readonly rtt: number | null }[], now: Date): Promise<void> {
  await tx.query(`insert into power.route (endpoint, rack, reachable, rtt, measured_at) select endpoint, $1, reachable, rtt, $5 from unnest($2::text[], $3::boolean[], $4::real[]) as told (endpoint, reachable, rtt) order by endpoint
    on conflict (endpoint, rack) do update set reachable = excluded.reachable, rtt = excluded.rtt, measured_at = excluded.measured_at`,
  [rack, routes.map(one => one.endpoint), routes.map(one => one.reachable), routes.map(one => one.rtt), now])
}

const given = `unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[]) as told (machine, state, error, version, turn)`
const columns = (seen: readonly SeenRow[]) => [seen.map(one => one.machine), seen.map(one => one.state), seen.map(one => one.error), seen.map(one => one.version), seen.map(one => one.turn)]
const acted = `exists (select from power.action a where a.machine = m.machine and a.state in ('queued', 'running'))`

/**
 * Of what the rack saw, what is news, and is to be believed: the rack is the one that asks this BMC, it asked with the present parameters and after the last action,
 * and no action is before the machine. The rows are locked, in one order.
 */
export const news = (tx: Tx, rack: string, seen: readonly SeenRow[]): Promise<{ machine: string, state: PowerStateName, error: string | null }[]> => tx.query(
  `select m.machine, told.state, told.error from power.machine m join ${given} on told.machine = m.machine
    where m.poller = $1 and m.version = told.version and m.turn = told.turn and (m.state, m.error) is distinct from (told.state, told.error) and not ${acted} order by m.machine for update of m`, [rack, ...columns(seen)])

/** What an answer of the machine's BMC is believed by: see `stands`. */
export const moment = async (q: Query, machine: string): Promise<{ readonly version: string, readonly turn: string } | undefined> => (await q.query<{ version: string, turn: string }>('select version, turn from power.machine where machine = $1', [machine]))[0]

/** Whether what the BMC was asked at that moment is to be believed now: with the present parameters, after the last action, and none is before the machine. Locks the row. */
export const stands = async (tx: Tx, machine: string, at: { readonly version: string, readonly turn: string }): Promise<boolean> => (await tx.query(
  `select from power.machine m where machine = $1 and version = $2 and turn = $3 and not ${acted} for update`, [machine, at.version, at.turn])).length > 0

/** The BMCs that answered what was known, or answered while an action is before their machine. */
export async function touch (tx: Tx, rack: string, seen: readonly SeenRow[], now: Date): Promise<void> {
  await tx.query(`update power.machine m set checked_at = $7 from ${given} where told.machine = m.machine
    and m.poller = $1 and m.version = told.version and ((m.state, m.error) is not distinct from (told.state, told.error) or ${acted})`, [rack, ...columns(seen), now])
}

/** What is said of a machine whose BMC no rack reaches. */
export const noRack = 'no rack reaches its BMC: look at the network between the racks and it, and at the power it has itself'

/**
 * Machines whose poller may have to be another one, with the routes of these racks: none asks, or one that is none of `racks`, or that does not reach it, or another may be
 * much nearer. More than need it, never fewer: region/assign.ts decides. Where all is well it gives nothing.
 */
export const candidates = (q: Query, { asking, racks, much, ms, after, limit }: { readonly asking: readonly string[], readonly racks: readonly string[], readonly much: number, readonly ms: number, readonly after: string, readonly limit: number }): Promise<Candidate[]> => q.query<Candidate>(
  `with linked as not materialized (select * from power.route where rack = any($2)) -- else each machine reads the routes of all
   select m.machine, m.endpoint, m.poller, m.state, m.error, coalesce((select json_agg(json_build_object('rack', r.rack, 'reachable', r.reachable, 'rtt', r.rtt)) from linked r where r.endpoint = m.endpoint), '[]'::json) as routes
   from power.machine m left join linked own on own.endpoint = m.endpoint and own.rack = m.poller
   where m.driver = any($1) and m.machine > $7 and case
     when m.poller is null and m.endpoint is null then true
     when m.poller is null then exists (select from linked r where r.endpoint = m.endpoint and (r.reachable or m.error is distinct from $6))
     when m.poller <> all($2) then true
     when m.endpoint is null then false
     else own.rack is null or not own.reachable or exists (select from linked r where r.endpoint = m.endpoint and r.reachable and own.rtt >= r.rtt * $3 and own.rtt - r.rtt >= $4) end
   order by m.machine limit $5`, [asking, racks, much, ms, limit, noRack, after])

/** Who asks them from now on, where it is still who it was. Gives those that are asked by another one now. */
export const assign = async (tx: Tx, changes: readonly { readonly machine: string, readonly from: string | null, readonly to: string | null }[]): Promise<string[]> => (await tx.query<{ machine: string }>(
  `update power.machine m set poller = wish.poller from unnest($1::text[], $2::text[], $3::text[]) as wish (machine, before, poller)
    where m.machine = wish.machine and m.poller is not distinct from wish.before and m.poller is distinct from wish.poller returning m.machine`,
  [changes.map(one => one.machine), changes.map(one => one.from), changes.map(one => one.to)])).map(one => one.machine)

/** Whether an action is before any of these machines. */
export const busy = async (q: Query, machines: readonly string[]): Promise<ReadonlySet<string>> => new Set((await q.query<{ machine: string }>(`select distinct machine from power.action where machine = any($1) and state in ('queued', 'running')`, [machines])).map(one => one.machine))

/** Routes to places where no BMC is any more. */
export async function forgetRoutes (tx: Tx): Promise<void> {
  await tx.query('delete from power.route r where not exists (select from power.machine m where m.endpoint = r.endpoint)')
}

/** BMCs from before there were endpoints. */
export const unplaced = (q: Query, limit: number): Promise<{ machine: string }[]> => q.query('select machine from power.machine where version = 0 order by machine limit $1', [limit])
export async function place (tx: Tx, machine: string, endpoint: string | null): Promise<void> {
  await tx.query('update power.machine set endpoint = $2, version = 1 where machine = $1 and version = 0', [machine, endpoint])
}
