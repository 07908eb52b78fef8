/** Free addresses of which there is no row at all: those above the highest one of a range that was ever given. Found without looking at the others. */
import type { Query } from '../../../core/plugin.ts'

export interface UnusedOptions { readonly ranges: readonly { readonly start: string, readonly end: string }[], readonly taken: readonly string[], readonly racks: number, readonly most: number }

/**
 * Gives a rack `most` such addresses for its block; none when there are not enough for every rack to be given as many: then it takes
 * the whole search, which shares what is left. Cost is that of what is given, however large the ranges. The caller holds the subnet's lock for grants.
 */
export const grantUnused = async (q: Query, rack: string, subnet: string, { ranges, taken, racks, most }: UnusedOptions): Promise<string[]> =>
  (await q.query<{ address: string }>(`
    with tail as (
      select r.place, r.high, coalesce((select a.address + 1 from dhcp.address a where a.address between r.low and r.high order by a.address desc limit 1), r.low) as low
      from unnest($3::inet[], $4::inet[]) with ordinality as r (low, high, place)
    ), chosen as (
      select t.low + n as address from tail t cross join lateral generate_series(0, least(t.high - t.low, $6::bigint + cardinality($5::inet[]))) as n
      where (select sum(greatest(0, high - low + 1)) from tail) >= $6::bigint * $7::integer + cardinality($5::inet[]) and t.low + n <> all($5::inet[])
      order by t.place, n limit $6
    ), given as (
      insert into dhcp.address (address, subnet_id, rack, granted_at) select address, $2, $1, now() from chosen on conflict (address) do nothing returning address
    ) select host(address) as address from given order by given.address`,
  [rack, subnet, ranges.map(({ start }) => start), ranges.map(({ end }) => end), taken, most, racks])).map(({ address }) => address)
