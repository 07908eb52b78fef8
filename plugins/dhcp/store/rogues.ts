/** SQL of the foreign DHCP servers that racks heard. */
import type { Query, Tx } from '../../../core/plugin.ts'

export interface HeardRogue { readonly vlan: string, readonly address: string, readonly mac: string, readonly at: string }
export interface StoredRogue { readonly vlan: string, readonly address: string, readonly mac: string, readonly rack: string, readonly firstSeen: Date, readonly lastSeen: Date, readonly active: boolean }

/** Notes when a rack heard them: `at` by its clock, and never later than now. Those nobody has heard for 90 days are forgotten. */
export async function saveRogues (tx: Tx, rack: string, heard: readonly HeardRogue[]): Promise<void> {
  if (heard.length === 0) return
  await tx.query(`
    insert into dhcp.rogue as r (vlan_id, address, mac, rack, first_seen, last_seen)
    select h.vlan_id, h.address, h.mac, $1, least(min(h.at), now()), least(max(h.at), now())
    from unnest($2::text[], $3::inet[], $4::text[], $5::timestamptz[]) as h (vlan_id, address, mac, at)
    group by h.vlan_id, h.address, h.mac order by h.vlan_id, h.address, h.mac
    on conflict (vlan_id, address, mac, rack) do update set first_seen = least(r.first_seen, excluded.first_seen), last_seen = greatest(r.last_seen, excluded.last_seen)`,
  [rack, heard.map(({ vlan }) => vlan), heard.map(({ address }) => address), heard.map(({ mac }) => mac), heard.map(({ at }) => at)])
  await tx.query(`delete from dhcp.rogue where last_seen < now() - interval '90 days'`)
}

/** Lately heard first. `active`: heard within the last `seconds`. */
export const listRogues = (q: Query, { vlan, seconds }: { readonly vlan?: string | undefined, readonly seconds: number }): Promise<StoredRogue[]> =>
  q.query(`
    select vlan_id as vlan, host(address) as address, mac, rack, first_seen as "firstSeen", last_seen as "lastSeen", last_seen > now() - $2 * interval '1 second' as active
    from dhcp.rogue where $1::text is null or vlan_id = $1 order by last_seen desc, vlan_id, dhcp.rogue.address, mac, rack limit 1000`, [vlan ?? null, seconds])
