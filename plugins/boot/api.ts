/** /api/v1/boot: kernel options of what boots over the network. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Database } from '../../core/plugin.ts'
import type { MachineService } from '../machines/manifest.ts'
import { optionRoutes } from './api/options.ts'

export const routes = (db: Database, machines: MachineService): FastifyPluginAsyncTypebox => async app => {
  await app.register(optionRoutes(db, machines))
}
