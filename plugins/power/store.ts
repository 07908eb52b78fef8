/** All SQL of power. */
import type { Query, Tx } from '../../core/plugin.ts'
import type { PowerActionName, PowerStateName } from './manifest.ts'

export interface Bmc { readonly machine: string, readonly driver: string, readonly parameters: Readonly<Record<string, unknown>>, readonly secrets: string | null, readonly state: PowerStateName, readonly checkedAt: Date | null, readonly error: string | null }
export interface Action {
  readonly id: string, readonly machine: string, readonly action: PowerActionName, readonly boot: 'network' | 'disk' | null, readonly state: 'queued' | 'running' | 'done' | 'failed'
  readonly step: number, readonly attempts: number, readonly rack: string | null, readonly error: string | null, readonly createdAt: Date, readonly startedAt: Date | null, readonly finishedAt: Date | null
}

const bmcColumns = 'machine, driver, parameters, secrets, state, checked_at as "checkedAt", error'
const actionColumns = 'id, machine, action, boot, state, step, attempts, rack, error, created_at as "createdAt", started_at as "startedAt", finished_at as "finishedAt"'

export const bmc = async (q: Query, machine: string): Promise<Bmc | undefined> => (await q.query<Bmc>(`select ${bmcColumns} from power.machine where machine = $1`, [machine]))[0]
export const bmcs = (q: Query, machines: readonly string[]): Promise<Bmc[]> => q.query<Bmc>(`select ${bmcColumns} from power.machine where machine = any($1)`, [machines])

export async function putBmc (tx: Tx, machine: string, driver: string, parameters: Readonly<Record<string, unknown>>, secrets: string | null): Promise<void> {
  await tx.query(`insert into power.machine (machine, driver, parameters, secrets) values ($1, $2, $3, $4)
    on conflict (machine) do update set driver = excluded.driver, parameters = excluded.parameters, secrets = excluded.secrets, state = 'unknown', checked_at = null, error = null`, [machine, driver, JSON.stringify(parameters), secrets])
}

export async function remove (tx: Tx, machine: string): Promise<void> {
  await tx.query('delete from power.action where machine = $1', [machine])
  await tx.query('delete from power.machine where machine = $1', [machine])
}

/** The wish that waits for a machine is the newest one. */
export async function enqueue (tx: Tx, machine: string, action: PowerActionName, boot: 'network' | 'disk' | null, now: Date): Promise<void> {
  await tx.query(`insert into power.action (machine, action, boot, created_at) values ($1, $2, $3, $4)
    on conflict (machine) where state = 'queued' do update set action = excluded.action, boot = excluded.boot, created_at = excluded.created_at`, [machine, action, boot, now])
}

/** What can be begun or must be taken up again: those running, and those queued behind none that runs. */
export const runnable = (q: Query, limit: number): Promise<{ id: string, machine: string }[]> => q.query(
  `select id, machine from power.action a where state = 'running' or (state = 'queued' and not exists (select from power.action b where b.machine = a.machine and b.state = 'running')) order by id limit $1`, [limit])

/** Marks it running and gives it as it is now; undefined when it is over or another one of the machine runs. */
export const begin = async (tx: Tx, id: string, now: Date): Promise<Action | undefined> => (await tx.query<Action>(
  `update power.action a set state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, $2) where id = $1
    and (state = 'running' or (state = 'queued' and not exists (select from power.action b where b.machine = a.machine and b.state = 'running'))) returning ${actionColumns}`, [id, now]))[0]

export async function stepDone (tx: Tx, id: string, step: number, rack: string | null): Promise<void> {
  await tx.query('update power.action set step = $2, rack = coalesce($3, rack) where id = $1', [id, step, rack])
}

/** False when it is gone: the machine was removed. */
export async function finish (tx: Tx, id: string, state: 'done' | 'failed', error: string | null, rack: string | null, now: Date): Promise<boolean> {
  const rows = await tx.query(`update power.action set state = $2, error = $3, rack = coalesce($4, rack), finished_at = $5 where id = $1 and state = 'running' returning id`, [id, state, error, rack, now])
  return rows.length > 0
}

export const waits = async (q: Query, machine: string): Promise<boolean> => (await q.query(`select from power.action where machine = $1 and state = 'queued'`, [machine])).length > 0

/** Stores what is known of the power; gives the state before, or undefined when nothing is configured. */
export async function putState (tx: Tx, machine: string, state: PowerStateName, error: string | null, now: Date): Promise<PowerStateName | undefined> {
  const [before] = await tx.query<{ state: PowerStateName }>('select state from power.machine where machine = $1 for update', [machine])
  if (before !== undefined) await tx.query('update power.machine set state = $2, error = $3, checked_at = $4 where machine = $1', [machine, state, error, now])
  return before?.state
}

/** Those whose state and error are as they were: one statement for all. */
export async function touch (tx: Tx, machines: readonly string[], now: Date): Promise<void> {
  await tx.query('update power.machine set checked_at = $2 where machine = any($1)', [machines, now])
}

/** BMCs not asked since `before`, those longest ago first; not those an action is waiting for or running on. */
export const due = (q: Query, drivers: readonly string[], before: Date, limit: number): Promise<Bmc[]> => q.query<Bmc>(
  `select ${bmcColumns} from power.machine m where driver = any($1) and (checked_at is null or checked_at < $2)
    and not exists (select from power.action a where a.machine = m.machine and a.state in ('queued', 'running')) order by checked_at nulls first, machine limit $3`, [drivers, before, limit])

export const count = async (q: Query, drivers: readonly string[]): Promise<number> => (await q.query<{ count: number }>('select count(*)::int as count from power.machine where driver = any($1)', [drivers]))[0]?.count ?? 0

/** The newest actions on a machine, newest first. */
export const actions = (q: Query, machine: string, limit: number): Promise<Action[]> => q.query<Action>(`select ${actionColumns} from power.action where machine = $1 order by id desc limit $2`, [machine, limit])
