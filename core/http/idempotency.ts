/** Idempotency-Key: a mutating request sent again gets the first one's answer, and is not done twice. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createHash, randomUUID } from 'node:crypto'
import { Stream } from 'node:stream'
import type { Clock } from '../clock.ts'
import { under } from '../database/claim.ts'
import type { Claim } from '../database/claim.ts'
import type { Query } from '../database/database.ts'
import { claimKey, freeKey, keepAnswer, renewClaims, settleKey } from '../database/idempotency.ts'
import { BedplateError, hasCode } from '../errors.ts'
import type { Secrets } from '../secrets.ts'

declare module 'fastify' {
  interface FastifyRequest { claim: Claim | undefined, unknown: boolean }
}

interface Answer { readonly payload: string, readonly headers: Readonly<Record<string, string>> }
const keptHeaders = ['content-type', 'etag', 'location'] as const
const renewal = 2000 // ms
const patience = 2000 // ms an answer waits for its key to be given up; after that it goes on in the background

/**
 * Answers are sealed: some hold a token that is shown only once. Kept for 24 hours; server faults (5xx) are not kept, so that a retry tries: unless it is not known
 * whether the work was committed, and it was. Then a retry is told so, since doing it again would do it twice.
 */
export function idempotency (app: FastifyInstance, db: Query, secrets: Secrets, clock: Clock): void {
  const working = new Set<Claim>()
  const stop = new AbortController()
  let renewing = false

  /** While requests are at work their claims are renewed; one whose region died is not, and soon free. */
  async function renew (): Promise<void> {
    if (renewing) return
    renewing = true
    for (;;) {
      await clock.sleep(renewal, stop.signal)
      if (working.size === 0 || stop.signal.aborted) break
      await renewClaims(db, [...working]).catch((error: unknown) => { app.log.debug({ err: error }, 'Idempotency-Keys could not be renewed') })
    }
    renewing = false
  }

  app.decorateRequest('claim', undefined)
  app.decorateRequest('unknown', false)
  app.addHook('onClose', async () => { stop.abort() })
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key']
    if (key === undefined || request.principal === undefined || request.method === 'GET' || request.method === 'HEAD') return
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw new BedplateError('INVALID_REQUEST', { reason: 'Idempotency-Key is 1 to 255 visible ASCII characters.' })
    const fingerprint = fingerprintOf(request)
    const claim: Claim = { key, principal: request.principal.id, token: randomUUID(), open: true }
    const kept = await claimKey(db, claim, fingerprint)
    if (kept === undefined) {
      request.claim = claim
      working.add(claim)
      void renew()
      return
    }
    if (kept.fingerprint !== fingerprint) throw new BedplateError('CONFLICT', { reason: `Idempotency-Key ${key} was used for another request. Use a new key for a new request.` })
    if (kept.status === 0 && kept.stale) {
      await settleKey(db, key, claim.principal)
      throw new BedplateError('ALREADY_DONE', { key })
    }
    if (kept.status === null || kept.status === 0) {
      void reply.header('retry-after', '1')
      throw new BedplateError('CONFLICT', { reason: `The first request with Idempotency-Key ${key} is still being answered. Ask again.` })
    }
    const answer = JSON.parse(secrets.open(String(kept.body), contextOf(claim.principal, key))) as Answer
    return reply.code(kept.status).headers(answer.headers).header('idempotency-replayed', 'true').send(answer.payload)
  })
  // A hook that calls back, for what comes after it runs inside: the handler's transactions know their claim.
  app.addHook('preHandler', (request, _reply, done) => { if (request.claim === undefined) done(); else under(request.claim, done) })
  app.addHook('onError', async (request, _reply, error) => { request.unknown = hasCode(error, 'TRANSACTION_UNKNOWN') })
  app.addHook('onSend', async (request, reply, payload) => {
    const { claim } = request
    if (claim === undefined) return payload
    request.claim = undefined
    claim.open = false
    const text = payload === null || payload === undefined ? '' : typeof payload === 'string' ? payload : Buffer.isBuffer(payload) ? payload.toString('utf8') : undefined
    try {
      if (reply.statusCode >= 500 || text === undefined) await freed(request, claim)
      else {
        const headers = Object.fromEntries(keptHeaders.flatMap(name => { const value = reply.getHeader(name); return value === undefined ? [] : [[name, String(value)]] }))
        await keepAnswer(db, claim, reply.statusCode, secrets.seal(JSON.stringify({ payload: text, headers } satisfies Answer), contextOf(claim.principal, claim.key)))
      }
    } catch (error) {
      request.log.warn({ err: error }, 'an answer could not be kept under its Idempotency-Key') // it was done, so the client must hear so
    } finally {
      working.delete(claim)
    }
    return payload
  })

  /** Gives the key up, also when the database is only back after the client has its answer; a claim that could not be given up runs out by itself. */
  async function freed (request: FastifyRequest, claim: Claim): Promise<void> {
    const enough = new AbortController()
    const freeing = freeKey(db, claim, request.unknown)
      .catch((error: unknown) => { request.log.debug({ err: error }, 'an Idempotency-Key could not be given up; it soon runs out') })
      .finally(() => { enough.abort() })
    await Promise.race([freeing, clock.sleep(patience, enough.signal)])
  }
}

const contextOf = (principal: string, key: string): string => `idempotency/${principal}/${key}`

/** Without a body of bytes: a stream is not read yet, and may be gigabytes. */
const fingerprintOf = ({ method, url, headers, body }: FastifyRequest): string =>
  createHash('sha256').update(JSON.stringify([method, url, headers['if-match'] ?? null, body instanceof Stream || Buffer.isBuffer(body) ? null : canonical(body)])).digest('hex')

/** Members in order of name, so that two spellings of one body are one. */
const canonical = (value: unknown): unknown => Array.isArray(value)
  ? value.map(canonical)
  : typeof value === 'object' && value !== null
    ? Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, part]) => [key, canonical(part)])
    : value
