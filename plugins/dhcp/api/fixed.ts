/** /fixed: addresses that belong to a client id. Those of MACs are the network's (`/network/addresses`). */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { clientIdOf, fix, fixedAddresses, unfix } from '../config/fixed.ts'
import { lockSettings } from '../store/settings.ts'
import { canonicalIp } from '../v6/ipv6.ts'

const tags = ['dhcp']
const Hostname = Type.String({ minLength: 1, maxLength: 253, pattern: '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$' })
const Fixed = Type.Object({ address: Type.String(), subnetId: Type.String(), clientId: Type.String({ description: 'hex, as on the wire' }), hostname: Type.Union([Type.String(), Type.Null()]) })
const ByAddress = Type.Object({ address: Type.String({ maxLength: 45 }) })
const nothing = (address: string) => new BedplateError('NOT_FOUND', { what: 'fixed address', id: address })

export const fixedRoutes = (db: Database, network: NetworkService): FastifyPluginAsyncTypebox => async app => {
  app.get('/fixed', { schema: { tags, summary: 'Addresses that belong to a client id, by address', querystring: app.pageQuery, response: { 200: app.pageOf(Fixed) } } }, async ({ query: { limit, after } }) => {
    const found = await fixedAddresses(db, network, after === undefined ? {} : { after: canonicalIp(after) })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, ...found.length > limit && last !== undefined ? { next: last.address } : {} }
  })

  app.get('/fixed/:address', { schema: { tags, summary: 'An address that belongs to a client id', params: ByAddress, response: { 200: Fixed } } }, async ({ params }, reply) => {
    const address = canonicalIp(params.address)
    const [found] = await fixedAddresses(db, network, { addresses: [address] })
    if (found === undefined) throw nothing(address)
    void reply.etag(found)
    return found
  })

  app.put('/fixed/:address', {
    schema: {
      tags,
      summary: 'Give an address to a client id for good',
      params: ByAddress,
      body: Type.Object({ clientId: Type.String({ maxLength: 800, description: 'hex with or without colons, or a text in double quotes' }), hostname: Type.Optional(Type.Union([Hostname, Type.Null()])) }, { additionalProperties: false }),
      response: { 200: Fixed }
    }
  }, async (request, reply) => {
    const address = canonicalIp(request.params.address)
    const clientId = clientIdOf(request.body.clientId)
    const fixed = await db.tx(async tx => {
      await lockSettings(tx)
      request.requireMatch((await fixedAddresses(tx, network, { addresses: [address] }))[0] ?? null, 'fixed address', address)
      return await fix(tx, network, { address, clientId, hostname: request.body.hostname ?? null })
    })
    void reply.etag(fixed)
    return fixed
  })

  app.delete('/fixed/:address', { schema: { tags, summary: 'Take a fixed address back', params: ByAddress, response: { 204: Type.Null() } } }, async (request, reply) => {
    const address = canonicalIp(request.params.address)
    await db.tx(async tx => {
      await lockSettings(tx)
      const [found] = await fixedAddresses(tx, network, { addresses: [address] })
      if (found === undefined) throw nothing(address)
      request.requireMatch(found, 'fixed address', address)
      await unfix(tx, network, address)
    })
    return reply.code(204).send(null)
  })
}
