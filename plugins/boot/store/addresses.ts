/** SQL of boot addresses: what operators want. */
import type { Query, Tx } from '../../../core/plugin.ts'

/** `auto`, `none` or an address in canonical text. */
export type Wish = string
export interface BootVlan { readonly id: string, readonly v4: Wish, readonly v6: Wish, readonly problem4: string | null, readonly problem6: string | null }

export const unset = (id: string): BootVlan => ({ id, v4: 'auto', v6: 'auto', problem4: null, problem6: null })

export const listBootVlans = (q: Query, ids?: readonly string[]): Promise<BootVlan[]> =>
  q.query<BootVlan>('select vlan_id as id, v4, v6, problem4, problem6 from boot.vlan where $1::text[] is null or vlan_id = any($1) order by vlan_id', [ids ?? null])

export async function saveBootVlan (tx: Tx, { id, v4, v6, problem4, problem6 }: BootVlan): Promise<void> {
  await tx.query(`insert into boot.vlan (vlan_id, v4, v6, problem4, problem6) values ($1, $2, $3, $4, $5)
    on conflict (vlan_id) do update set v4 = excluded.v4, v6 = excluded.v6, problem4 = excluded.problem4, problem6 = excluded.problem6`, [id, v4, v6, problem4, problem6])
}

/** Forgets VLANs that the network's plan has no more. */
export const dropBootVlans = (tx: Tx, kept: readonly string[]): Promise<unknown> => tx.query('delete from boot.vlan where vlan_id <> all($1::text[])', [kept])

/** One change of boot addresses at a time, until the transaction ends. */
export const lockBootVlans = (tx: Tx): Promise<unknown> => tx.query('select pg_advisory_xact_lock(hashtextextended(\'boot.vlan\', 0))')
