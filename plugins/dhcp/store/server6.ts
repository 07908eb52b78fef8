/** SQL of DHCPv6: who its server is, and what it forgets. */
import type { Query, Tx } from '../../../core/plugin.ts'
import { beginRetirement } from './retirement.ts'

/** The UUID in the DUID of the one server that all racks are. */
export const server6 = async (q: Query): Promise<string> => (await q.query<{ id: string }>('select id::text from dhcp.server6'))[0]?.id ?? '00000000-0000-0000-0000-000000000000'

/** Begins to retire bindings of IPv6 that lapsed more than `days` ago, some at a time: nobody else will want their addresses. Gives those. */
export async function retireOld6 (tx: Tx, days: number): Promise<string[]> {
  const old = await tx.query<{ address: string }>(`
    select host(address) as address from dhcp.address
    where family(address) = 6 and mac is not null and retiring is null and reserve_of is null and expires < now() - $1 * interval '1 day' order by expires limit 1000`, [days])
  return (await beginRetirement(tx, old.map(({ address }) => address), true)).map(({ address }) => address)
}
