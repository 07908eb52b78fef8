/** /options: kernel options of what boots over the network, for every machine, by tag, or for one machine; checked when they are saved. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database, Query } from '../../../core/plugin.ts'
import type { MachineService } from '../../machines/manifest.ts'
import { checkOptions, longest, scopeOf } from '../region/options.ts'
import { listOptions, lockOptions, removeOptions, saveOptions } from '../store/options.ts'
import type { StoredOptions } from '../store/options.ts'

const By = Type.Object({ scope: Type.String({ maxLength: 80, description: '`global`, `tag:<name>` or `machine:<id>`; on the line they stand in this order, and the kernel lets the last one of a name win' }) })
const Options = Type.Object({ scope: Type.String(), options: Type.String() })
const what = 'line of kernel options for'
const nothing = (scope: string) => new BedplateError('NOT_FOUND', { what, id: scope })

export const optionRoutes = (db: Database, machines: MachineService): FastifyPluginAsyncTypebox => async app => {
  const find = async (q: Query, scope: string): Promise<StoredOptions | undefined> => (await listOptions(q, { scopes: [scope] }))[0]

  app.get('/options', { schema: { summary: 'Kernel options that are kept, by scope', querystring: app.pageQuery, response: { 200: app.pageOf(Options) } } }, async ({ query: { limit, after } }) => {
    const found = await listOptions(db, { limit: limit + 1, ...after === undefined ? {} : { after } })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, ...found.length > limit && last !== undefined ? { next: last.scope } : {} }
  })

  app.get('/options/:scope', { schema: { summary: 'Kernel options of a scope', params: By, response: { 200: Options } } }, async ({ params: { scope } }, reply) => {
    scopeOf(scope)
    const found = await find(db, scope)
    if (found === undefined) throw nothing(scope)
    void reply.etag(found)
    return found
  })

  app.put('/options/:scope', { schema: { summary: 'Set the kernel options of a scope', params: By, body: Type.Object({ options: Type.String({ maxLength: 2 * longest, description: `printable ASCII on one line, at most ${longest} characters` }) }), response: { 200: Options } } }, async (request, reply) => {
    const { scope } = request.params
    const whose = scopeOf(scope)
    const wanted = { scope, options: checkOptions(request.body.options) }
    await db.tx(async tx => {
      await lockOptions(tx, scope)
      if (whose.kind === 'machine' && await machines.get(tx, whose.name) === undefined) throw new BedplateError('NOT_FOUND', { what: 'machine', id: whose.name })
      const before = await find(tx, scope)
      request.requireMatch(before ?? null, what, scope)
      if (before?.options === wanted.options) return
      await saveOptions(tx, wanted)
      if (whose.kind === 'machine') await machines.record(tx, whose.name, { type: 'boot', level: 'info', message: `Kernel options set to "${wanted.options}"${request.principal === undefined ? '' : ` by ${request.principal.name}`}` })
      await tx.changed('boot.option', scope)
    })
    void reply.etag(wanted)
    return wanted
  })

  app.delete('/options/:scope', { schema: { summary: 'Take the kernel options of a scope back', params: By, response: { 204: Type.Null() } } }, async (request, reply) => {
    const { scope } = request.params
    const whose = scopeOf(scope)
    await db.tx(async tx => {
      await lockOptions(tx, scope)
      const before = await find(tx, scope)
      if (before === undefined) throw nothing(scope)
      request.requireMatch(before, what, scope)
      await removeOptions(tx, scope)
      if (whose.kind === 'machine' && await machines.get(tx, whose.name) !== undefined) await machines.record(tx, whose.name, { type: 'boot', level: 'info', message: `Kernel options taken back${request.principal === undefined ? '' : ` by ${request.principal.name}`}` })
      await tx.changed('boot.option', scope)
    })
    return reply.code(204).send(null)
  })
}
