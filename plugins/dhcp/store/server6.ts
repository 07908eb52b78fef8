/** SQL of DHCPv6: who its server is. */
import type { Query } from '../../../core/plugin.ts'

/** The UUID in the DUID of the one server that all racks are. */
export const server6 = async (q: Query): Promise<string> => (await q.query<{ id: string }>('select id::text from dhcp.server6'))[0]?.id ?? '00000000-0000-0000-0000-000000000000'
