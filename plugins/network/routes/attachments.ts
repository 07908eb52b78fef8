/** /attachments: which rack touches which VLAN, and which of the racks' addresses lie in no subnet yet. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database } from '../../../core/plugin.ts'
import { listAttachments, listUnattached } from '../store.ts'
import { Id } from './page.ts'

const seen = { rack: Type.String(), interface: Type.String(), mac: Type.String(), address: Type.String() }
const Attachments = Type.Object({
  items: Type.Array(Type.Object({ ...seen, vlanId: Id, subnetId: Id })),
  unattached: Type.Array(Type.Object({ ...seen, cidr: Type.String(), hint: Type.String() }))
})

export const attachmentRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/attachments', { schema: { summary: 'Which rack touches which VLAN', querystring: Type.Object({ rack: Type.Optional(Type.String()), vlanId: Type.Optional(Id) }), response: { 200: Attachments } } }, async ({ query }) => ({
    items: await listAttachments(db, query),
    unattached: (await listUnattached(db)).filter(({ rack }) => query.rack === undefined || query.rack === rack).map(address => ({
      ...address, hint: `No subnet holds ${address.address}. To use this interface, add its subnet: bedplate subnet create ${address.cidr}`
    }))
  }))
}
