/** provision, the rack half: hands scripts and metadata to machines that hold a token, and takes what they say into the outbox. */
import { defineRack } from '../../core/plugin.ts'
import { manifest } from './manifest.ts'
import { createRoutes } from './routes.ts'
import { createTold } from './told.ts'
import { createWanted } from './wanted.ts'

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup ({ report }) {
    const wanted = createWanted()
    return { provides: {}, rpc: {}, services: [], apply: wanted.apply, routes: createRoutes(wanted, report, createTold()) }
  }
})
