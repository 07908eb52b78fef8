/** /bindings: the addresses in use. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import type { Database } from '../../../core/plugin.ts'
import { macOf } from '../config/custom.ts'
import { listBindings, removeBinding } from '../store.ts'
import { canonicalIp } from '../v6/ipv6.ts'

const Binding = Type.Object({
  address: Type.String(), subnet: Type.String(), mac: Type.String(), clientId: Type.Union([Type.String(), Type.Null()]), hostname: Type.Union([Type.String(), Type.Null()]),
  boundAt: Type.String(), expires: Type.String()
})
const tags = ['dhcp']

export const bindingRoutes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  app.get('/bindings', {
    schema: {
      tags,
      summary: 'Addresses in use, by address',
      querystring: Type.Object({
        subnet: Type.Optional(Type.String()), mac: Type.Optional(Type.String()), address: Type.Optional(Type.String()),
        limit: Type.Integer({ default: 100, minimum: 1, maximum: 1000 }), after: Type.Optional(Type.String({ description: '`next` of the page before' }))
      }),
      response: { 200: Type.Object({ items: Type.Array(Binding), next: Type.Union([Type.String(), Type.Null()]) }) }
    }
  }, async ({ query: { subnet, mac, address, limit, after } }) => {
    const canonical = (text: string | undefined) => text === undefined ? undefined : canonicalIp(text)
    const found = await listBindings(db, { subnet, mac: mac === undefined ? undefined : macOf(mac), address: canonical(address), limit: limit + 1, after: canonical(after) })
    const items = found.slice(0, limit).map(({ client, boundAt, expires, ...rest }) => ({ ...rest, mac: client, boundAt: boundAt.toISOString(), expires: expires.toISOString() }))
    return { items, next: found.length > limit ? items.at(-1)?.address ?? null : null }
  })

  app.delete('/bindings/:address', {
    schema: { tags, summary: 'Forget a binding; its machine may lose the address at its next renewal', params: Type.Object({ address: Type.String() }), response: { 204: Type.Null() } }
  }, async ({ params }, reply) => {
    const address = canonicalIp(params.address)
    await db.tx(async tx => {
      if (!await removeBinding(tx, address)) throw new BedplateError('NOT_FOUND', { what: 'binding of', id: address })
      await tx.changed('dhcp.binding', address)
    })
    return reply.code(204).send(null)
  })
}
