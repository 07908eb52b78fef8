/** /api/v1/network: fabrics, VLANs, subnets, ranges, addresses, and the racks' attachments. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Database } from '../../core/plugin.ts'
import { addressRoutes } from './routes/addresses.ts'
import { attachmentRoutes } from './routes/attachments.ts'
import { fabricRoutes } from './routes/fabrics.ts'
import { rangeRoutes } from './routes/ranges.ts'
import { subnetRoutes } from './routes/subnets.ts'
import { vlanRoutes } from './routes/vlans.ts'

export const routes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  for (const part of [fabricRoutes, vlanRoutes, subnetRoutes, rangeRoutes, addressRoutes, attachmentRoutes]) await app.register(part(db))
}
