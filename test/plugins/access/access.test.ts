/** The region half of access behind real routes and a real database: tokens made once, shown once, revoked at once. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHooks } from '../../../core/hooks.ts'
import { createApp } from '../../../core/http/app.ts'
import { audit, authenticate } from '../../../core/http/authenticate.ts'
import { conventions } from '../../../core/http/conditional.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import type { RegionRunning } from '../../../core/plugin.ts'
import { hashOf, newSecret } from '../../../plugins/access/secret.ts'
import { manifest } from '../../../plugins/access/manifest.ts'
import half from '../../../plugins/access/region.ts'
import { manualClock } from '../../kit/clock.ts'
import type { ManualClock } from '../../kit/clock.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'
import { until } from '../../kit/wait.ts'

interface Region {
  readonly running: RegionRunning<typeof manifest, {}>, readonly app: FastifyInstance, readonly clock: ManualClock, readonly lines: string[], readonly directory: string
  call(token: string | undefined, method: NonNullable<InjectOptions['method']>, path: string, body?: object): Promise<{ status: number, body: any }>
}
let db: TestDatabase
let directory: string
beforeAll(async () => {
  db = await testDatabase({ migrations: [manifest], size: 10 })
  directory = await mkdtemp(join(tmpdir(), 'access-'))
})
afterAll(async () => { await db.drop(); await rm(directory, { recursive: true, force: true }) })

async function region (database: TestDatabase, directory: string): Promise<Region> {
  const lines: string[] = []
  const log = pino({ level: 'info' }, new Writable({ write (chunk, _, done) { lines.push(String(chunk)); done() } }))
  const [hooks, clock] = [createHooks(), manualClock()]
  const running = half.setup({
    config: {}, deps: {}, hooks, log, clock, metrics: createMetrics(), db: database,
    controller: { id: 'r1', hostname: 'r1', roles: ['region'], version: '0', dataDirectory: directory },
    secrets: { seal: text => text, open: text => text }, rack: () => ({}), racks: () => []
  })
  const app = createApp(createLogger('silent'))
  conventions(app)
  authenticate(app, hooks)
  audit(app, hooks)
  await app.register(running.routes!, { prefix: '/api/v1/access' })
  await app.ready()
  return {
    running, app, clock, lines, directory,
    async call (token, method, path, body) {
      const answer = await app.inject({ method, url: `/api/v1/access${path}`, headers: token === undefined ? {} : { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { payload: body }) })
      return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() }
    }
  }
}
const never = new AbortController().signal
const kept = async (directory: string) => (await readFile(join(directory, 'admin.token'), 'utf8')).trim()

describe('the first start', () => {
  it('makes one admin token however many regions start at once', async () => {
    const database = await testDatabase({ migrations: [manifest], size: 10 })
    const folders = await Promise.all(Array.from({ length: 5 }, () => mkdtemp(join(directory, 'region-'))))
    const regions = await Promise.all(folders.map(folder => region(database, folder)))
    await Promise.all(regions.map(({ running }) => running.start!(never)))
    const files = await Promise.all(folders.map(folder => readdir(folder)))
    expect(files.flat()).toEqual(['admin.token'])
    const told = regions.flatMap(({ lines }) => lines)
    expect(told).toHaveLength(1)
    const folder = folders[files.findIndex(names => names.length > 0)]!
    const token = await kept(folder)
    expect(JSON.parse(told[0]!).msg).toContain(token)
    expect((await stat(join(folder, 'admin.token'))).mode & 0o777).toBe(0o600)
    for (const one of regions) expect((await one.call(token, 'GET', '/whoami')).body).toEqual({ id: '1', name: 'admin/first', scopes: ['read', 'write', 'admin'] })
    await database.drop()
  })

  it('says nothing and makes nothing the second time', async () => {
    const database = await testDatabase({ migrations: [manifest] })
    const folder = await mkdtemp(join(directory, 'region-'))
    await (await region(database, folder)).running.start!(never)
    const token = await kept(folder)
    const again = await region(database, folder)
    await again.running.start!(never)
    expect([again.lines, await kept(folder), await database.query('select name from access.token')]).toEqual([[], token, [{ name: 'first' }]])
    await database.drop()
  })

  it('finds the token a crash left behind, and drops a draft that never counted', async () => {
    const database = await testDatabase({ migrations: [manifest] })
    const folder = await mkdtemp(join(directory, 'region-'))
    await writeFile(join(folder, 'admin.token.draft'), `${newSecret().text}\n`)
    await (await region(database, folder)).running.start!(never)
    const token = await kept(folder)
    await rm(join(folder, 'admin.token'))
    await writeFile(join(folder, 'admin.token.draft'), `${token}\n`)
    await (await region(database, folder)).running.start!(never)
    expect([await kept(folder), await readdir(folder)]).toEqual([token, ['admin.token']])
    await writeFile(join(folder, 'admin.token.draft'), `${newSecret().text}\n`)
    await (await region(database, folder)).running.start!(never)
    expect([await kept(folder), await readdir(folder)]).toEqual([token, ['admin.token']])
    await database.drop()
  })

  it('stops the start with a reason when the token cannot be kept', async () => {
    const database = await testDatabase({ migrations: [manifest] })
    const one = await region(database, join(directory, 'missing'))
    await expect(one.running.start!(never)).rejects.toMatchObject({ code: 'START_FAILED', message: expect.stringContaining('admin.token') })
    expect(await database.query('select 1 from access.token')).toEqual([])
    await database.drop()
  })
})

describe('tokens', () => {
  let one: Region
  let admin: string
  beforeAll(async () => {
    one = await region(db, directory)
    await one.running.start!(never)
    admin = await kept(directory)
  })
  const make = async (more: object = {}): Promise<{ id: string, token: string }> => (await one.call(admin, 'POST', '/tokens', { name: 'ci', ...more })).body

  it('are shown once and stored as a hash only', async () => {
    const made = await one.call(admin, 'POST', '/tokens', { name: 'ci' })
    expect(made).toMatchObject({ status: 201, body: { name: 'ci', account: 'admin', scopes: ['read', 'write'], expiresAt: null, usedAt: null, token: expect.stringMatching(/^bpt_[\w-]{43}$/) } })
    const { token, prefix, id } = made.body
    expect(token.startsWith(prefix)).toBe(true)
    const list = await one.call(admin, 'GET', '/tokens?limit=1000')
    expect(list.body.items.find((item: { id: string }) => item.id === id)).toEqual({ ...made.body, token: undefined })
    expect(JSON.stringify(await db.query('select t::text from access.token t'))).not.toContain(token.slice(10))
    expect(await db.query('select 1 from access.token where hash = $1', [hashOf(token)])).toHaveLength(1)
  })

  it('say who is asking', async () => {
    const { id, token } = await make()
    expect((await one.call(token, 'GET', '/whoami')).body).toEqual({ id, name: 'admin/ci', scopes: ['read', 'write'] })
  })

  it('are asked for on every route, and nothing else will do', async () => {
    for (const wrong of [undefined, 'nonsense', newSecret().text, `${admin}x`, admin.slice(4)]) {
      expect(await one.call(wrong, 'GET', '/whoami')).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } })
    }
    for (const authorization of ['', 'Bearer', `Basic ${admin}`, `Bearer ${admin} ${admin}`, admin]) {
      expect((await one.app.inject({ url: '/api/v1/access/whoami', headers: { authorization } })).statusCode).toBe(401)
    }
  })

  it('may do what their scopes say', async () => {
    const { token } = await make({ scopes: ['read', 'write'] })
    for (const [method, path, body] of [['GET', '/tokens'], ['POST', '/tokens', { name: 'x' }], ['DELETE', '/tokens/1'], ['GET', '/audit']] as const) {
      expect(await one.call(token, method, path, body)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN', scope: 'admin' } })
    }
  })

  it('no longer count the moment they are revoked, also in another region', async () => {
    const other = await region(db, directory)
    db.feed.subscribe(changes => { one.running.changed!(changes); other.running.changed!(changes) })
    await db.feed.service.start(never)
    const { id, token } = await make()
    for (const at of [one, other]) expect((await at.call(token, 'GET', '/whoami')).status).toBe(200)
    expect((await one.call(admin, 'DELETE', `/tokens/${id}`)).status).toBe(204)
    for (const at of [one, other]) await until(async () => (await at.call(token, 'GET', '/whoami')).status === 401)
    expect((await one.call(admin, 'DELETE', `/tokens/${id}`)).body).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('are asked of the database again after half a minute, should a hint get lost', async () => {
    const { id, token } = await make()
    const deaf = await region(db, directory)
    expect((await deaf.call(token, 'GET', '/whoami')).status).toBe(200)
    await one.call(admin, 'DELETE', `/tokens/${id}`)
    expect((await deaf.call(token, 'GET', '/whoami')).status).toBe(200)
    await deaf.clock.advance(30_000)
    expect((await deaf.call(token, 'GET', '/whoami')).status).toBe(401)
  })

  it('expire', async () => {
    const { token } = await make({ expiresAt: '2020-01-01T00:00:00Z' })
    expect((await one.call(token, 'GET', '/whoami')).status).toBe(401)
    const later = await make({ expiresAt: new Date(one.clock.now() + 5_000).toISOString() }) // the database's clock is years behind the test's
    expect((await one.call(later.token, 'GET', '/whoami')).status).toBe(200)
    await until(async () => (await db.query<{ used_at: Date | null }>('select used_at from access.token where id = $1', [later.id]))[0]?.used_at) // noted beside the answer
    await db.query(`update access.token set expires_at = now() - interval '1 second' where id = $1`, [later.id])
    await one.clock.advance(6_000) // remembered for 30 s, but not beyond its end
    expect((await one.call(later.token, 'GET', '/whoami')).status).toBe(401)
  })

  it('are refused with a reason when the wish is not valid', async () => {
    for (const body of [{}, { name: '' }, { name: 'x', scopes: [] }, { name: 'x', scopes: ['root'] }, { name: 'x', expiresAt: 'tomorrow' }, { name: 'x', more: 1 }]) {
      expect(await one.call(admin, 'POST', '/tokens', body)).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } })
    }
  })

  it('never lock everybody out', async () => {
    const first = (await db.query<{ id: string }>(`select id::text from access.token where name = 'first'`))[0]!.id
    await make({ scopes: ['admin'], expiresAt: '2099-01-01T00:00:00Z' })
    expect(await one.call(admin, 'DELETE', `/tokens/${first}`)).toMatchObject({ status: 409, body: { detail: expect.stringContaining('last one') } })
  })

  it('come in pages', async () => {
    for (let index = 0; index < 5; index++) await make()
    const seen: string[] = []
    for (let after = ''; ;) {
      const { body } = await one.call(admin, 'GET', `/tokens?limit=2${after}`)
      seen.push(...body.items.map((item: { id: string }) => item.id))
      if (body.next === undefined) break
      after = `&after=${body.next}`
    }
    expect(seen).toEqual((await db.query<{ id: string }>('select id::text from access.token t order by t.id')).map(({ id }) => id))
  })

  it('leave a record of every change, who and what', async () => {
    const audit = () => one.call(admin, 'GET', '/audit?limit=3')
    const before = Number((await audit()).body.items[0]?.id ?? 0)
    /** A record is written after its answer was sent: the next request waits, or theirs might change places. */
    const newest = (status: number) => until(async () => { const list = await audit(); return list.body.items[0]?.status === status && Number(list.body.items[0].id) > before ? list : undefined }, { what: `a record of a ${status}` })
    const { id } = await make()
    await newest(201)
    await one.call(admin, 'DELETE', `/tokens/${id}`)
    await newest(204)
    await one.call(undefined, 'POST', '/tokens', { name: 'x' })
    const { body } = await newest(401)
    expect(body.items).toMatchObject([
      { principal: null, tokenId: null, method: 'POST', url: '/api/v1/access/tokens', status: 401 },
      { principal: 'admin/first', method: 'DELETE', url: `/api/v1/access/tokens/${id}`, status: 204 },
      { principal: 'admin/first', method: 'POST', url: '/api/v1/access/tokens', status: 201, at: expect.stringMatching(/Z$/), requestId: expect.any(String) }
    ])
    const older = await one.call(admin, 'GET', `/audit?limit=1&after=${body.next}`)
    expect(Number(older.body.items[0].id)).toBeLessThan(Number(body.next))
  })
})
