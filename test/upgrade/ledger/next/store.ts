/** SQL of the ledger, as version N+1 has it: an entry has a text. Works before and after the contract. */
import type { Query } from '../../../../core/plugin.ts'

export interface Kept { readonly id: string, readonly note: string }

export const keep = async (db: Query, { id, note }: Kept): Promise<void> => { await db.query('insert into ledger.entry (id, text) values ($1, $2) on conflict (id) do update set text = excluded.text', [id, note]) }
export const find = async (db: Query, id: string): Promise<Kept | undefined> => (await db.query<Kept>('select id, text as note from ledger.entry where id = $1', [id]))[0]
export const tick = async (db: Query, rack: string, numbers: readonly number[]): Promise<void> => {
  await db.query('insert into ledger.tick (rack, n) select $1, n from unnest($2::bigint[]) as t(n) on conflict (rack, n) do update set times = ledger.tick.times + 1', [rack, numbers])
}
