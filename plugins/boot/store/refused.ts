/** SQL of network cards whose firmware has refused iPXE. */
import type { Query, Tx } from '../../../core/plugin.ts'

/** Those of the MACs, or of all. */
export const refusedMacs = async (q: Query, macs?: readonly string[]): Promise<ReadonlySet<string>> =>
  new Set((await q.query<{ mac: string }>('select mac from boot.refused where $1::text[] is null or mac = any($1)', [macs ?? null])).map(({ mac }) => mac))

/** True when it was not known. */
export const addRefused = async (tx: Tx, mac: string): Promise<boolean> => (await tx.query('insert into boot.refused (mac) values ($1) on conflict do nothing returning 1', [mac])).length > 0

/** Forgets these; those of them that were known. */
export const removeRefused = async (tx: Tx, macs: readonly string[]): Promise<string[]> =>
  (await tx.query<{ mac: string }>('delete from boot.refused where mac = any($1::text[]) returning mac', [macs])).map(({ mac }) => mac)

/** Forgets the oldest beyond `most`; which they were. */
export const trimRefused = async (tx: Tx, most: number): Promise<string[]> =>
  (await tx.query<{ mac: string }>('delete from boot.refused where mac in (select mac from boot.refused order by at desc, mac offset $1) returning mac', [most])).map(({ mac }) => mac)
