/** SQL of claims: an address that is set aside for a client has a row that says so, as if the client had had it. */
import type { Tx } from '../../../core/plugin.ts'
import { free } from './binding.ts'
import { beginRetirement } from './retirement.ts'

export interface Claim { readonly address: string, readonly subnet: string, readonly client: string }

/**
 * Notes for whom these addresses are set aside, so that racks are told, and may give them alone; the claim of whoever else had one begins to retire. Repeatable:
 * what cannot be noted yet (somebody's lease has not ended, a rack has not forgotten it, it is in a reserve) is noted when it is called again. Gives the addresses changed.
 */
export async function claim (tx: Tx, claims: readonly Claim[]): Promise<string[]> {
  if (claims.length === 0) return []
  const values = [claims.map(({ address }) => address), claims.map(({ subnet }) => subnet), claims.map(({ client }) => client)]
  const others = await tx.query<{ address: string }>(`
    select host(a.address) as address from unnest($1::inet[], $2::text[], $3::text[]) as c (address, subnet_id, client) join dhcp.address a using (address)
    where a.mac is not null and a.retiring is null and (a.mac <> c.client or a.subnet_id <> c.subnet_id)`, values)
  const begun = await beginRetirement(tx, others.map(({ address }) => address), false)
  const noted = await tx.query<{ address: string }>(`
    with c as (
      select c.* from unnest($1::inet[], $2::text[], $3::text[]) as c (address, subnet_id, client) left join dhcp.address a using (address)
      where a.address is null or a.rack is not null or ${free} order by c.address
    )
    insert into dhcp.address as a (address, subnet_id, mac, bound_at, expires) select address, subnet_id, client, now(), now() from c
    on conflict (address) do update set client_id = null, hostname = null, rack = null, granted_at = null, quarantined_until = null, retiring = null, waits_for = '{}',
      subnet_id = excluded.subnet_id, mac = excluded.mac, bound_at = excluded.bound_at, expires = excluded.expires, since = excluded.bound_at, number = nextval('dhcp.number')
    where a.rack is not null or ${free}
    returning host(address) as address`, values)
  return [...begun, ...noted].map(({ address }) => address)
}
