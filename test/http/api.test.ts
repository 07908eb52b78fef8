/** The API host: one form of error, who may do what, strict bodies, idempotency, the description, probes. */
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Audited } from '../../core/hooks.ts'
import { startDaemon } from '../kit/daemon.ts'
import type { Daemon } from '../kit/daemon.ts'
import { until } from '../kit/wait.ts'
import { things } from './toy.ts'

const made = { count: 0 }
const audited: Audited[] = []
const socket = join(tmpdir(), `bedplate-${process.pid}-${Date.now()}.sock`)
let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon({ plugins: [things(made)], config: { http: { host: '127.0.0.1', port: 0, socket } } })
  daemon.kernel.hooks.authenticate.tap('scopes', ({ authorization }) => {
    const scopes = /^Bearer scopes:(.*)$/.exec(authorization ?? '')?.[1]
    return scopes === undefined ? undefined : { id: scopes, name: `the ${scopes} token`, scopes: scopes.split('+') }
  })
  daemon.kernel.hooks.audited.tap('broken', () => { throw new RangeError('a throwing observer') })
  daemon.kernel.hooks.audited.tap('test', event => { audited.push(event) })
})
afterAll(() => daemon?.stop())
beforeEach(() => { made.count = 0; audited.length = 0 })

const send = async (method: string, path: string, init: RequestInit = {}): Promise<{ status: number, headers: Headers, body: Record<string, unknown> }> => {
  const answer = await fetch(`${daemon.url}${path}`, { method, ...init, headers: { authorization: `Bearer ${daemon.token}`, ...init.headers } })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> }
}
const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({ body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } })

describe('errors are problem+json', () => {
  const cases: [what: string, method: string, path: string, init: RequestInit, status: number, code: string, detail: string | RegExp][] = [
    ['no such page', 'GET', '/api/v1/nothing', {}, 404, 'NOT_FOUND', 'There is no page /api/v1/nothing.'],
    ['no such method', 'PATCH', '/api/v1/things/one/a', {}, 405, 'METHOD_NOT_ALLOWED', /GET, HEAD, PUT/],
    ['malformed JSON', 'POST', '/api/v1/things', json('{"name":'), 400, 'INVALID_REQUEST', 'The request is not valid: The body is not JSON.'],
    ['an empty JSON body', 'POST', '/api/v1/things', json(''), 400, 'INVALID_REQUEST', /body is empty/],
    ['another content type', 'POST', '/api/v1/things', { body: 'name=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'MEDIA_TYPE_UNSUPPORTED', /must be JSON/],
    ['a body too large', 'POST', '/api/v1/things', json({ name: 'x'.repeat(1_100_000) }), 413, 'BODY_TOO_LARGE', /larger/],
    ['a missing field', 'POST', '/api/v1/things', json({}), 400, 'INVALID_REQUEST', /body must have required property 'name'/],
    ['an unknown field', 'POST', '/api/v1/things', json({ name: 'a', sise: 3 }), 400, 'INVALID_REQUEST', /body\.sise is not a known field/],
    ['a body that would need coercion', 'POST', '/api/v1/things', json({ name: 'a', size: '3' }), 400, 'INVALID_REQUEST', /body\.size must be integer/],
    ['a prototype in the body', 'POST', '/api/v1/things', json('{"name":"a","__proto__":{"admin":true}}'), 400, 'INVALID_REQUEST', /./],
    ['an unknown query parameter', 'GET', '/api/v1/things?limt=3', {}, 400, 'INVALID_REQUEST', /query\.limt is not a known field/],
    ['a query out of range', 'GET', '/api/v1/things?limit=0', {}, 400, 'INVALID_REQUEST', /query\.limit must be >= 1/],
    ['a path parameter that does not fit', 'GET', '/api/v1/things/one/A1', {}, 400, 'INVALID_REQUEST', /params\.name must match/],
    ['a malformed path', 'GET', '/api/v1/things/one/%', {}, 400, 'INVALID_REQUEST', /path/],
    ['a refusal of a plugin', 'GET', '/api/v1/things/refused', {}, 409, 'ADDRESS_EXHAUSTED', /subnet 10\.0\.0\.0\/24/]
  ]
  test.each(cases)('%s', async (_what, method, path, init, status, code, detail) => {
    const answer = await send(method, path, init)
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(answer).toMatchObject({ status, body: { type: `urn:bedplate:error:${code}`, status, code, instance: path } })
    expect(answer.body.detail).toEqual(typeof detail === 'string' ? detail : expect.stringMatching(detail))
    expect(answer.body.title).toBeTruthy()
  })

  test('an unexpected error tells its request id and nothing of its text', async () => {
    const answer = await send('POST', '/api/v1/things/crash', { headers: { 'x-request-id': 'my-id' } })
    expect(answer.status).toBe(500)
    expect(answer.body).toMatchObject({ code: 'INTERNAL', requestId: 'my-id' })
    expect(JSON.stringify(answer.body)).not.toContain('hunter2')
    expect(answer.headers.get('x-request-id')).toBe('my-id')
  })

  test('a request that is not HTTP is refused, and the next one is served', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const client = connect(Number(new URL(daemon.url).port), '127.0.0.1', () => client.write('\u0016\u0003\u0001 not http\r\n\r\n'))
      let got = ''
      client.on('data', part => { got += String(part) })
      client.on('close', () => resolve(got))
      client.on('error', reject)
    })
    expect(text).toMatch(/^HTTP\/1\.1 400[^]*INVALID_REQUEST/)
    expect((await send('GET', '/livez')).status).toBe(200)
  })

  test('a plugin\'s errors carry their details as members', async () => { expect((await send('GET', '/api/v1/things/refused')).body.where).toBe('subnet 10.0.0.0/24') })
})

describe('who may do what', () => {
  const as = (scopes: string | undefined): RequestInit => ({ headers: { authorization: scopes === undefined ? '' : `Bearer scopes:${scopes}` } })
  const cases: [who: string | undefined, method: string, path: string, status: number][] = [
    [undefined, 'GET', '/api/v1/things', 401],
    [undefined, 'POST', '/api/v1/things/admin', 401],
    [undefined, 'GET', '/api/v1/status', 401],
    [undefined, 'GET', '/api/v1/events', 401],
    [undefined, 'GET', '/api/v1/things/public', 200],
    [undefined, 'GET', '/livez', 200],
    [undefined, 'GET', '/api/v1/openapi.json', 200],
    [undefined, 'GET', '/api/v1/nothing', 404],
    ['read', 'GET', '/api/v1/things', 200],
    ['read', 'HEAD', '/api/v1/things/who', 200],
    ['read', 'POST', '/api/v1/things/admin', 403],
    ['read', 'POST', '/api/v1/things/change/1', 403],
    ['write', 'POST', '/api/v1/things/change/1', 200],
    ['write', 'GET', '/api/v1/things', 403],
    ['read+write', 'POST', '/api/v1/things/admin', 403],
    ['read+write', 'POST', '/api/v1/controllers/tokens', 403],
    ['admin', 'POST', '/api/v1/things/admin', 200],
    ['admin', 'GET', '/api/v1/things', 200]
  ]
  test.each(cases)('%s %s %s → %i', async (who, method, path, status) => {
    const answer = await fetch(`${daemon.url}${path}`, { method, ...as(who) })
    expect(answer.status).toBe(status)
    if (status === 401) expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    await answer.body?.cancel()
  })

  test('a route knows who asks', async () => { expect((await send('GET', '/api/v1/things/who', as('read'))).body).toEqual({ id: 'read', name: 'the read token', scopes: ['read'] }) })

  test('an account is asked for before the body is read', async () => { expect((await send('POST', '/api/v1/things', { ...json('{"broken'), headers: { authorization: 'Bearer wrong', 'content-type': 'application/json' } })).status).toBe(401) })

  test('mutating requests are told to the audit, with who and how it ended; a broken observer is no obstacle', async () => {
    await send('POST', '/api/v1/things', json({ name: 'a' }))
    await send('POST', '/api/v1/things', json({}))
    await send('GET', '/api/v1/things')
    await until(() => audited.length === 2)
    expect(audited).toMatchObject([{ method: 'POST', url: '/api/v1/things', status: 201, principal: { id: 'test' } }, { status: 400 }])
  })
})

describe('conditional requests', () => {
  test('a GET whose ETag is known is answered 304, without a body', async () => {
    const first = await send('GET', '/api/v1/things/one/a')
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[\w-]{27}"$/)
    const again = await send('GET', '/api/v1/things/one/a', { headers: { 'if-none-match': `"other", W/${etag}` } })
    expect(again).toMatchObject({ status: 304, body: {} })
    expect((await send('GET', '/api/v1/things/one/b', { headers: { 'if-none-match': etag } })).status).toBe(200)
  })
  test.each([['"7"', 200], ['"6", "7"', 200], ['*', 200], [undefined, 200], ['"6"', 412], ['W/"7"', 412]])('a change with If-Match %s → %i', async (given, status) => {
    const answer = await send('PUT', '/api/v1/things/one/a', json({ name: 'a' }, given === undefined ? {} : { 'if-match': given }))
    expect(answer.status).toBe(status)
    if (status === 412) expect(answer.body).toMatchObject({ code: 'PRECONDITION_FAILED', etag: '"7"' })
    else expect(answer.headers.get('etag')).toBe('"8"')
  })
})

describe('Idempotency-Key', () => {
  let number = 0
  const key = () => ({ 'idempotency-key': `key-${++number}` })

  test('the same request again gets the first answer and is not done twice', async () => {
    const header = key()
    const first = await send('POST', '/api/v1/things', json({ name: 'a', size: 1 }, header))
    const second = await send('POST', '/api/v1/things', json({ size: 1, name: 'a' }, header))
    expect(second.status).toBe(201)
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('location')).toBe('/api/v1/things/one/a')
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(made.count).toBe(1)
  })
  test('another body under the same key is a conflict', async () => {
    const header = key()
    await send('POST', '/api/v1/things', json({ name: 'a' }, header))
    expect(await send('POST', '/api/v1/things', json({ name: 'b' }, header))).toMatchObject({ status: 409, body: { code: 'CONFLICT' } })
    expect(made.count).toBe(1)
  })
  test('a refused request is kept too, an invalid one is not', async () => {
    const header = key()
    expect((await send('POST', '/api/v1/things', json({}, header))).status).toBe(400)
    expect((await send('POST', '/api/v1/things', json({ name: 'a' }, header))).status).toBe(201)
  })
  test('a server fault is not kept: the next try is done', async () => {
    const header = key()
    expect((await send('POST', '/api/v1/things/crash', { headers: header })).status).toBe(500)
    expect((await send('POST', '/api/v1/things/crash', { headers: header })).status).toBe(500)
    expect(made.count).toBe(2)
  })
  test('while the first is at work the second waits its turn outside', async () => {
    const header = key()
    const first = send('POST', '/api/v1/things/slow', json({ name: 'a' }, header))
    await until(() => made.count === 1)
    expect(await send('POST', '/api/v1/things/slow', json({ name: 'a' }, header))).toMatchObject({ status: 409, body: { detail: expect.stringContaining('still being answered') } })
    expect((await first).status).toBe(200)
  })
  test('ten at once are done once', async () => {
    const header = key()
    const answers = await Promise.all(Array.from({ length: 10 }, () => send('POST', '/api/v1/things', json({ name: 'a' }, header))))
    expect(made.count).toBe(1)
    for (const { status } of answers) expect([201, 409]).toContain(status)
  })
  test('a body that is a stream is read once, by the route, and the same request again gets the first answer', async () => {
    const init = { body: new Uint8Array(200_000), headers: { 'content-type': 'application/octet-stream', ...key() } }
    expect(await send('PUT', '/api/v1/things/bytes/a', init)).toMatchObject({ status: 200, body: { size: 200_000 } })
    const again = await send('PUT', '/api/v1/things/bytes/a', init)
    expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([200, { size: 200_000 }, 'true'])
    expect((await send('PUT', '/api/v1/things/bytes/b', init)).status).toBe(409)
    expect(made.count).toBe(1)
  })
  test('keys of two accounts are two keys', async () => {
    const header = key()
    await send('POST', '/api/v1/things', json({ name: 'a' }, header))
    const other = await send('POST', '/api/v1/things', json({ name: 'b' }, { ...header, authorization: 'Bearer scopes:write' }))
    expect(other.status).toBe(201)
  })
  test('an answer is not readable in the database', async () => {
    const header = key()
    const { body } = await send('POST', '/api/v1/controllers/tokens', json({ roles: ['rack'] }, header))
    const rows = await daemon.db?.query<{ body: unknown }>('select body from core.idempotency where key = $1', [header['idempotency-key']])
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows)).not.toContain(String(body.token))
    expect((await send('POST', '/api/v1/controllers/tokens', json({ roles: ['rack'] }, header))).body).toEqual(body)
  })
  const set = (header: Readonly<Record<string, string>>, interval: string, status: number | null) => daemon.db?.query('update core.idempotency set created_at = now() - $2::interval, status = $3 where key = $1', [header['idempotency-key'], interval, status])
  test('a key left by a request that died is free after six seconds, any key after a day', async () => {
    const header = key()
    await send('POST', '/api/v1/things', json({ name: 'a' }, header))
    await set(header, '1 second', null)
    const early = await send('POST', '/api/v1/things', json({ name: 'a' }, header))
    expect([early.status, early.headers.get('retry-after')]).toEqual([409, '1'])
    await set(header, '7 seconds', null)
    expect((await send('POST', '/api/v1/things', json({ name: 'a' }, header))).headers.get('idempotency-replayed')).toBeNull()
    await set(header, '25 hours', 201)
    expect((await send('POST', '/api/v1/things', json({ name: 'other' }, header))).status).toBe(201)
    expect(made.count).toBe(3)
  })
  test('a request that takes long keeps its key', async () => {
    const header = key()
    const first = send('POST', '/api/v1/things/slow', json({ name: 'a', size: 3000 }, header))
    await until(() => made.count === 1)
    await set(header, '5 seconds', null)
    await until(async () => (await daemon.db?.query("select from core.idempotency where key = $1 and created_at > now() - interval '4 seconds'", [header['idempotency-key']]))?.length === 1, { what: 'the key to be renewed' })
    expect((await send('POST', '/api/v1/things/slow', json({ name: 'a', size: 3000 }, header))).status).toBe(409)
    expect((await first).status).toBe(200)
  })
  test('what was committed though its answer says that nobody knows is not done again: the retry is told so', async () => {
    const header = key()
    expect(await send('POST', '/api/v1/things/unknown/kept', { headers: header })).toMatchObject({ status: 503, body: { code: 'TRANSACTION_UNKNOWN' } })
    expect(await send('POST', '/api/v1/things/unknown/kept', { headers: header })).toMatchObject({ status: 409, body: { code: 'ALREADY_DONE' } })
    expect(made.count).toBe(1)
  })
  test('what was rolled back though its answer says that nobody knows is done by the retry', async () => {
    const header = key()
    for (const _ of [1, 2]) expect(await send('POST', '/api/v1/things/unknown/lost', { headers: header })).toMatchObject({ status: 503, body: { code: 'TRANSACTION_UNKNOWN' } })
    expect(made.count).toBe(2)
  })
  test('a server fault after the commit is tried again', async () => {
    const header = key()
    for (const _ of [1, 2]) expect((await send('POST', '/api/v1/things/unknown/fault', { headers: header })).status).toBe(500)
    expect(made.count).toBe(2)
  })
  test('a request whose key was taken over while it hung commits nothing', async () => {
    const header = key()
    const first = send('POST', '/api/v1/things/unknown/slow', { headers: header })
    await until(() => made.count === 1)
    await daemon.db?.query("update core.idempotency set body = '{\"claim\": \"another\"}' where key = $1", [header['idempotency-key']])
    expect(await first).toMatchObject({ status: 409, body: { detail: expect.stringContaining('begun anew') } })
    expect(await daemon.db?.query("select from core.change where topic = 'things.slow'")).toEqual([])
  })
  test('a key that is no key is refused', async () => { expect((await send('POST', '/api/v1/things', json({ name: 'a' }, { 'idempotency-key': 'with space' }))).status).toBe(400) })
})

describe('the description', () => {
  test('is OpenAPI 3.1, with the plugins\' routes under their tag, a bearer scheme, and pages', async () => {
    const { body } = await send('GET', '/api/v1/openapi.json')
    expect(body).toMatchObject({
      openapi: '3.1.0',
      security: [{ bearer: [] }],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
      paths: { '/api/v1/things/': { post: { tags: ['things'] }, get: { tags: ['things'] } }, '/api/v1/status': { get: { tags: ['core'] } }, '/api/v1/events': {} }
    })
  })
  test('the page and its parts come from here alone', async () => {
    const page = await (await fetch(`${daemon.url}/api/docs/`)).text()
    const parts = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1] ?? '')
    expect(parts.length).toBeGreaterThan(3)
    for (const part of parts) {
      expect(part).not.toMatch(/^(https?:)?\/\//)
      const answer = await fetch(new URL(part, `${daemon.url}/api/docs/`))
      expect(answer.status, part).toBe(200)
      await answer.body?.cancel()
    }
  })
})

describe('the core\'s own routes', () => {
  test('status tells the controller, its services and links, and no path of this machine', async () => {
    await until(async () => ((await send('GET', '/api/v1/status')).body.linkedRacks as string[]).length === 1)
    const { body } = await send('GET', '/api/v1/status')
    expect(body).toMatchObject({ ready: true, phase: 'ready', controller: { roles: ['region', 'rack'] }, links: [{ up: true }], linkedRacks: [daemon.kernel.controller.id] })
    expect((body.services as { service: string }[]).map(({ service }) => service)).toEqual(expect.arrayContaining(['api', 'api-socket', 'rack-http', 'change-feed', 'housekeeping']))
    expect(JSON.stringify(body)).not.toContain(daemon.dataDirectory)
  })
  test('an enrolment token is made for an admin', async () => {
    const { status, body, headers } = await send('POST', '/api/v1/controllers/tokens', json({}))
    expect(status).toBe(201)
    expect(String(body.token).length).toBeGreaterThan(20)
    expect(Date.parse(String(body.expiresAt)) - Date.now()).toBeGreaterThan(3_500_000)
    expect(headers.get('cache-control')).toBe('no-store')
  })
  test('metrics tell the state of each service', async () => { expect(await (await fetch(`${daemon.url}/metrics`)).text()).toContain('bedplate_service_state{plugin="core",service="api",state="running"} 1') })
  test('the rack serves its plugins\' pages and the probes, without accounts', async () => {
    expect(await (await fetch(`${daemon.rackUrl}/things/file`)).text()).toBe('contents')
    for (const path of ['/livez', '/readyz', '/metrics']) expect((await fetch(`${daemon.rackUrl}${path}`)).status).toBe(200)
    expect(await (await fetch(`${daemon.rackUrl}/nothing`)).json()).toMatchObject({ code: 'NOT_FOUND' })
  })
  test('the API is served on a unix socket as well', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      httpRequest({ socketPath: socket, path: '/api/v1/status', headers: { authorization: `Bearer ${daemon.token}` } }, answer => { answer.resume(); resolve(answer.statusCode) }).on('error', reject).end()
    })
    expect(status).toBe(200)
  })
})
