/** A plugin with routes of every kind, for tests of the API host. */
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import { defineManifest, definePlugin, defineRack, defineRegion } from '../../core/plugin.ts'
import type { Plugin } from '../../core/plugin.ts'

const manifest = defineManifest({ name: 'things', config: Type.Object({}), rpc: {}, wanted: {}, facts: {} })
const Thing = Type.Object({ name: Type.String({ minLength: 1 }), size: Type.Optional(Type.Integer({ minimum: 0 })) })

/** `made` counts how often POST was really done. */
export function things (made: { count: number }): Plugin {
  return definePlugin({
    manifest,
    region: async () => defineRegion(manifest, {
      requires: {},
      provides: {},
      setup: ({ db }) => ({
        provides: {},
        rpc: {},
        services: [],
        routes: async app => {
          app.get('/', { schema: { querystring: app.pageQuery, response: { 200: app.pageOf(Thing) } } }, async ({ query }) => ({ items: [{ name: 'a', size: query.limit }] }))
          app.get('/public', { config: { public: true } }, async request => ({ known: request.principal !== undefined }))
          app.get('/who', async request => request.principal)
          app.get('/one/:name', { schema: { params: Type.Object({ name: Type.String({ pattern: '^[a-z]+$' }) }) } }, async ({ params }, reply) => reply.etag({ version: 1, name: params.name }).send({ name: params.name }))
          app.put('/one/:name', { schema: { params: Type.Object({ name: Type.String() }), body: Thing } }, async (request, reply) => {
            request.requireMatch(7, 'thing', request.params.name)
            return reply.etag(8).send(request.body)
          })
          app.post('/', { schema: { body: Thing, response: { 201: Thing } } }, async (request, reply) => { made.count++; return reply.code(201).header('location', `/api/v1/things/one/${request.body.name}`).send(request.body) })
          app.post('/slow', { schema: { body: Thing } }, async ({ body }) => { made.count++; await new Promise(resolve => { setTimeout(resolve, body.size ?? 300) }); return { done: true } })
          app.post('/unknown/:how', { schema: { params: Type.Object({ how: Type.String() }) } }, async ({ params: { how } }) => {
            made.count++
            await db.tx(async tx => {
              await tx.changed(`things.${how}`, 'a')
              if (how === 'slow') await new Promise(resolve => { setTimeout(resolve, 300) })
              if (how === 'lost') throw new BedplateError('TRANSACTION_UNKNOWN', { reason: 'a test says so' })
            })
            if (how === 'kept') throw new BedplateError('TRANSACTION_UNKNOWN', { reason: 'a test says so' })
            if (how === 'fault') throw new RangeError('a fault')
            return {}
          })
          app.post('/change/:id', { schema: { params: Type.Object({ id: Type.String() }) } }, async ({ params }) => { await db.tx(tx => tx.changed('things.thing', params.id)); return {} })
          app.post('/crash', async () => { made.count++; throw new RangeError('the password is hunter2') })
          app.addContentTypeParser('application/octet-stream', (_request, payload, done) => { done(null, payload) })
          app.put('/bytes/:name', async ({ body }) => {
            made.count++
            let size = 0
            for await (const part of body as AsyncIterable<Buffer>) size += part.length
            return { size }
          })
          app.post('/admin', { config: { scope: 'admin' } }, async () => ({}))
          app.get('/refused', async () => { throw new BedplateError('ADDRESS_EXHAUSTED', { where: 'subnet 10.0.0.0/24' }) })
        }
      })
    }),
    rack: async () => defineRack(manifest, {
      requires: {},
      provides: {},
      setup: () => ({ provides: {}, rpc: {}, services: [], routes: async app => { app.get('/file', async () => 'contents') } })
    })
  })
}
