/** SQL of retirement: how a client's claim to an address comes to an end, and who is waited for. */
import type { Query, Tx } from '../../../core/plugin.ts'
import { restSeconds } from '../referee.ts'
import type { Retirement } from '../referee.ts'

/**
 * Begins to retire the claims to these addresses; `lapsed`: only those whose lease ended and has rested, and those of no reserve. `free`: nobody is waited for, so the address is free at once.
 * A rack that is told of a subnet at this moment either is waited for, or reads the bindings after this has committed (see `tells`).
 */
export async function beginRetirement (tx: Tx, addresses: readonly string[], lapsed: boolean): Promise<{ readonly address: string, readonly free: boolean }[]> {
  if (addresses.length === 0) return []
  await tx.query(`select pg_advisory_xact_lock_shared(hashtext('dhcp.told'))`)
  return tx.query(`
    with chosen as (
      select address from dhcp.address where address = any($1::inet[]) and mac is not null and retiring is null
        and (not $2 or (reserve_of is null and expires + interval '${restSeconds} seconds' <= now())) order by address for update
    )
    update dhcp.address a set retiring = nextval('dhcp.number'), waits_for = array(select t.rack from dhcp.told t where t.subnet_id = a.subnet_id order by t.rack)
    from chosen c where a.address = c.address
    returning host(a.address) as address, waits_for = '{}' and reserve_of is null and expires + interval '${restSeconds} seconds' <= now() as free`, [addresses, lapsed])
}

/** The longest lapsed of the ranges, at most `most`, less those that are retiring already. */
export async function retireLapsed (tx: Tx, ranges: readonly { readonly start: string, readonly end: string }[], taken: readonly string[], most: number): Promise<{ readonly address: string, readonly free: boolean }[]> {
  if (most <= 0) return []
  const lows = ranges.map(({ start }) => start)
  const highs = ranges.map(({ end }) => end)
  const lapsed = await tx.query<{ address: string }>(`
    select host(a.address) as address from unnest($1::inet[], $2::inet[]) as r (low, high) join dhcp.address a on a.address between r.low and r.high
    where a.mac is not null and a.retiring is null and a.reserve_of is null and a.expires + interval '${restSeconds} seconds' <= now() and a.address <> all($3::inet[])
    order by a.expires, a.address limit greatest(0, $4::bigint - (
      select count(*) from unnest($1::inet[], $2::inet[]) as r (low, high) join dhcp.address a on a.address between r.low and r.high where a.retiring is not null and a.expires <= now()))`,
  [lows, highs, taken, most])
  return beginRetirement(tx, lapsed.map(({ address }) => address), true)
}

export const retire = async (tx: Tx, addresses: readonly string[]): Promise<string[]> => (await beginRetirement(tx, addresses, false)).map(({ address }) => address)

export const forgotten = async (tx: Tx, rack: string, retirements: readonly { readonly address: string, readonly round: string }[]): Promise<string[]> =>
  retirements.length === 0
    ? []
    : (await tx.query<{ address: string }>(`
      update dhcp.address a set waits_for = array_remove(a.waits_for, $1) from unnest($2::inet[], $3::bigint[]) as f (address, round)
      where a.address = f.address and a.retiring = f.round and $1 = any(a.waits_for) returning host(a.address) as address`,
    [rack, retirements.map(({ address }) => address), retirements.map(({ round }) => round)])).map(({ address }) => address)

/** See Referee.heard. The two times never go back, though the clock of a database that takes over may. */
export async function heard (tx: Tx, rack: string, autonomySeconds = 0): Promise<{ readonly standing: string }> {
  const [row] = await tx.query<{ standing: string }>(`
    insert into dhcp.rack as r (rack, promised_until) values ($1, now() + $2 * interval '1 second')
    on conflict (rack) do update set heard_at = greatest(r.heard_at, now()), promised_until = greatest(r.promised_until, excluded.promised_until)
    returning standing`, [rack, autonomySeconds])
  return { standing: row?.standing ?? '' }
}

/** See Referee.giveUpOnSilent. The racks' rows are locked, so that one that is heard meanwhile is either seen here or gets the new standing. */
export async function giveUpOnSilent (tx: Tx, autonomySeconds: number): Promise<{ readonly racks: string[], readonly addresses: string[] }> {
  const racks = (await tx.query<{ rack: string }>(`
    update dhcp.rack r set standing = nextval('dhcp.number')
    where r.heard_at + $1 * interval '1 second' <= now() and r.promised_until <= now() and exists (select from dhcp.address a where a.retiring is not null and r.rack = any(a.waits_for))
    returning r.rack`, [autonomySeconds])).map(({ rack }) => rack)
  if (racks.length === 0) return { racks, addresses: [] }
  const addresses = await tx.query<{ address: string }>(`
    update dhcp.address a set waits_for = array(select w from unnest(a.waits_for) w where w <> all($1::text[]))
    where a.retiring is not null and a.waits_for && $1::text[] returning host(a.address) as address`, [racks])
  return { racks, addresses: addresses.map(({ address }) => address) }
}

/** See Referee.tells. Whoever begins a retirement holds the lock shared until it commits, so none is under way unseen when this returns and commits. */
export async function tells (tx: Tx, rack: string, subnets: readonly string[]): Promise<void> {
  if (await isTold(tx, rack, subnets)) return
  await tx.query(`select pg_advisory_xact_lock(hashtext('dhcp.told'))`)
  if ((await tx.query('insert into dhcp.rack (rack) values ($1) on conflict do nothing returning 1', [rack])).length > 0) await tx.changed('dhcp.rack', rack)
  await tx.query('insert into dhcp.told (rack, subnet_id) select $1, unnest($2::text[]) on conflict do nothing', [rack, subnets])
}

/** Whether it is noted that the rack is told of all these subnets. */
export const isTold = async (q: Query, rack: string, subnets: readonly string[]): Promise<boolean> =>
  subnets.length === 0 || Number((await q.query<{ n: string }>('select count(*) as n from dhcp.told where rack = $1 and subnet_id = any($2)', [rack, subnets]))[0]?.n) === new Set(subnets).size

export const retirementsOf = (q: Query, rack: string, addresses?: readonly string[]): Promise<Retirement[]> =>
  addresses === undefined
    ? q.query('select host(address) as address, subnet_id as subnet, retiring as round from dhcp.address where retiring is not null and $1 = any(waits_for) order by dhcp.address.address', [rack])
    : q.query('select host(address) as address, subnet_id as subnet, retiring as round from unnest($2::inet[]) as w (wanted) cross join lateral (select * from dhcp.address where address = wanted limit 1) a where retiring is not null and $1 = any(waits_for) order by a.address', [rack, addresses])

export const standingOf = async (q: Query, rack: string): Promise<string | undefined> =>
  (await q.query<{ standing: string }>('select standing from dhcp.rack where rack = $1', [rack]))[0]?.standing

/** Racks the referee knows of that are not among these controllers and were silent for so long that nothing they knew counts any more. */
export const goneRacks = async (tx: Tx, controllers: readonly string[], autonomySeconds: number): Promise<string[]> =>
  (await tx.query<{ rack: string }>(`select rack from dhcp.rack where rack <> all($1::text[]) and heard_at + $2 * interval '1 second' <= now() and promised_until <= now() for update`, [controllers, autonomySeconds])).map(({ rack }) => rack)

/** Forgets racks that are gone for good; nothing may wait for them any more. */
export async function forgetRacks (tx: Tx, racks: readonly string[]): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock(hashtext('dhcp.told'))`)
  await tx.query('delete from dhcp.told where rack = any($1)', [racks])
  await tx.query(`update dhcp.address set waits_for = array(select w from unnest(waits_for) w where w <> all($1::text[])) where retiring is not null and waits_for && $1::text[]`, [racks])
  await tx.query('delete from dhcp.former_journal where rack = any($1)', [racks])
  await tx.query('delete from dhcp.rack where rack = any($1)', [racks])
}
