/** /livez, /readyz and /metrics: for orchestrators and monitoring, without an account. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Metrics } from '../metrics.ts'
import type { Status } from '../status.ts'

/**
 * /livez: the process answers. /readyz: 200 when the controller is ready (rule: Status.ready), else 503, naming each part that is not and why;
 * services of plugins that fail are listed as degraded and leave it at 200.
 */
export const probes = ({ metrics, status }: { metrics: Metrics, status: () => Status }): FastifyPluginAsyncTypebox => async app => {
  const config = { public: true }
  const schema = { tags: ['core'], security: [] }
  app.get('/livez', { config, schema: { ...schema, summary: 'Does the process answer?' } }, async () => ({ status: 'alive' }))
  app.get('/readyz', { config, schema: { ...schema, summary: 'Can this controller be sent requests?' } }, async (_request, reply) => {
    const { ready, notReady, degraded, vip } = status()
    return reply.code(ready ? 200 : 503).header('cache-control', 'no-store').send({ status: ready ? 'ready' : 'not ready', notReady, degraded, vip })
  })
  app.get('/metrics', { config, schema: { ...schema, summary: 'Prometheus metrics' } }, async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()))
}
