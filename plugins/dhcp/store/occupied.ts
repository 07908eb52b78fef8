/** SQL of addresses that were found in use by somebody who has no lease of them. */
import type { Tx } from '../../../core/plugin.ts'

/** Keeps addresses of this rack's own block from everybody for a while. One that is bound, or another's, stays as it is. Names the subnets whose blocks changed. */
export const setAside = async (tx: Tx, rack: string, addresses: readonly string[], seconds: number): Promise<string[]> => {
  if (addresses.length === 0) return []
  const rows = await tx.query<{ subnet: string }>(`
    update dhcp.address set rack = null, granted_at = null, quarantined_until = now() + $3 * interval '1 second'
    where rack = $1 and address = any($2::inet[]) returning subnet_id as subnet`, [rack, addresses, seconds])
  return [...new Set(rows.map(({ subnet }) => subnet))]
}
