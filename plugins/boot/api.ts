/** /api/v1/boot: kernel options of what boots over the network, and the boot addresses of VLANs. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Database } from '../../core/plugin.ts'
import type { MachineService } from '../machines/manifest.ts'
import { optionRoutes } from './api/options.ts'
import { vlanRoutes } from './api/vlans.ts'
import type { Plan } from './region/addresses.ts'

export const routes = (db: Database, machines: MachineService, plan: Plan): FastifyPluginAsyncTypebox => async app => {
  await app.register(optionRoutes(db, machines))
  await app.register(vlanRoutes(db, plan))
}
