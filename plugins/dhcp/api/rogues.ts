/** /rogues: foreign DHCP servers that racks heard. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database } from '../../../core/plugin.ts'
import { listRogues } from '../store/rogues.ts'

const Rogue = Type.Object({
  vlan: Type.String(),
  address: Type.String({ description: 'its server identifier, else the address it sends from' }),
  mac: Type.String({ description: 'where its frames come from' }),
  rack: Type.String({ description: 'the rack that heard it' }),
  firstSeen: Type.String(), lastSeen: Type.String(),
  active: Type.Boolean({ description: 'heard since the last probes' })
})

/** `probeSeconds`: how often racks ask. */
export const rogueRoutes = (db: Database, probeSeconds: number): FastifyPluginAsyncTypebox => async app => {
  app.get('/rogues', {
    schema: {
      tags: ['dhcp'],
      summary: 'Foreign DHCP servers that racks heard on VLANs they serve, lately heard first',
      querystring: Type.Object({ vlan: Type.Optional(Type.String()), active: Type.Optional(Type.Boolean({ description: 'only those heard since the last probes, or only the others' })) }),
      response: { 200: Type.Object({ items: Type.Array(Rogue) }) }
    }
  }, async ({ query: { vlan, active } }) => ({
    items: (await listRogues(db, { vlan, seconds: Math.max(60, probeSeconds * 3) }))
      .filter(one => active === undefined || one.active === active)
      .map(({ firstSeen, lastSeen, ...rest }) => ({ ...rest, firstSeen: firstSeen.toISOString(), lastSeen: lastSeen.toISOString() }))
  }))
}
