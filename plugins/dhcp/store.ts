/** All SQL of dhcp. Every rule about who may have an address is in a statement here, so that PostgreSQL is the referee. */
import type { Query } from '../../core/plugin.ts'
import type { Answer, Wish } from './manifest.ts'
import type { Ended } from './referee.ts'
import { grantUnused } from './store/unused.ts'

export interface ServedVlan { readonly id: string, readonly enabled: boolean, readonly racks: readonly string[] }
export interface StoredBinding { readonly address: string, readonly subnet: string, readonly client: string, readonly clientId: string | null, readonly hostname: string | null, readonly boundAt: Date, readonly expires: Date, readonly number: string }
export interface BindingFilter { readonly subnet?: string | undefined, readonly mac?: string | undefined, readonly address?: string | undefined, readonly limit: number, readonly after?: string | undefined }
export interface Granted { readonly address: string, readonly hadBinding: boolean }

/** Seconds an address rests after its binding expired before anyone else gets it: room for slow replies and drifting clocks. */
const rest = 10
// What nobody has a claim on: lapsed bindings and ended quarantines. `a` is dhcp.address.
const lapsed = `(a.expires + interval '${rest} seconds' <= now() or a.quarantined_until <= now())`
const columns = 'host(address) as address, subnet_id as subnet, mac as client, client_id as "clientId", hostname, bound_at as "boundAt", expires, number'

export const listVlans = (q: Query, ids?: readonly string[]): Promise<ServedVlan[]> =>
  q.query('select vlan_id as id, enabled, racks from dhcp.vlan where $1::text[] is null or vlan_id = any($1) order by vlan_id', [ids ?? null])

export async function saveVlan (q: Query, { id, enabled, racks }: ServedVlan): Promise<void> {
  await q.query('insert into dhcp.vlan (vlan_id, enabled, racks) values ($1, $2, $3) on conflict (vlan_id) do update set enabled = excluded.enabled, racks = excluded.racks', [id, enabled, racks])
}

/**
 * Stores bindings for a rack, each or not: for the machine that has or had the address, out of the rack's own block, or where nobody
 * has a claim. One statement, rows locked in address order; of two wishes for one address in a batch the first counts.
 */
export async function bind (q: Query, rack: string, wishes: readonly Wish[]): Promise<Answer[]> {
  const rows = await q.query<{ address: string, client: string, expires: Date, number: string }>(`
    insert into dhcp.address as a (address, subnet_id, mac, client_id, hostname, bound_at, expires)
    select distinct on (w.address) w.address, w.subnet_id, w.mac, w.client_id, w.hostname, now(), now() + w.seconds * interval '1 second'
    from unnest($2::inet[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[]) with ordinality as w (address, subnet_id, mac, client_id, hostname, seconds, place)
    order by w.address, w.place
    on conflict (address) do update set
      subnet_id = excluded.subnet_id, mac = excluded.mac, client_id = excluded.client_id, hostname = excluded.hostname, bound_at = excluded.bound_at, expires = excluded.expires,
      rack = null, granted_at = null, quarantined_until = null, number = nextval('dhcp.number')
    where a.mac = excluded.mac or a.rack = $1 or ${lapsed}
    returning host(address) as address, mac as client, expires, number`,
  [rack, wishes.map(({ address }) => address), wishes.map(({ subnet }) => subnet), wishes.map(({ client }) => client), wishes.map(({ clientId }) => clientId), wishes.map(({ hostname }) => hostname), wishes.map(({ seconds }) => seconds)])
  const stored = new Map(rows.map(row => [row.address, row]))
  return wishes.map(({ address, client }) => {
    const row = stored.get(address)
    return row !== undefined && row.client === client ? { stored: true, expires: row.expires.toISOString(), number: row.number, reason: null, quiet: false } : { stored: false, expires: null, number: null, reason: 'this address belongs to somebody else', quiet: false }
  })
}

/**
 * Gives a rack up to `most` free addresses of the ranges, and no more than its share of what is free. Grants of one subnet wait for each other.
 * @param taken addresses nobody may be given: gateways, racks' own, those set aside
 */
export async function grant (q: Query, rack: string, subnet: string, options: { readonly ranges: readonly { readonly start: string, readonly end: string }[], readonly taken: readonly string[], readonly racks: number, readonly most: number }): Promise<Granted[]> {
  await q.query('select pg_advisory_xact_lock(hashtext($1))', [`dhcp.grant ${subnet}`])
  const unused = await grantUnused(q, rack, subnet, options)
  if (unused.length > 0) return unused.map(address => ({ address, hadBinding: false }))
  return q.query<Granted>(`
    with pool as materialized (
      select r.low + n as address, a.mac is not null as had_binding, a.expires
      from unnest($3::inet[], $4::inet[]) as r (low, high) cross join lateral generate_series(0, r.high - r.low) as n
      left join dhcp.address a on a.address = r.low + n
      where (a.address is null or ${lapsed}) and (r.low + n) <> all($5::inet[])
    ), chosen as (
      select address, had_binding from pool order by had_binding, expires, address
      limit (select least($6::bigint, greatest(1, count(*) / $7::integer)) from pool)
    ), given as (
      insert into dhcp.address as a (address, subnet_id, rack, granted_at)
      select address, $2, $1, now() from chosen order by address
      on conflict (address) do update set subnet_id = excluded.subnet_id, rack = excluded.rack, granted_at = excluded.granted_at,
        mac = null, client_id = null, hostname = null, bound_at = null, expires = null, quarantined_until = null
      where ${lapsed}
      returning a.address
    ) select host(address) as address, had_binding as "hadBinding" from given join chosen using (address) order by chosen.address`,
  [rack, subnet, options.ranges.map(({ start }) => start), options.ranges.map(({ end }) => end), options.taken, options.most, options.racks])
}

/**
 * Frees block addresses that lie in none of these ranges, or belong to a rack that does not serve the subnet any more. Safe while every
 * binding is stored here before it is promised: an offer made from such an address is refused when the client takes it. Names the subnets.
 */
export const trimBlocks = async (q: Query, kept: readonly { readonly subnet: string, readonly rack: string, readonly start: string, readonly end: string }[]): Promise<string[]> =>
  (await q.query<{ subnet: string }>(`
    with gone as (
      delete from dhcp.address a where rack is not null and not exists (
        select from unnest($1::text[], $2::text[], $3::inet[], $4::inet[]) as k (subnet_id, rack, low, high)
        where k.subnet_id = a.subnet_id and k.rack = a.rack and a.address between k.low and k.high)
      returning subnet_id
    ) select distinct subnet_id as subnet from gone`,
  [kept.map(({ subnet }) => subnet), kept.map(({ rack }) => rack), kept.map(({ start }) => start), kept.map(({ end }) => end)])).map(({ subnet }) => subnet)

/** Ends bindings at the word of their machines. One made since the one they name stands. Gives the addresses concerned. */
export const release = async (q: Query, ended: readonly Ended[]): Promise<string[]> =>
  (await q.query<{ address: string }>(`
    update dhcp.address a set expires = least(a.expires, now()) from unnest($1::inet[], $2::text[], $3::bigint[]) as e (address, client, number)
    where a.address = e.address and a.mac = e.client and (e.number is null or a.number = e.number) returning host(a.address) as address`,
  [ended.map(({ address }) => address), ended.map(({ client }) => client), ended.map(({ number }) => number)])).map(({ address }) => address)

/** Keeps addresses their machines found in use from everybody. Gives the addresses concerned. */
export const quarantine = async (q: Query, ended: readonly Ended[], seconds: number): Promise<string[]> =>
  (await q.query<{ address: string }>(`
    update dhcp.address a set quarantined_until = now() + $4 * interval '1 second', mac = null, client_id = null, hostname = null, bound_at = null, expires = null
    from unnest($1::inet[], $2::text[], $3::bigint[]) as e (address, client, number)
    where a.address = e.address and a.mac = e.client and (e.number is null or a.number = e.number) returning host(a.address) as address`,
  [ended.map(({ address }) => address), ended.map(({ client }) => client), ended.map(({ number }) => number), seconds])).map(({ address }) => address)

/** Bindings, lapsed ones included, of these subnets; or of these addresses alone. */
export const bindingsOf = (q: Query, subnets: readonly string[], addresses?: readonly string[]): Promise<StoredBinding[]> =>
  addresses === undefined // two statements, and the second by the key alone: PostgreSQL would rather read a whole subnet for a single address
    ? q.query(`select ${columns} from dhcp.address where mac is not null and subnet_id = any($1)`, [subnets])
    : q.query(`select ${columns} from unnest($2::inet[]) as w (wanted) cross join lateral (select * from dhcp.address where address = wanted limit 1) a where mac is not null and subnet_id = any($1)`, [subnets, addresses])

export const blocksOf = (q: Query, rack: string, subnets: readonly string[]): Promise<{ subnet: string, addresses: string[] }[]> =>
  q.query('select subnet_id as subnet, array_agg(host(address) order by address) as addresses from dhcp.address where rack = $1 and subnet_id = any($2) group by subnet_id', [rack, subnets])

/** A page of the bindings in force, by address. */
export const listBindings = (q: Query, { subnet, mac, address, limit, after }: BindingFilter): Promise<StoredBinding[]> =>
  q.query(`
    select ${columns} from dhcp.address
    where mac is not null and expires > now() and ($1::text is null or subnet_id = $1) and ($2::text is null or mac = $2)
      and ($3::inet is null or address = $3) and ($4::inet is null or address > $4)
    order by dhcp.address.address limit $5`, [subnet ?? null, mac ?? null, address ?? null, after ?? null, limit])

/** Forgets a binding. False when there was none. */
export const removeBinding = async (q: Query, address: string): Promise<boolean> =>
  (await q.query('delete from dhcp.address where address = $1::inet and mac is not null returning 1', [address])).length > 0
