/** /options: what operators tell clients, globally, by subnet or by machine; each checked when it is saved. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database, Query } from '../../../core/plugin.ts'
import type { NetworkService } from '../../network/manifest.ts'
import { customOption, scopeOf, scopeText } from '../config/custom.ts'
import type { Scope } from '../config/custom.ts'
import { optionDefinitions, optionOf } from '../options/registry.ts'
import type { OptionValue } from '../options/registry.ts'
import { listOptions, removeOption, saveOption } from '../store/options.ts'
import type { StoredOption } from '../store/options.ts'
import { lockSettings } from '../store/settings.ts'

const tags = ['dhcp']
const By = Type.Object({ scope: Type.String({ maxLength: 80, description: '`global`, `subnet:<id>` or `mac:<mac>`; the narrower one counts' }), option: Type.String({ maxLength: 80, description: 'name (`ntp-servers`) or number' }) })
const Option = Type.Object({
  scope: Type.String(), code: Type.Integer(), name: Type.String(), type: Type.Union([Type.String(), Type.Null()], { description: 'null: the usual one of the option' }),
  value: Type.Unknown(), data: Type.String({ description: 'what goes over the wire, in hex' })
})
const Body = Type.Object({
  value: Type.Unknown({ description: 'a text, with commas in a list, or the same as JSON' }),
  type: Type.Optional(Type.String({ maxLength: 40, description: 'of an option without a name, or one used otherwise than usual: ip, ip-list, u8, u16, u32, text, bytes, …' }))
}, { additionalProperties: false })
const nothing = (scope: Scope, option: string) => new BedplateError('NOT_FOUND', { what: 'option', id: `${option} of ${scopeText(scope)}` })

const isValue = (value: unknown): value is OptionValue => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ||
  (typeof value === 'object' && value !== null && (Array.isArray(value) ? value : Object.values(value)).every(isValue))

export const optionRoutes = (db: Database, network: NetworkService): FastifyPluginAsyncTypebox => async app => {
  const find = async (q: Query, scope: Scope, code: number): Promise<StoredOption | undefined> => (await listOptions(q, { scopes: [scopeText(scope)], code }))[0]

  app.get('/options', {
    schema: { tags, summary: 'Options operators set, by scope and code', querystring: Type.Object({ ...app.pageQuery.properties, scope: Type.Optional(By.properties.scope) }), response: { 200: app.pageOf(Option) } }
  }, async ({ query: { limit, after, scope } }) => {
    const [, from, code] = /^(.{1,80}) (\d{1,3})$/.exec(after ?? '') ?? []
    const found = await listOptions(db, { limit: limit + 1, ...scope === undefined ? {} : { scopes: [scopeText(scopeOf(scope))] }, ...from === undefined ? {} : { after: [from, Number(code)] } })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return { items, ...found.length > limit && last !== undefined ? { next: `${last.scope} ${last.code}` } : {} }
  })

  app.get('/option-definitions', {
    schema: { tags, summary: 'Every option that has a name here', response: { 200: Type.Object({ items: Type.Array(Type.Object({ code: Type.Integer(), name: Type.String(), type: Type.String(), refused: Type.Union([Type.String(), Type.Null()], { description: 'why operators do not set it' }) })) }) } }
  }, async () => ({ items: optionDefinitions.map(({ code, name, kind, own }) => ({ code, name, type: kind, refused: own ?? null })) }))

  app.get('/options/:scope/:option', { schema: { tags, summary: 'One option of a scope', params: By, response: { 200: Option } } }, async ({ params }, reply) => {
    const scope = scopeOf(params.scope)
    const found = await find(db, scope, optionOf(params.option).code)
    if (found === undefined) throw nothing(scope, params.option)
    void reply.etag(found)
    return found
  })

  app.put('/options/:scope/:option', { schema: { tags, summary: 'Set an option of a scope', params: By, body: Body, response: { 200: Option } } }, async (request, reply) => {
    const { params, body: { value, type } } = request
    const scope = scopeOf(params.scope)
    if (!isValue(value)) throw new BedplateError('OPTION_INVALID', { option: params.option, reason: 'its value is a text, a number, true or false, or a list or object of them.' })
    const option = customOption(scope, params.option, value, type)
    await db.tx(async tx => {
      await lockSettings(tx)
      if (scope.kind === 'subnet' && (await network.subnets(tx, { ids: [scope.id] })).length === 0) throw new BedplateError('NOT_FOUND', { what: 'subnet', id: scope.id })
      request.requireMatch(await find(tx, scope, option.code) ?? null, 'option', `${option.name} of ${option.scope}`)
      await saveOption(tx, option)
      await tx.changed('dhcp.option', option.scope)
    })
    void reply.etag(option)
    return option
  })

  app.delete('/options/:scope/:option', { schema: { tags, summary: 'Take an option of a scope back', params: By, response: { 204: Type.Null() } } }, async (request, reply) => {
    const scope = scopeOf(request.params.scope)
    const { code, name } = optionOf(request.params.option)
    await db.tx(async tx => {
      await lockSettings(tx)
      const before = await find(tx, scope, code)
      if (before === undefined) throw nothing(scope, name)
      request.requireMatch(before, 'option', `${name} of ${before.scope}`)
      await removeOption(tx, before.scope, code)
      await tx.changed('dhcp.option', before.scope)
    })
    return reply.code(204).send(null)
  })
}
