/** /addresses: what is given to machines, and what is set aside by hand. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database } from '../../../core/plugin.ts'
import { normaliseIp, normaliseMac } from '../address.ts'
import { allocate, release } from '../allocation.ts'
import { listAddresses, renameAddress } from '../store.ts'
import { found, Id, page, refuse } from './page.ts'

const Text = (description: string) => Type.String({ minLength: 1, maxLength: 200, description })
const OrNull = (description: string) => Type.Union([Text(description), Type.Null()])
const Address = Type.Object({
  address: Type.String(), subnetId: Id, kind: Type.Enum(['auto', 'sticky', 'reserved']), mac: OrNull('of the interface that has it'), owner: OrNull('who it is given to, for example a machine'), hostname: OrNull('name it is known under')
})
const ByAddress = Type.Object({ address: Type.String({ maxLength: 45 }) })
const filters = { subnetId: Type.Optional(Id), mac: Type.Optional(Text('any common form')), owner: Type.Optional(Text('owner')) }
const Hostname = Type.String({ minLength: 1, maxLength: 253, pattern: '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$' })

export const addressRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/addresses', { schema: { summary: 'List addresses in use', querystring: Type.Object({ ...app.pageQuery.properties, ...filters }), response: { 200: app.pageOf(Address) } } }, async ({ query: { limit, after, subnetId, mac, owner } }) =>
    page(await listAddresses(db, { owner, ...subnetId === undefined ? {} : { subnetIds: [subnetId] }, ...mac === undefined ? {} : { macs: [normaliseMac(mac)] } },
      { limit: limit + 1, after: after === undefined ? after : normaliseIp(after) }), limit, ({ address }) => address))

  app.get('/addresses/:address', { schema: { summary: 'Show an address in use', params: ByAddress, response: { 200: Address } } }, async ({ params: { address } }) =>
    found((await listAddresses(db, { addresses: [normaliseIp(address)] }))[0], 'address', address))

  app.post('/addresses', {
    schema: {
      summary: 'Set an address aside, a certain one or the next free one',
      body: Type.Object({ subnetId: Id, address: Type.Optional(Type.String({ maxLength: 45 })), mac: Type.Optional(Text('any common form')), hostname: Type.Optional(Hostname) }),
      response: { 201: Address }
    }
  }, async ({ body }, reply) => reply.code(201).send(await db.tx(tx => allocate(tx, { ...body, kind: 'reserved' }))))

  app.patch('/addresses/:address', { schema: { summary: 'Name an address in use', params: ByAddress, body: Type.Object({ hostname: Type.Union([Hostname, Type.Null()]) }), response: { 200: Address } } }, async ({ params, body: { hostname } }) => {
    const address = normaliseIp(params.address)
    return await db.tx(async tx => {
      await renameAddress(tx, address, hostname)
      await tx.changed('network.address', address)
      return found((await listAddresses(tx, { addresses: [address] }))[0], 'address', address)
    })
  })

  app.delete('/addresses/:address', { schema: { summary: 'Take back an address that was set aside by hand', params: ByAddress, response: { 204: Type.Null() } } }, async ({ params }, reply) => {
    const address = normaliseIp(params.address)
    await db.tx(async tx => {
      const { kind, owner } = found((await listAddresses(tx, { addresses: [address] }))[0], 'address', address)
      if (owner !== null && kind === 'auto') refuse(`Address ${address} is given to ${owner} for its deployment; release the machine instead.`)
      await release(tx, { address })
    })
    return reply.code(204).send(null)
  })
}
