/** /vlans: the segments of a fabric. VLAN 0 is the untagged one, which every fabric has. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database, Tx } from '../../../core/plugin.ts'
import type { Vlan as VlanRow } from '../manifest.ts'
import { deleteVlan, findFabric, findVlan, insertVlan, listSubnets, listVlans, lockPlan, updateVlan } from '../store.ts'
import { ById, found, Id, Name, page, refuse } from './page.ts'

const fields = {
  fabricId: Id,
  vid: Type.Integer({ minimum: 0, maximum: 4094, description: '802.1Q VLAN id; 0 is untagged' }),
  name: Name,
  mtu: Type.Integer({ minimum: 552, maximum: 65535, default: 1500, description: 'bytes' })
}
const Vlan = Type.Object({ id: Id, ...fields })
const Changes = Type.Partial(Type.Object({ ...fields, mtu: Type.Integer({ minimum: 552, maximum: 65535 }) }))

async function check (tx: Tx, wish: Omit<VlanRow, 'id'> & { readonly id?: string }): Promise<void> {
  const fabric = found(await findFabric(tx, wish.fabricId), 'fabric', wish.fabricId)
  const other = (await listVlans(tx, { fabricId: wish.fabricId })).find(vlan => vlan.vid === wish.vid && vlan.id !== wish.id)
  if (other !== undefined) refuse(`Fabric "${fabric.name}" has VLAN ${wish.vid} already, named "${other.name}".`)
}

export const vlanRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/vlans', { schema: { summary: 'List VLANs', querystring: Type.Object({ ...app.pageQuery.properties, fabricId: Type.Optional(Id) }), response: { 200: app.pageOf(Vlan) } } }, async ({ query }) =>
    page(await listVlans(db, { ...query, limit: query.limit + 1 }), query.limit, ({ id }) => id))

  app.get('/vlans/:id', { schema: { summary: 'Show a VLAN', params: ById, response: { 200: Vlan } } }, async ({ params: { id } }, reply) => {
    const vlan = found(await findVlan(db, id), 'VLAN', id)
    void reply.etag(vlan)
    return vlan
  })

  app.post('/vlans', { schema: { summary: 'Make a VLAN', body: Type.Object(fields), response: { 201: Vlan } } }, async ({ body }, reply) => {
    const id = await db.tx(async tx => {
      await lockPlan(tx)
      await check(tx, body)
      const made = await insertVlan(tx, body)
      await tx.changed('network.vlan', made)
      return made
    })
    return reply.code(201).send({ id, ...body })
  })

  app.patch('/vlans/:id', { schema: { summary: 'Change a VLAN', params: ById, body: Changes, response: { 200: Vlan } } }, async request => {
    const { params: { id }, body } = request
    return await db.tx(async tx => {
      await lockPlan(tx)
      const old = found(await findVlan(tx, id), 'VLAN', id)
      request.requireMatch(old, 'VLAN', id)
      const wish = { ...old, ...body }
      if (old.vid === 0 && (wish.vid !== 0 || wish.fabricId !== old.fabricId)) refuse(`VLAN "${old.name}" is the untagged VLAN of its fabric and stays that.`)
      await check(tx, wish)
      await updateVlan(tx, wish)
      await tx.changed('network.vlan', id)
      return wish
    })
  })

  app.delete('/vlans/:id', { schema: { summary: 'Delete a VLAN without subnets', params: ById, response: { 204: Type.Null() } } }, async ({ params: { id } }, reply) => {
    await db.tx(async tx => {
      await lockPlan(tx)
      const vlan = found(await findVlan(tx, id), 'VLAN', id)
      if (vlan.vid === 0) refuse(`VLAN "${vlan.name}" is the untagged VLAN of its fabric; delete the fabric instead.`)
      const [subnet] = await listSubnets(tx, { vlanId: id, limit: 1 })
      if (subnet !== undefined) refuse(`VLAN ${vlan.vid} "${vlan.name}" still has subnet ${subnet.cidr}. Delete or move the subnet first.`)
      await deleteVlan(tx, id)
      await tx.changed('network.vlan', id)
    })
    return reply.code(204).send(null)
  })
}
