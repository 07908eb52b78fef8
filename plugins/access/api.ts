/** /api/v1/access: who am I, tokens, and what was done with them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { BedplateError } from '../../core/errors.ts'
import type { Database } from '../../core/plugin.ts'
import { newSecret } from './secret.ts'
import { accountNamed, deleteToken, findToken, insertToken, listAudit, listTokens, lockAccess, otherAdmins } from './store.ts'
import type { Token as TokenRow } from './store.ts'

const Scope = Type.Enum(['read', 'write', 'admin'], { description: 'read: GET; write: everything else; admin: tokens and controllers too' })
const Time = Type.String({ format: 'date-time' })
const OrNull = <T extends typeof Time>(schema: T) => Type.Union([schema, Type.Null()])
const Token = Type.Object({
  id: Type.String(), name: Type.String(), account: Type.String(), prefix: Type.String({ description: 'how the token begins' }), scopes: Type.Array(Scope),
  createdAt: Time, expiresAt: OrNull(Time), usedAt: Type.Union([Time, Type.Null()], { description: 'to about five minutes' })
})
const Created = Type.Object({ ...Token.properties, token: Type.String({ description: 'shown this once' }) })
const Audit = Type.Object({
  id: Type.String(), at: Time, principal: Type.Union([Type.String(), Type.Null()]), tokenId: Type.Union([Type.String(), Type.Null()]),
  method: Type.String(), url: Type.String(), status: Type.Integer(), requestId: Type.String()
})
const shown = ({ createdAt, expiresAt, usedAt, scopes, ...token }: TokenRow) => ({ ...token, scopes: [...scopes], createdAt: createdAt.toISOString(), expiresAt: expiresAt?.toISOString() ?? null, usedAt: usedAt?.toISOString() ?? null })
const pageOf = <T extends { readonly id: string }>(items: readonly T[], limit: number) => ({ items: items.slice(0, limit), ...items.length > limit ? { next: items[limit - 1]!.id } : {} })

export const routes = (db: Database): FastifyPluginAsyncTypebox => async app => {
  const config = { scope: 'admin' as const }

  app.get('/whoami', { schema: { summary: 'Who this token belongs to and what it may do', response: { 200: Type.Object({ id: Type.String(), name: Type.String(), scopes: Type.Array(Type.String()) }) } } }, async ({ principal }) => {
    if (principal === undefined) throw new BedplateError('UNAUTHENTICATED')
    return { ...principal, scopes: [...principal.scopes] }
  })

  app.get('/tokens', { config, schema: { summary: 'List tokens', querystring: app.pageQuery, response: { 200: app.pageOf(Token) } } }, async ({ query: { limit, after } }) =>
    pageOf((await listTokens(db, { limit: limit + 1, after })).map(shown), limit))

  app.post('/tokens', {
    config,
    schema: {
      summary: 'Make a token',
      body: Type.Object({
        name: Type.String({ minLength: 1, maxLength: 100, description: 'what it is for' }),
        scopes: Type.Array(Scope, { default: ['read', 'write'], minItems: 1, uniqueItems: true }),
        expiresAt: Type.Optional(Time)
      }),
      response: { 201: Created }
    }
  }, async ({ body }, reply) => {
    const expiresAt = body.expiresAt === undefined ? null : new Date(body.expiresAt)
    const secret = newSecret()
    const made = await db.tx(async tx => {
      await lockAccess(tx)
      const accountId = await accountNamed(tx, 'admin')
      if (accountId === undefined) throw new BedplateError('UNAVAILABLE', { reason: 'the first account has not been made yet' })
      const id = await insertToken(tx, { accountId, name: body.name, scopes: body.scopes, prefix: secret.prefix, hash: secret.hash, expiresAt })
      await tx.changed('access.token', id)
      return (await findToken(tx, id))!
    })
    return reply.code(201).header('cache-control', 'no-store').send({ ...shown(made), token: secret.text })
  })

  app.delete('/tokens/:id', { config, schema: { summary: 'Revoke a token at once', params: Type.Object({ id: Type.String({ maxLength: 64 }) }), response: { 204: Type.Null() } } }, async ({ params: { id } }, reply) => {
    await db.tx(async tx => {
      await lockAccess(tx)
      const token = await findToken(tx, id)
      if (token === undefined) throw new BedplateError('NOT_FOUND', { what: 'token', id })
      if (token.scopes.includes('admin') && await otherAdmins(tx, id) === 0) throw new BedplateError('CONFLICT', { reason: `Token "${token.name}" is the last one that can administer and does not expire. Make another first.` })
      await deleteToken(tx, id)
      await tx.changed('access.token', id)
    })
    return reply.code(204).send(null)
  })

  app.get('/audit', { config, schema: { summary: 'What was done, newest first', querystring: app.pageQuery, response: { 200: app.pageOf(Audit) } } }, async ({ query: { limit, after } }) =>
    pageOf((await listAudit(db, { limit: limit + 1, before: after })).map(record => ({ ...record, at: record.at.toISOString() })), limit))
}
