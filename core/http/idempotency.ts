/** Idempotency-Key: a mutating request sent again gets the first one's answer, and is not done twice. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import type { Query } from '../database/database.ts'
import { claimKey, freeKey, keepAnswer } from '../database/idempotency.ts'
import { BedplateError } from '../errors.ts'
import type { Secrets } from '../secrets.ts'

declare module 'fastify' {
  interface FastifyRequest { idempotencyKey: string | undefined }
}

interface Answer { readonly payload: string, readonly headers: Readonly<Record<string, string>> }
const keptHeaders = ['content-type', 'etag', 'location'] as const

/** Answers are sealed: some hold a token that is shown only once. Kept for 24 hours; server faults (5xx) are not kept, so that a retry tries. */
export function idempotency (app: FastifyInstance, db: Query, secrets: Secrets): void {
  app.decorateRequest('idempotencyKey', undefined)
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key']
    if (key === undefined || request.principal === undefined || request.method === 'GET' || request.method === 'HEAD') return
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw new BedplateError('INVALID_REQUEST', { reason: 'Idempotency-Key is 1 to 255 visible ASCII characters.' })
    const fingerprint = fingerprintOf(request)
    const kept = await claimKey(db, key, request.principal.id, fingerprint)
    if (kept === undefined) { request.idempotencyKey = key; return }
    if (kept.fingerprint !== fingerprint) throw new BedplateError('CONFLICT', { reason: `Idempotency-Key ${key} was used for another request. Use a new key for a new request.` })
    if (kept.status === null) throw new BedplateError('CONFLICT', { reason: `The first request with Idempotency-Key ${key} is still being answered. Ask again.` })
    const answer = JSON.parse(secrets.open(String(kept.body), contextOf(request.principal.id, key))) as Answer
    return reply.code(kept.status).headers(answer.headers).header('idempotency-replayed', 'true').send(answer.payload)
  })
  app.addHook('onSend', async (request, reply, payload) => {
    const { idempotencyKey: key, principal } = request
    if (key === undefined || principal === undefined) return payload
    request.idempotencyKey = undefined
    const text = payload === null || payload === undefined ? '' : typeof payload === 'string' ? payload : Buffer.isBuffer(payload) ? payload.toString('utf8') : undefined
    try {
      if (reply.statusCode >= 500 || text === undefined) await freeKey(db, key, principal.id)
      else {
        const headers = Object.fromEntries(keptHeaders.flatMap(name => { const value = reply.getHeader(name); return value === undefined ? [] : [[name, String(value)]] }))
        await keepAnswer(db, key, principal.id, reply.statusCode, secrets.seal(JSON.stringify({ payload: text, headers } satisfies Answer), contextOf(principal.id, key)))
      }
    } catch (error) {
      request.log.warn({ err: error }, 'an answer could not be kept under its Idempotency-Key') // it was done, so the client must hear so
    }
    return payload
  })
}

const contextOf = (principal: string, key: string): string => `idempotency/${principal}/${key}`

const fingerprintOf = (request: FastifyRequest): string =>
  createHash('sha256').update(JSON.stringify([request.method, request.url, request.headers['if-match'] ?? null, canonical(request.body)])).digest('hex')

/** Members in order of name, so that two spellings of one body are one. */
const canonical = (value: unknown): unknown => Array.isArray(value)
  ? value.map(canonical)
  : typeof value === 'object' && value !== null
    ? Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, part]) => [key, canonical(part)])
    : value
