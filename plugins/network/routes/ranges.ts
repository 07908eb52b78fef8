/** /ranges: parts of a subnet kept for DHCP (dynamic) or for what Bedplate does not manage (reserved). */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database, Tx } from '../../../core/plugin.ts'
import { normaliseIp } from '../address.ts'
import { checkRange } from '../plan.ts'
import { deleteRange, findRange, findSubnet, insertRange, listRanges, lockPlan, lockSubnet, takenBetween, updateRange } from '../store.ts'
import type { SubnetRange } from '../store.ts'
import { ById, found, Id, page } from './page.ts'

const Kind = Type.Enum(['dynamic', 'reserved'], { description: 'dynamic: DHCP leases come from here; reserved: nothing is given from here' })
const Ip = Type.String({ maxLength: 45, description: 'IPv4 or IPv6 address' })
const Comment = Type.String({ maxLength: 500 })
export const Range = Type.Object({ id: Id, kind: Kind, start: Ip, end: Ip, comment: Comment })
const WithSubnet = Type.Object({ ...Range.properties, subnetId: Id })
const Body = Type.Object({ subnetId: Id, kind: Kind, start: Ip, end: Ip, comment: Type.Optional(Comment) })
const Changes = Type.Partial(Type.Object({ kind: Kind, start: Ip, end: Ip, comment: Comment }))

/** Checks the wish against its subnet, which stays as it is until the transaction ends. Gives it in canonical spelling. */
async function checked<W extends Omit<SubnetRange, 'id'> & { readonly id?: string }> (tx: Tx, wish: W): Promise<W> {
  await lockSubnet(tx, wish.subnetId)
  const subnet = found(await findSubnet(tx, wish.subnetId), 'subnet', wish.subnetId)
  const range = { ...wish, start: normaliseIp(wish.start), end: normaliseIp(wish.end) }
  checkRange(range, subnet, await takenBetween(tx, subnet.id, range.start, range.end, range.kind === 'dynamic')) // a rack's own address may be set aside
  return range
}

export const rangeRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/ranges', { schema: { summary: 'List ranges', querystring: Type.Object({ ...app.pageQuery.properties, subnetId: Type.Optional(Id) }), response: { 200: app.pageOf(WithSubnet) } } }, async ({ query }) =>
    page(await listRanges(db, { ...query, limit: query.limit + 1 }), query.limit, ({ id }) => id))

  app.get('/ranges/:id', { schema: { summary: 'Show a range', params: ById, response: { 200: WithSubnet } } }, async ({ params: { id } }, reply) => {
    const range = found(await findRange(db, id), 'range', id)
    void reply.etag(range)
    return range
  })

  app.post('/ranges', { schema: { summary: 'Add a range to a subnet', body: Body, response: { 201: WithSubnet } } }, async ({ body }, reply) => {
    const made = await db.tx(async tx => {
      await lockPlan(tx)
      const range = await checked(tx, { comment: '', ...body })
      const id = await insertRange(tx, range)
      await tx.changed('network.subnet', range.subnetId)
      return { ...range, id }
    })
    return reply.code(201).send(made)
  })

  app.patch('/ranges/:id', { schema: { summary: 'Change a range', params: ById, body: Changes, response: { 200: WithSubnet } } }, async request => {
    const { params: { id }, body } = request
    return await db.tx(async tx => {
      await lockPlan(tx)
      const old = found(await findRange(tx, id), 'range', id)
      request.requireMatch(old, 'range', id)
      const range = await checked(tx, { ...old, ...body })
      await updateRange(tx, range)
      await tx.changed('network.subnet', range.subnetId)
      return range
    })
  })

  app.delete('/ranges/:id', { schema: { summary: 'Delete a range', params: ById, response: { 204: Type.Null() } } }, async ({ params: { id } }, reply) => {
    await db.tx(async tx => {
      await lockPlan(tx)
      const range = found(await findRange(tx, id), 'range', id)
      await lockSubnet(tx, range.subnetId)
      await deleteRange(tx, id)
      await tx.changed('network.subnet', range.subnetId)
    })
    return reply.code(204).send(null)
  })
}
