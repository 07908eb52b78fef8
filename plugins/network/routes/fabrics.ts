/** /fabrics: networks that do not touch each other. A fabric is made with its untagged VLAN. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database } from '../../../core/plugin.ts'
import { deleteFabric, fabricNamed, findFabric, insertFabric, insertVlan, listFabrics, listSubnets, listVlans, lockPlan, updateFabric } from '../store.ts'
import { ById, found, Id, Name, page, refuse } from './page.ts'

const Fabric = Type.Object({ id: Id, name: Name })
const Body = Type.Object({ name: Name })

export const fabricRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/fabrics', { schema: { summary: 'List fabrics', querystring: app.pageQuery, response: { 200: app.pageOf(Fabric) } } }, async ({ query }) =>
    page(await listFabrics(db, { ...query, limit: query.limit + 1 }), query.limit, ({ id }) => id))

  app.get('/fabrics/:id', { schema: { summary: 'Show a fabric', params: ById, response: { 200: Fabric } } }, async ({ params: { id } }, reply) => {
    const fabric = found(await findFabric(db, id), 'fabric', id)
    void reply.etag(fabric)
    return fabric
  })

  app.post('/fabrics', { schema: { summary: 'Make a fabric with its untagged VLAN', body: Body, response: { 201: Fabric } } }, async ({ body: { name } }, reply) => {
    const id = await db.tx(async tx => {
      await lockPlan(tx)
      if (await fabricNamed(tx, name) !== undefined) refuse(`There is a fabric "${name}" already.`)
      const made = await insertFabric(tx, name)
      await tx.changed('network.vlan', await insertVlan(tx, { fabricId: made, vid: 0, name: 'untagged', mtu: 1500 }))
      return made
    })
    return reply.code(201).send({ id, name })
  })

  app.patch('/fabrics/:id', { schema: { summary: 'Rename a fabric', params: ById, body: Body, response: { 200: Fabric } } }, async request => {
    const { params: { id }, body: { name } } = request
    return await db.tx(async tx => {
      await lockPlan(tx)
      const old = found(await findFabric(tx, id), 'fabric', id)
      request.requireMatch(old, 'fabric', id)
      const other = await fabricNamed(tx, name)
      if (other !== undefined && other.id !== id) refuse(`There is a fabric "${name}" already.`)
      await updateFabric(tx, { id, name })
      return { id, name }
    })
  })

  app.delete('/fabrics/:id', { schema: { summary: 'Delete a fabric without subnets', params: ById, response: { 204: Type.Null() } } }, async ({ params: { id } }, reply) => {
    await db.tx(async tx => {
      await lockPlan(tx)
      const { name } = found(await findFabric(tx, id), 'fabric', id)
      const vlans = await listVlans(tx, { fabricId: id })
      for (const vlan of vlans) {
        const [subnet] = await listSubnets(tx, { vlanId: vlan.id, limit: 1 })
        if (subnet !== undefined) refuse(`Fabric "${name}" still has subnet ${subnet.cidr} on VLAN ${vlan.vid}. Delete or move the subnet first.`)
      }
      await deleteFabric(tx, id)
      for (const vlan of vlans) await tx.changed('network.vlan', vlan.id)
    })
    return reply.code(204).send(null)
  })
}
