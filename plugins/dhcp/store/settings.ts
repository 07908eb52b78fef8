/** SQL of what operators set: how VLANs and subnets are served, and addresses fixed by client id. */
import type { Query, Tx } from '../../../core/plugin.ts'

export type Mode = 'server' | 'proxy' | 'off'
export type V6 = 'off' | 'stateless' | 'stateful'
/** `mode`: what is done for IPv4; `v6`: for IPv6. `racks`: ranked; empty means every rack attached to the VLAN. `via`: the VLAN whose racks serve this one, through relays. */
export interface ServedVlan { readonly id: string, readonly enabled: boolean, readonly racks: readonly string[], readonly mode: Mode, readonly v6: V6, readonly via: string | null }
/** Seconds; null means the configuration's. */
export interface SubnetSettings { readonly id: string, readonly leaseSeconds: number | null, readonly firmwareSeconds: number | null, readonly domain: string | null, readonly search: readonly string[], readonly ntp: readonly string[] }
/** `clientId` in hex, as on the wire. */
export interface Fixed { readonly address: string, readonly subnetId: string, readonly clientId: string, readonly hostname: string | null }

export const listVlans = (q: Query, ids?: readonly string[]): Promise<ServedVlan[]> =>
  q.query('select vlan_id as id, enabled, racks, mode, v6, via from dhcp.vlan where $1::text[] is null or vlan_id = any($1) order by vlan_id', [ids ?? null])

export async function saveVlan (tx: Tx, { id, enabled, racks, mode, v6, via }: ServedVlan): Promise<void> {
  await tx.query(`insert into dhcp.vlan (vlan_id, enabled, racks, mode, v6, via) values ($1, $2, $3, $4, $5, $6)
    on conflict (vlan_id) do update set enabled = excluded.enabled, racks = excluded.racks, mode = excluded.mode, v6 = excluded.v6, via = excluded.via`, [id, enabled, racks, mode, v6, via])
}

/** One change of what operators set at a time: what is checked before a write still holds when it commits. */
export const lockSettings = (tx: Tx): Promise<unknown> => tx.query(`select pg_advisory_xact_lock(hashtext('dhcp.settings'))`)

export const unset = (id: string): SubnetSettings => ({ id, leaseSeconds: null, firmwareSeconds: null, domain: null, search: [], ntp: [] })
export const listSubnetSettings = (q: Query, ids?: readonly string[]): Promise<SubnetSettings[]> =>
  q.query(`select subnet_id as id, lease_seconds as "leaseSeconds", firmware_seconds as "firmwareSeconds", domain, search, ntp from dhcp.subnet
    where $1::text[] is null or subnet_id = any($1) order by subnet_id`, [ids ?? null])
/** The settings of one subnet; the defaults when nobody set any. */
export const subnetSettings = async (q: Query, id: string): Promise<SubnetSettings> => (await listSubnetSettings(q, [id]))[0] ?? unset(id)
export async function saveSubnet (tx: Tx, { id, leaseSeconds, firmwareSeconds, domain, search, ntp }: SubnetSettings): Promise<void> {
  await tx.query(`insert into dhcp.subnet (subnet_id, lease_seconds, firmware_seconds, domain, search, ntp) values ($1, $2, $3, $4, $5, $6)
    on conflict (subnet_id) do update set lease_seconds = excluded.lease_seconds, firmware_seconds = excluded.firmware_seconds, domain = excluded.domain, search = excluded.search, ntp = excluded.ntp`,
  [id, leaseSeconds, firmwareSeconds, domain, search, ntp])
}

const fixedColumns = 'host(address) as address, subnet_id as "subnetId", client_id as "clientId", hostname'
export const listFixed = (q: Query, filter: { readonly subnetIds?: readonly string[] | undefined, readonly addresses?: readonly string[] | undefined, readonly clientId?: string | undefined, readonly after?: string | undefined } = {}): Promise<Fixed[]> =>
  q.query(`select ${fixedColumns} from dhcp.fixed where ($1::text[] is null or subnet_id = any($1)) and ($2::inet[] is null or address = any($2)) and ($3::text is null or client_id = $3)
    and ($4::inet is null or address > $4) order by dhcp.fixed.address`, [filter.subnetIds ?? null, filter.addresses ?? null, filter.clientId ?? null, filter.after ?? null])
export async function saveFixed (tx: Tx, { address, subnetId, clientId, hostname }: Fixed): Promise<void> {
  await tx.query('insert into dhcp.fixed (address, subnet_id, client_id, hostname) values ($1, $2, $3, $4) on conflict (address) do update set subnet_id = excluded.subnet_id, client_id = excluded.client_id, hostname = excluded.hostname',
    [address, subnetId, clientId, hostname])
}
export const removeFixed = async (tx: Tx, address: string): Promise<boolean> =>
  (await tx.query('delete from dhcp.fixed where address = $1::inet returning 1', [address])).length > 0

export interface ServedSubnet { readonly subnet: string, readonly rack: string }
/** Who served what when somebody last looked. */
export const listServed = (q: Query): Promise<ServedSubnet[]> => q.query('select subnet_id as subnet, rack from dhcp.served')
/** Makes it so, and names the subnets for which it was not. Under lockServed. */
export const replaceServed = async (tx: Tx, served: readonly ServedSubnet[]): Promise<string[]> =>
  (await tx.query<{ subnet: string }>(`
    with present as (select * from unnest($1::text[], $2::text[]) as p (subnet_id, rack)),
    gone as (delete from dhcp.served s where not exists (select from present p where p.subnet_id = s.subnet_id and p.rack = s.rack) returning subnet_id),
    fresh as (insert into dhcp.served (subnet_id, rack) select subnet_id, rack from present on conflict do nothing returning subnet_id)
    select subnet_id as subnet from gone union select subnet_id from fresh order by subnet`,
  [served.map(({ subnet }) => subnet), served.map(({ rack }) => rack)])).map(({ subnet }) => subnet)
export const lockServed = (tx: Tx): Promise<unknown> => tx.query(`select pg_advisory_xact_lock(hashtext('dhcp.served'))`)

/** Does `work` or nothing of it, and goes on with the transaction either way. */
export async function attempt<T> (tx: Tx, work: () => Promise<T>): Promise<T> {
  await tx.query('savepoint attempt')
  try {
    const result = await work()
    await tx.query('release savepoint attempt')
    return result
  } catch (error) {
    await tx.query('rollback to savepoint attempt')
    throw error
  }
}
/** Does `work`, gives its result, and undoes it; nobody is told. */
export async function rehearse<T> (tx: Tx, work: (tx: Tx) => Promise<T>): Promise<T> {
  await tx.query('savepoint rehearsal')
  const result = await work({ query: (text, values) => tx.query(text, values), changed: async () => {} })
  await tx.query('rollback to savepoint rehearsal')
  return result
}

/** Deletes what was set for subnets that are gone; gives the scopes whose options went with them. */
export async function dropSubnets (tx: Tx, kept: readonly string[]): Promise<string[]> {
  await tx.query('delete from dhcp.subnet where subnet_id <> all($1::text[])', [kept])
  await tx.query('delete from dhcp.fixed where subnet_id <> all($1::text[])', [kept])
  const scopes = await tx.query<{ scope: string }>('delete from dhcp.option where scope like \'subnet:%\' and substr(scope, 8) <> all($1::text[]) returning scope', [kept])
  return [...new Set(scopes.map(({ scope }) => scope))]
}
/** The same for VLANs. */
export const dropVlans = (tx: Tx, kept: readonly string[]): Promise<unknown> => tx.query('delete from dhcp.vlan where vlan_id <> all($1::text[])', [kept])
