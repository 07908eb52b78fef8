/** SQL of power: machines' BMCs, and the actions on them. What racks reach and tell is in store/routes.ts. */
import type { Query, Tx } from '../../core/plugin.ts'
import type { PowerActionName, PowerStateName } from './manifest.ts'

export interface Bmc { readonly machine: string, readonly driver: string, readonly parameters: Readonly<Record<string, unknown>>, readonly secrets: string | null, readonly state: PowerStateName, readonly checkedAt: Date | null, readonly error: string | null
  /** Where the BMC is, as text (endpoint.ts); `acting`: the rack that was handed an action and has not answered. */
  readonly endpoint: string | null, readonly poller: string | null, readonly version: string, readonly acting: string | null
}
export interface Action {
  readonly id: string, readonly machine: string, readonly action: PowerActionName, readonly boot: 'network' | 'disk' | null, readonly firmware: 'bios' | 'uefi' | null, readonly state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled', readonly cancelled: boolean
  readonly step: number, readonly attempts: number, readonly rack: string | null, readonly error: string | null, readonly createdAt: Date, readonly startedAt: Date | null, readonly finishedAt: Date | null
}

const bmcColumns = 'machine, driver, parameters, secrets, state, checked_at as "checkedAt", error, endpoint, poller, version, acting'
const actionColumns = 'id, machine, action, boot, firmware, state, cancelled, step, attempts, rack, error, created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt"'

export const bmc = async (q: Query, machine: string): Promise<Bmc | undefined> => (await q.query<Bmc>(`select ${bmcColumns} from power.machine where machine = $1`, [machine]))[0]
export const bmcs = (q: Query, machines: readonly string[]): Promise<Bmc[]> => q.query<Bmc>(`select ${bmcColumns} from power.machine where machine = any($1)`, [machines])

/** The version grows: what was asked with older parameters is not believed. The rack that asked the old BMC asks the new one only when it is given it. */
export async function putBmc (tx: Tx, machine: string, driver: string, parameters: Readonly<Record<string, unknown>>, secrets: string | null, endpoint: string | null): Promise<void> {
  await tx.query(`insert into power.machine as m (machine, driver, parameters, secrets, endpoint, version) values ($1, $2, $3, $4, $5, 1)
    on conflict (machine) do update set driver = excluded.driver, parameters = excluded.parameters, secrets = excluded.secrets, state = 'unknown', checked_at = null, error = null,
      poller = case when m.endpoint is not distinct from excluded.endpoint then m.poller end, endpoint = excluded.endpoint, version = m.version + 1`, [machine, driver, JSON.stringify(parameters), secrets, endpoint])
}

export async function remove (tx: Tx, machine: string): Promise<void> {
  await tx.query('delete from power.action where machine = $1', [machine])
  await tx.query('delete from power.machine where machine = $1', [machine])
}

/** The wish that waits for a machine is the newest one. */
export async function enqueue (tx: Tx, machine: string, action: PowerActionName, boot: 'network' | 'disk' | null, firmware: 'bios' | 'uefi' | null, now: Date): Promise<void> {
  await tx.query(`insert into power.action (machine, action, boot, firmware, created_at) values ($1, $2, $3, $4, $5)
    on conflict (machine) where state = 'queued' do update set action = excluded.action, boot = excluded.boot, firmware = excluded.firmware, created_at = excluded.created_at`, [machine, action, boot, firmware, now])
}

/** What can be begun or must be taken up again: those running, and those queued behind none that runs. */
export const runnable = (q: Query, limit: number): Promise<{ id: string, machine: string }[]> => q.query(
  `select id, machine from power.action a where state = 'running' or (state = 'queued' and not exists (select from power.action b where b.machine = a.machine and b.state = 'running')) order by id limit $1`, [limit])

/** Marks it running and gives it as it is now; undefined when it is over or another one of the machine runs. */
export const begin = async (tx: Tx, id: string, now: Date): Promise<Action | undefined> => (await tx.query<Action>(
  `update power.action a set state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, $2) where id = $1
    and (state = 'running' or (state = 'queued' and not exists (select from power.action b where b.machine = a.machine and b.state = 'running'))) returning ${actionColumns}`, [id, now]))[0]

/** Says, before it is asked, which rack will be at it: whoever leads next must know. False when the action is over or was called off. */
export async function hand (tx: Tx, id: string, machine: string, rack: string): Promise<boolean> {
  const rows = await tx.query(`update power.action set rack = $2 where id = $1 and state = 'running' and not cancelled returning id`, [id, rack])
  if (rows.length > 0) await tx.query('update power.machine set acting = $2 where machine = $1', [machine, rack])
  return rows.length > 0
}

/** The rack that was handed it has answered. */
export async function stepDone (tx: Tx, { id, machine }: Pick<Action, 'id' | 'machine'>, step: number, rack: string | null): Promise<void> {
  await tx.query('update power.action set step = $2, rack = coalesce($3, rack) where id = $1', [id, step, rack])
  await tx.query('update power.machine set acting = null where machine = $1', [machine])
}

/** False when it is gone: the machine was removed. `answered`: no rack is at it any more. What was asked before this moment is believed no more. */
export async function finish (tx: Tx, { id, machine }: Pick<Action, 'id' | 'machine'>, { state, error, rack, answered }: { readonly state: 'done' | 'failed' | 'cancelled', readonly error: string | null, readonly rack: string | null, readonly answered: boolean }, now: Date): Promise<boolean> {
  const rows = await tx.query(`update power.action set state = $2, error = $3, rack = coalesce($4, rack), finished_at = $5 where id = $1 and state = 'running' returning id`, [id, state, error, rack, now])
  if (rows.length > 0) await tx.query('update power.machine set turn = turn + 1, acting = case when $2 then null else acting end where machine = $1', [machine, answered])
  return rows.length > 0
}

/** What waits is over; what runs is marked, for whoever leads to stop it. The actions this concerned. */
export const cancel = (tx: Tx, machine: string, id: string | null, now: Date): Promise<Action[]> => tx.query<Action>(
  `update power.action set state = case state when 'queued' then 'cancelled' else state end, finished_at = case state when 'queued' then $3::timestamptz end, cancelled = true
    where machine = $1 and state in ('queued', 'running') and ($2::bigint is null or id = $2::bigint) returning ${actionColumns}`, [machine, id, now])

/** Those that run and were called off. */
export const calledOff = (q: Query): Promise<{ id: string, machine: string }[]> => q.query(`select id, machine from power.action where state = 'running' and cancelled`)
export const action = async (q: Query, machine: string, id: string): Promise<Action | undefined> => (await q.query<Action>(`select ${actionColumns} from power.action where machine = $1 and id = $2`, [machine, id]))[0]

export const waits = async (q: Query, machine: string): Promise<boolean> => (await q.query(`select from power.action where machine = $1 and state = 'queued'`, [machine])).length > 0

/** Stores what is known of the power; gives the state before, or undefined when nothing is configured. */
export async function putState (tx: Tx, machine: string, state: PowerStateName, error: string | null, now: Date): Promise<PowerStateName | undefined> {
  const [before] = await tx.query<{ state: PowerStateName }>('select state from power.machine where machine = $1 for update', [machine])
  if (before !== undefined) await tx.query('update power.machine set state = $2, error = $3, checked_at = $4 where machine = $1', [machine, state, error, now])
  return before?.state
}

/** The newest actions on a machine, newest first. */
export const actions = (q: Query, machine: string, limit: number): Promise<Action[]> => q.query<Action>(`select ${actionColumns} from power.action where machine = $1 order by id desc limit $2`, [machine, limit])
