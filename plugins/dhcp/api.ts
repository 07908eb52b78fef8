/** /api/v1/dhcp: VLANs, subnets, options, fixed addresses, leases and their history, and the import of another server's configuration. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Database } from '../../core/plugin.ts'
import type { NetworkService } from '../network/manifest.ts'
import { bindingRoutes } from './api/bindings.ts'
import { fixedRoutes } from './api/fixed.ts'
import { importRoutes } from './api/import.ts'
import { leaseRoutes } from './api/leases.ts'
import { optionRoutes } from './api/options.ts'
import { checkStorable } from './api/storable.ts'
import { rogueRoutes } from './api/rogues.ts'
import { subnetRoutes } from './api/subnets.ts'
import { vlanRoutes } from './api/vlans.ts'

export const routes = (db: Database, network: NetworkService, { rogueProbeSeconds }: { readonly rogueProbeSeconds: number }): FastifyPluginAsyncTypebox => async app => {
  app.addHook('preValidation', async ({ params, query, body }) => {
    checkStorable('address', params)
    checkStorable('query', query)
    checkStorable('body', body)
  })
  for (const part of [vlanRoutes, subnetRoutes, optionRoutes, fixedRoutes, leaseRoutes, bindingRoutes, importRoutes]) await app.register(part(db, network))
  await app.register(rogueRoutes(db, rogueProbeSeconds))
}
