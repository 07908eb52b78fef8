/** SQL of the blocks racks offer from, and of the reserves they give from while they are cut off. */
import type { Query, Tx } from '../../../core/plugin.ts'
import type { GrantOptions, Reserved } from '../referee.ts'
import { free, nobody } from './binding.ts'
import { retireLapsed } from './retirement.ts'
import { grantUnused } from './unused.ts'

const lock = (tx: Tx, subnet: string): Promise<unknown> => tx.query('select pg_advisory_xact_lock(hashtext($1))', [`dhcp.grant ${subnet}`])
const rangeValues = ({ ranges, taken }: Pick<GrantOptions, 'ranges' | 'taken'>): unknown[] => [ranges.map(({ start }) => start), ranges.map(({ end }) => end), taken]

/**
 * Gives a rack up to `most` free addresses of the ranges, and no more than its share of what is free: see Referee.grant. Grants of one subnet wait for each other.
 */
export async function grant (tx: Tx, rack: string, subnet: string, options: GrantOptions): Promise<{ readonly addresses: string[], readonly retiring: string[] }> {
  await lock(tx, subnet)
  const unused = await grantUnused(tx, rack, subnet, options)
  if (unused.length > 0) return { addresses: unused, retiring: [] }
  let open = 0
  const look = async (): Promise<string[]> => {
    const rows = await tx.query<{ address: string, free: string }>(`
    with pool as materialized (
      select r.low + n as address from unnest($3::inet[], $4::inet[]) as r (low, high) cross join lateral generate_series(0, r.high - r.low) as n
      left join dhcp.address a on a.address = r.low + n
      where (a.address is null or ${free}) and (r.low + n) <> all($5::inet[])
    ), chosen as (
      select address from pool order by address limit (select least($6::bigint, greatest(1, count(*) / $7::integer)) from pool)
    ), given as (
      insert into dhcp.address as a (address, subnet_id, rack, granted_at) select address, $2, $1, now() from chosen order by address
      on conflict (address) do update set ${nobody}, subnet_id = excluded.subnet_id, rack = excluded.rack, granted_at = excluded.granted_at where ${free}
      returning a.address
    ) select host(address) as address, (select count(*) from pool) as free from given order by given.address`,
    [rack, subnet, ...rangeValues(options), options.most, options.racks])
    open = Number(rows[0]?.free ?? 0)
    return rows.map(({ address }) => address)
  }
  const addresses = await look()
  const begun = await retireLapsed(tx, options.ranges, options.taken, options.most - open)
  if (addresses.length === 0 && begun.some(({ free }) => free)) addresses.push(...await look())
  return { addresses, retiring: begun.map(({ address }) => address) }
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

export const blocksOf = (q: Query, rack: string, subnets: readonly string[]): Promise<{ subnet: string, addresses: string[] }[]> =>
  q.query('select subnet_id as subnet, array_agg(host(address) order by address) as addresses from dhcp.address where rack = $1 and subnet_id = any($2) group by subnet_id', [rack, subnets])

/** Fills a rack's reserve: see Referee.reserve. The search ends when enough are found. */
export async function reserve (tx: Tx, rack: string, subnet: string, count: number, options: GrantOptions): Promise<{ readonly retiring: string[] }> {
  const lacking = async (): Promise<number> => count - Number((await tx.query<{ n: string }>('select count(*) as n from dhcp.address where reserve_of = $1 and subnet_id = $2 and mac is null', [rack, subnet]))[0]?.n ?? 0)
  if (await lacking() <= 0) return { retiring: [] }
  await lock(tx, subnet)
  const fill = async (most: number): Promise<number> => (await tx.query(`
    with chosen as (
      select r.low + n as address from unnest($3::inet[], $4::inet[]) as r (low, high) cross join lateral generate_series(0, r.high - r.low) as n
      left join lateral (select * from dhcp.address where address = r.low + n limit 1) a on true
      where (a.address is null or ${free}) and (r.low + n) <> all($5::inet[]) limit $6
    )
    insert into dhcp.address as a (address, subnet_id, reserve_of, reserve_grant) select address, $2, $1, nextval('dhcp.number') from chosen order by address
    on conflict (address) do update set ${nobody}, subnet_id = excluded.subnet_id, reserve_of = excluded.reserve_of, reserve_grant = excluded.reserve_grant where ${free}
    returning 1`, [rack, subnet, ...rangeValues(options), most])).length
  const wanted = await lacking()
  const given = await fill(wanted)
  const begun = await retireLapsed(tx, options.ranges, options.taken, wanted - given)
  if (begun.some(({ free }) => free)) await fill(wanted - given)
  return { retiring: begun.map(({ address }) => address) }
}

/** See Referee.returned. */
export async function returned (tx: Tx, rack: string, reserves: readonly { readonly address: string, readonly grant: string }[]): Promise<void> {
  if (reserves.length === 0) return
  const values = [rack, reserves.map(({ address }) => address), reserves.map(({ grant }) => grant)]
  const own = 'from unnest($2::inet[], $3::bigint[]) as r (address, given) where a.address = r.address and a.reserve_of = $1 and a.reserve_grant = r.given'
  await tx.query(`update dhcp.address a set reserve_of = null, reserve_grant = null ${own} and a.mac is not null`, values)
  await tx.query(`delete from dhcp.address a using unnest($2::inet[], $3::bigint[]) as r (address, given) where a.address = r.address and a.reserve_of = $1 and a.reserve_grant = r.given and a.mac is null`, values)
}

export const reservesOf = (q: Query, rack: string): Promise<Reserved[]> =>
  q.query('select host(address) as address, subnet_id as subnet, reserve_grant as grant from dhcp.address where reserve_of = $1 order by dhcp.address.address', [rack])

/** Deletes what is free, so that its rows do not pile up. Gives how many. */
export const tidy = async (q: Query): Promise<number> => (await q.query(`delete from dhcp.address a where ${free} returning 1`)).length
