/** SQL of operators' own options. */
import type { Query, Tx } from '../../../core/plugin.ts'

/** `scope`: global, subnet:<id> or mac:<mac>. `data`: the value's bytes, in hex. `type`: of a code the registry does not know. */
export interface StoredOption { readonly scope: string, readonly code: number, readonly name: string, readonly type: string | null, readonly value: unknown, readonly data: string }
export interface OptionFilter { readonly scopes?: readonly string[] | undefined, readonly code?: number | undefined, readonly after?: readonly [scope: string, code: number] | undefined, readonly limit?: number | undefined }

/** By scope and code. */
export const listOptions = (q: Query, { scopes, code, after, limit }: OptionFilter = {}): Promise<StoredOption[]> =>
  q.query(`select scope, code, name, type, value, encode(data, 'hex') as data from dhcp.option
    where ($1::text[] is null or scope = any($1)) and ($2::integer is null or code = $2) and ($3::text is null or (scope, code) > ($3, $4::integer))
    order by scope, code limit $5`, [scopes ?? null, code ?? null, after?.[0] ?? null, after?.[1] ?? null, limit ?? 1_000_000])

export async function saveOption (tx: Tx, { scope, code, name, type, value, data }: StoredOption): Promise<void> {
  await tx.query(`insert into dhcp.option (scope, code, name, type, value, data) values ($1, $2, $3, $4, $5, decode($6, 'hex'))
    on conflict (scope, code) do update set name = excluded.name, type = excluded.type, value = excluded.value, data = excluded.data`,
  [scope, code, name, type, JSON.stringify(value), data])
}

export const removeOption = async (tx: Tx, scope: string, code: number): Promise<boolean> =>
  (await tx.query('delete from dhcp.option where scope = $1 and code = $2 returning 1', [scope, code])).length > 0
