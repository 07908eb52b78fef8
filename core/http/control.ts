/** The core's own routes: how the controllers are, and tokens to enrol more. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { X509Certificate } from 'node:crypto'
import { BedplateError } from '../errors.ts'
import type { KnownController, RegionEnd } from '../rpc/ends.ts'
import type { Status } from '../status.ts'

const Known = Type.Object({
  id: Type.String(), hostname: Type.String(), roles: Type.Array(Type.String()), version: Type.String(), seenAt: Type.String(),
  linked: Type.Boolean({ description: 'to the region that answers, or this region itself' }),
  startedAt: Type.Union([Type.String(), Type.Null()], { description: 'of a region: since when it runs' }),
  addresses: Type.Array(Type.String(), { description: 'of a region: names or addresses it is reached at' }),
  rpcPort: Type.Union([Type.Integer(), Type.Null()], { description: 'of a region: where racks link to' }),
  httpPort: Type.Union([Type.Integer(), Type.Null()], { description: 'of a region: where its API is' }),
  api: Type.Array(Type.String(), { description: 'of a region: URLs of its API' })
})
const ById = Type.Object({ id: Type.String({ maxLength: 128 }) })
const shown = ({ seenAt, startedAt, roles, addresses, api, ...rest }: KnownController): Static<typeof Known> =>
  ({ ...rest, roles: [...roles], addresses: [...addresses], api: [...api], seenAt: seenAt.toISOString(), startedAt: startedAt?.toISOString() ?? null })

/** /status and /controllers, to be mounted at /api/v1. */
export const control = ({ end, status }: { end: RegionEnd, status: () => Status }): FastifyPluginAsyncTypebox => async app => {
  app.get('/status', { schema: { tags: ['core'], summary: 'This controller, its services, its links, and how far each rack is' } }, async () => {
    const { controller, ...rest } = status()
    const { dataDirectory: _, ...shown } = controller
    return { controller: shown, ...rest, racks: await end.rackStates() }
  })
  app.get('/controllers', {
    schema: {
      tags: ['core'],
      summary: 'The regions and racks, oldest first',
      response: { 200: Type.Object({ items: Type.Array(Known) }) }
    }
  }, async () => ({ items: (await end.controllers()).map(shown) }))
  app.get('/controllers/:id', { schema: { tags: ['core'], summary: 'One region or rack', params: ById, response: { 200: Known } } }, async ({ params: { id } }) => {
    const found = (await end.controllers()).find(one => one.id === id)
    if (found === undefined) throw new BedplateError('NOT_FOUND', { what: 'controller', id })
    return shown(found)
  })
  app.delete('/controllers/:id', {
    config: { scope: 'admin' },
    schema: {
      tags: ['core'], summary: 'Remove a controller that is gone for good; one that is there leaves by itself: "bedplate leave" on its host', params: ById,
      querystring: Type.Object({ force: Type.Boolean({ default: false, description: 'Also one that is alive: it stops, and what it has not delivered yet is lost' }) }), response: { 204: Type.Null() }
    }
  }, async ({ params: { id }, query: { force } }, reply) => {
    await end.remove(id, force)
    return reply.code(204).send(null)
  })
  app.get('/authority', {
    schema: {
      tags: ['core'],
      summary: 'The certificate of this installation\'s own authority, for whoever is to trust what its controllers serve: firmware that boots over HTTPS',
      response: { 200: Type.Object({ certificate: Type.String({ description: 'PEM' }), sha256: Type.String({ description: 'of the certificate, hex' }), validTo: Type.String({ format: 'date-time' }) }) }
    }
  }, async () => {
    const certificate = await end.authority.certificate()
    const read = new X509Certificate(certificate)
    return { certificate, sha256: read.fingerprint256.replaceAll(':', '').toLowerCase(), validTo: read.validToDate.toISOString() }
  })
  app.post('/controllers/tokens', {
    config: { scope: 'admin' },
    schema: {
      tags: ['core'],
      summary: 'Make a one-time token a controller enrols with',
      body: Type.Object({
        roles: Type.Array(Type.Enum(['region', 'rack']), { default: ['rack'], minItems: 1, uniqueItems: true, description: 'Roles it may enrol with' }),
        ttlSeconds: Type.Integer({ default: 3600, minimum: 60, maximum: 604_800, description: 'How long it can be used' })
      }),
      response: { 201: Type.Object({ token: Type.String({ description: 'Shown this once' }), expiresAt: Type.String({ format: 'date-time' }) }) }
    }
  }, async (request, reply) => {
    const { roles, ttlSeconds } = request.body
    const token = await end.createToken(roles, ttlSeconds)
    return reply.code(201).header('cache-control', 'no-store').send({ token, expiresAt: new Date(Date.now() + ttlSeconds * 1000).toISOString() })
  })
}
