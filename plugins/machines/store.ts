/** All SQL of machines. */
import type { Query, Tx } from '../../core/plugin.ts'
import type { Way } from '../images/manifest.ts'
import type { Inventory, Machine, MachineInterface, MachineRecord, Status } from './manifest.ts'
import type { MachineRow } from './transition.ts'

export interface StoredEvent { readonly id: string, readonly at: Date, readonly type: string, readonly level: MachineRecord['level'], readonly message: string, readonly data: Readonly<Record<string, unknown>> | null }
export interface Filter { readonly status?: string, readonly hostname?: string, readonly mac?: string, readonly owner?: string, readonly tag?: string, readonly after?: string, readonly limit: number }

const columns = `m.id, m.hostname, m.status, m.previous, m.reason, m.since, m.deadline, m.architecture, m.firmware, m.owner, m.inventory, m.deployment, m.installed, m.host_keys as "hostKeys", m.tags, m.boot_way as "bootWay", m.version,
  coalesce((select jsonb_agg(jsonb_build_object('mac', i.mac, 'name', i.name, 'vlanId', i.vlan_id, 'boot', i.boot) order by i.boot desc, i.name, i.mac) from machines.interface i where i.machine = m.id), '[]') as interfaces`

export const get = async (q: Query, id: string): Promise<MachineRow | undefined> => (await q.query<MachineRow>(`select ${columns} from machines.machine m where m.id = $1`, [id]))[0]

/** By id or, failing that, by hostname: operators type either. */
export const find = async (q: Query, name: string): Promise<MachineRow | undefined> =>
  (await q.query<MachineRow>(`select ${columns} from machines.machine m where m.id = $1 or m.hostname = $1 order by m.id = $1 desc limit 1`, [name]))[0]

export const byMac = async (q: Query, mac: string): Promise<MachineRow | undefined> =>
  (await q.query<MachineRow>(`select ${columns} from machines.machine m where m.id = (select machine from machines.interface where mac = $1)`, [mac]))[0]

/** The machine under its row lock. Locked first, read after: the reading statement then sees what the last holder of the lock committed. */
export async function lock (tx: Tx, id: string): Promise<MachineRow | undefined> {
  await tx.query('select from machines.machine where id = $1 for update', [id])
  return await get(tx, id)
}

export const list = (q: Query): Promise<MachineRow[]> => q.query<MachineRow>(`select ${columns} from machines.machine m order by m.id`)

/** One page in the order of ids, after `after`. */
export const page = (q: Query, { status, hostname, mac, owner, tag, after, limit }: Filter): Promise<MachineRow[]> => q.query<MachineRow>(
  `select ${columns} from machines.machine m where ($1::text is null or m.status = $1) and ($2::text is null or m.hostname = $2)
    and ($3::text is null or m.id = (select machine from machines.interface where mac = $3)) and ($4::text is null or m.owner = $4) and ($5::text is null or m.id > $5)
    and ($7::text is null or m.tags @> array[$7]) order by m.id limit $6`, [status ?? null, hostname ?? null, mac ?? null, owner ?? null, after ?? null, limit, tag ?? null])

/** False when the id or the hostname is taken. */
export async function insert (tx: Tx, machine: Pick<Machine, 'id' | 'hostname' | 'status' | 'since' | 'architecture' | 'firmware' | 'inventory'>): Promise<boolean> {
  const rows = await tx.query(`insert into machines.machine (id, hostname, status, since, architecture, firmware, inventory) values ($1, $2, $3, $4, $5, $6, $7)
    on conflict do nothing returning id`, [machine.id, machine.hostname, machine.status, machine.since, machine.architecture, machine.firmware, json(machine.inventory)])
  return rows.length > 0
}

const json = (value: unknown): string | null => value === null ? null : JSON.stringify(value)

/** Writes what transitions change. */
export async function save (tx: Tx, m: MachineRow): Promise<void> {
  await tx.query(`update machines.machine set status = $2, previous = $3, reason = $4, since = $5, deadline = $6, owner = $7, deployment = $8, installed = $9, host_keys = $10, version = version + 1 where id = $1`,
    [m.id, m.status, m.previous, m.reason, m.since, m.deadline, m.owner, json(m.deployment), m.installed, JSON.stringify(m.hostKeys)])
}

/** Another version of what clients see: something shown with the machine has changed. */
export async function bump (tx: Tx, id: string): Promise<void> { await tx.query('update machines.machine set version = version + 1 where id = $1', [id]) }

export async function setTags (tx: Tx, id: string, tags: readonly string[]): Promise<void> { await tx.query('update machines.machine set tags = $2, version = version + 1 where id = $1', [id, tags]) }
export async function setBootWay (tx: Tx, id: string, way: Way | null): Promise<void> { await tx.query('update machines.machine set boot_way = $2, version = version + 1 where id = $1', [id, way]) }

/** False when another machine has the hostname. */
export async function rename (tx: Tx, id: string, hostname: string): Promise<boolean> {
  const rows = await tx.query(`update machines.machine set hostname = $2, version = version + 1 where id = $1 and not exists (select from machines.machine where hostname = $2 and id <> $1) returning id`, [id, hostname])
  return rows.length > 0
}

export async function saveInventory (tx: Tx, id: string, { inventory, architecture, firmware }: { readonly inventory: Inventory | null, readonly architecture: string, readonly firmware: string }): Promise<void> {
  await tx.query(`update machines.machine set inventory = coalesce($2, inventory), architecture = $3, firmware = $4, version = version + 1 where id = $1`, [id, json(inventory), architecture, firmware])
}

/** Adds or completes an interface; null leaves a name or VLAN as it is. False when another machine has the MAC. */
export async function putInterface (tx: Tx, id: string, { mac, name, vlanId, boot }: MachineInterface): Promise<boolean> {
  const rows = await tx.query(`insert into machines.interface as i (mac, machine, name, vlan_id, boot) values ($1, $2, $3, $4, $5)
    on conflict (mac) do update set name = coalesce(excluded.name, i.name), vlan_id = coalesce(excluded.vlan_id, i.vlan_id), boot = i.boot or excluded.boot
    where i.machine = excluded.machine returning mac`, [mac, id, name, vlanId, boot])
  return rows.length > 0
}

/** The interface the machine boots from is `mac`, and no other. */
export async function setBoot (tx: Tx, id: string, mac: string): Promise<void> {
  await tx.query('update machines.interface set boot = (mac = $2) where machine = $1 and boot <> (mac = $2)', [id, mac])
}

export async function dropInterfaces (tx: Tx, id: string, keep: readonly string[]): Promise<void> {
  await tx.query('delete from machines.interface where machine = $1 and not boot and mac <> all($2)', [id, keep])
}

/** Holds each MAC until the transaction ends, so that one machine is not enlisted twice at once. */
export async function lockMacs (tx: Tx, macs: readonly string[]): Promise<void> {
  for (const mac of [...macs].sort()) await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`machines.interface/${mac}`])
}

export const owners = (q: Query, macs: readonly string[]): Promise<{ mac: string, machine: string }[]> => q.query('select mac, machine from machines.interface where mac = any($1) order by mac', [macs])

export async function remove (tx: Tx, id: string): Promise<void> { await tx.query('delete from machines.machine where id = $1', [id]) }

export async function addEvent (tx: Tx, id: string, at: Date, { type, level, message, data }: MachineRecord): Promise<void> {
  await tx.query('insert into machines.event (machine, at, type, level, message, data) values ($1, $2, $3, $4, $5, $6)', [id, at, type, level, message, data === undefined ? null : JSON.stringify(data)])
}

/** The machine's history, oldest first, after event `after`. */
export const events = (q: Query, id: string, { after, limit }: { readonly after?: string, readonly limit: number }): Promise<StoredEvent[]> =>
  q.query<StoredEvent>('select id, at, type, level, message, data from machines.event where machine = $1 and ($2::bigint is null or id > $2) order by id limit $3', [id, after ?? null, limit])

/** The last thing heard of the machine since `since`, its own changes of state aside. */
export const lastHeard = async (q: Query, id: string, since: Date): Promise<StoredEvent | undefined> =>
  (await q.query<StoredEvent>(`select id, at, type, level, message, data from machines.event where machine = $1 and at >= $2 and type <> 'status' order by id desc limit 1`, [id, since]))[0]

/** Machines whose firmware says one of these UUIDs, or that say their BMC is at one of these addresses; in one order, so that two who lock them do not meet head on. */
export const signed = (q: Query, uuids: readonly string[], addresses: readonly string[]): Promise<{ id: string }[]> => q.query(
  `select id from machines.machine where lower(inventory #>> '{dmi,product_uuid}') = any($1) or inventory #>> '{bmc,address}' = any($2) order by id`, [uuids, addresses])

export const countUuid = async (q: Query, uuid: string): Promise<number> => (await q.query<{ count: number }>(`select count(*)::int as count from machines.machine where lower(inventory #>> '{dmi,product_uuid}') = $1`, [uuid]))[0]?.count ?? 0

export const overdue = (q: Query, now: Date): Promise<{ id: string }[]> => q.query('select id from machines.machine where deadline <= $1 order by deadline limit 100', [now])

export const census = (q: Query): Promise<{ status: Status, count: number }[]> => q.query('select status, count(*)::int as count from machines.machine group by status')
