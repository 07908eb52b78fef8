/** SQL of the relays' ports that clients are on. */
import type { Tx } from '../../../core/plugin.ts'
import type { Wish } from '../manifest.ts'

/** Notes the ports of these wishes, which were stored. One statement, and no row is written where nothing changed: most often a lease is extended past the relay. */
export async function notePorts (tx: Tx, wishes: readonly Wish[]): Promise<void> {
  const seen = [...new Map(wishes.flatMap(wish => wish.relay === undefined ? [] : [[wish.address, { ...wish, ...wish.relay }]])).values()].sort((one, other) => one.address < other.address ? -1 : 1)
  if (seen.length === 0) return
  await tx.query(`
    insert into dhcp.relay_port as p (address, client, circuit_id, remote_id) select * from unnest($1::inet[], $2::text[], $3::text[], $4::text[])
    on conflict (address) do update set client = excluded.client, circuit_id = excluded.circuit_id, remote_id = excluded.remote_id, seen_at = now()
    where (p.client, p.circuit_id, p.remote_id) is distinct from (excluded.client, excluded.circuit_id, excluded.remote_id)`,
  [seen.map(({ address }) => address), seen.map(({ client }) => client), seen.map(({ circuitId }) => circuitId), seen.map(({ remoteId }) => remoteId)])
}
