/** Conventions every plugin's routes share, as decorators (a plugin imports none of this): ETag and If-Match (RFC 9110, 13.1), keyset pages. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { BedplateError } from '../errors.ts'

/** `?limit&after`: at most `limit` items, beginning after the one whose `next` was given. */
const pageQuery = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Most items in one answer' }),
  after: Type.Optional(Type.String({ description: '`next` of the page before' }))
})
/** `{ items, next }`; without `next` there is no more. */
const pageOf = <T extends TSchema>(item: T) => Type.Object({
  items: Type.Array(item),
  next: Type.Optional(Type.String({ description: 'Give as `after` for the next page; absent on the last' }))
})

declare module 'fastify' {
  interface FastifyReply {
    /** Sets the ETag: a version (string or number) as it is, anything else by its content. A GET whose If-None-Match has it is answered 304. */
    etag(value: unknown): FastifyReply
  }
  interface FastifyRequest {
    /** Throws PRECONDITION_FAILED when If-Match is given and does not name `etag` (a value as for `reply.etag`). */
    requireMatch(etag: unknown, what: string, id: string): void
  }
  interface FastifyInstance {
    readonly pageQuery: typeof pageQuery
    readonly pageOf: typeof pageOf
  }
}

export const etagOf = (value: unknown): string => {
  const text = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
  if (text !== undefined && /^[\x21\x23-\x7e]{1,64}$/.test(text)) return `"${text}"`
  return `"${createHash('sha256').update(text ?? JSON.stringify(value) ?? '').digest('base64url').slice(0, 27)}"`
}

/** Whether a list of entity tags names `etag`. Weak comparison where asked (If-None-Match); If-Match compares strongly. */
const names = (header: string, etag: string, weak: boolean): boolean =>
  header.trim() === '*' || (header.match(/(?:W\/)?"[^"]*"/g) ?? []).some(tag => (weak ? tag.replace(/^W\//, '') : tag) === etag)

/** Adds the decorators. */
export function conventions (app: FastifyInstance): void {
  app.decorate('pageQuery', pageQuery)
  app.decorate('pageOf', pageOf)
  app.decorateReply('etag', function (this: FastifyReply, value: unknown) { return this.header('etag', etagOf(value)) })
  app.decorateRequest('requireMatch', function (this: FastifyRequest, value: unknown, what: string, id: string) {
    const given = this.headers['if-match']
    const etag = etagOf(value)
    if (given !== undefined && !names(given, etag, false)) throw new BedplateError('PRECONDITION_FAILED', { what, id, etag })
  })
  app.addHook('onSend', async (request, reply, payload) => {
    const [given, etag] = [request.headers['if-none-match'], reply.getHeader('etag')]
    if (given === undefined || typeof etag !== 'string' || reply.statusCode !== 200 || (request.method !== 'GET' && request.method !== 'HEAD') || !names(given, etag, true)) return payload
    void reply.code(304).removeHeader('content-length').removeHeader('content-type')
    return null
  })
}
