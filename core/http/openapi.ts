/** The OpenAPI 3.1 description, made from the routes' schemas, and a page to read and try it: all assets are local. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { Manifest } from '../plugin.ts'

/** To be registered before the routes it describes. */
export async function describe (app: FastifyInstance, manifests: readonly Manifest[], version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Bedplate',
        version,
        description: 'Bare machines, ordered through an API. Errors are `application/problem+json` with a stable `code`. Lists come in pages (`limit`, `after`, `next`). Changes take `If-Match` and `Idempotency-Key`.'
      },
      tags: [{ name: 'core', description: 'Health, controllers, events' }, ...manifests.map(({ name }) => ({ name }))],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
      security: [{ bearer: [] }]
    }
  })
}

/** The document at /api/v1/openapi.json and the page at /api/docs. */
export async function publish (app: FastifyInstance): Promise<void> {
  const config = { public: true }
  app.get('/api/v1/openapi.json', { config, schema: { hide: true } }, async () => app.swagger())
  app.get('/', { config, schema: { hide: true } }, async (_request, reply) => reply.redirect('/api/docs'))
  await app.register(async scope => {
    scope.addHook('onRoute', route => {
      route.config = { ...route.config, public: true }
      route.schema = { ...route.schema, hide: true }
    })
    await scope.register(swaggerUi, { routePrefix: '/api/docs', uiConfig: { url: '/api/v1/openapi.json', deepLinking: true, persistAuthorization: true }, staticCSP: true, theme: { title: 'Bedplate' } })
  })
}
