/** Enrolment and the certificates that links stand on, over real TLS. */
import { X509Certificate, createHash } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { hasRole, isOld, issue, makeAuthority, makeKey, makeRequest, readRequest } from '../../core/rpc/certificate.ts'
import { createRegistrar } from '../../core/rpc/enrolment.ts'
import { createIdentityStore, faultOf } from '../../core/rpc/identity.ts'
import { enrol } from '../../core/rpc/joining.ts'
import { parseToken, tokenText } from '../../core/rpc/token.ts'
import { systemClock } from '../../core/clock.ts'
import { under } from '../../core/database/claim.ts'
import { claimKey } from '../../core/database/idempotency.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, newId, schema, type Region } from './installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

const join = async (region: Region, token: string, { id = newId('rack'), directory = '', roles = ['rack'] as const } = {}) => {
  const store = createIdentityStore(directory || await installation.directory())
  return { id, store, answer: await enrol({ url: `wss://127.0.0.1:${region.end.port()}`, token, controller: id, hostname: 'rack.test', roles, store }) }
}

test('a rack with a good token gets a certificate, the authority and the regions', async () => {
  const region = await installation.region(db)
  const { id, store, answer } = await join(region, await region.end.createToken(['rack'], 60))
  expect(answer).toMatchObject({ controller: id, regions: [{ controller: region.id }] })
  const identity = await store.load()
  if (identity === undefined) throw new TypeError('no identity')
  expect(faultOf(identity, id, Date.now())).toBeUndefined()
  const certificate = new X509Certificate(identity.certificate)
  expect([hasRole(certificate, 'rack'), hasRole(certificate, 'region')]).toEqual([true, false])
  for (const name of ['key.pem', 'certificate.pem', 'authority.pem']) expect((await stat(`${store.directory}/${name}`)).mode & 0o777).toBe(0o600)
  expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now() - 3_000_000)
  const [row] = await db.query('select hostname, roles from core.controller where id = $1', [id])
  expect(row).toEqual({ hostname: 'rack.test', roles: ['rack'] })
})

test('a token is good once; the refusal says by whom it was used and what to do', async () => {
  const region = await installation.region(db)
  const token = await region.end.createToken(['rack'], 60)
  const { id } = await join(region, token)
  await expect(join(region, token)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringMatching(new RegExp(`used already, by ${id} on .*Make a new enrolment token`)) })
})

test('of two racks with one token at the same moment, one gets in', async () => {
  const region = await installation.region(db)
  const token = await region.end.createToken(['rack'], 60)
  const results = await Promise.allSettled([join(region, token), join(region, token), join(region, token)])
  expect(results.map(result => result.status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
})

test('expired, unknown and overreaching tokens are refused, each with its reason', async () => {
  const region = await installation.region(db)
  const good = await region.end.createToken(['rack'], 60)
  await expect(join(region, await region.end.createToken(['rack'], 0))).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('has expired') })
  await expect(join(region, tokenText({ ...parseToken(good), secret: 'A'.repeat(32) }))).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('no such token') })
  await expect(join(region, good, { roles: ['region', 'rack'] as never })).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('does not allow the role region') })
  await expect(join(region, 'bp1.nonsense')).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('copied whole') })
  await join(region, good)
})

test('a region with another fingerprint never sees the secret', async () => {
  const region = await installation.region(db)
  const token = await region.end.createToken(['rack'], 60)
  const elsewhere = tokenText({ ...parseToken(token), authoritySha256: createHash('sha256').update('x').digest('hex') })
  await expect(join(region, elsewhere)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('another fingerprint') })
  await join(region, token) // unspent: it was not shown
})

test('a token made under an Idempotency-Key is marked in the same commit: nobody makes a second one for the key', async () => {
  const region = await installation.region(db)
  const claim = { key: 'token', principal: 'test', token: 'first', open: true }
  expect(await claimKey(db, claim, 'x')).toBeUndefined()
  await new Promise((resolve, reject) => { under(claim, () => { region.end.createToken(['rack'], 60).then(resolve, reject) }) })
  expect(await claimKey(db, { ...claim, token: 'second' }, 'x')).toMatchObject({ status: 0 })
})

test('the secret is stored hashed only', async () => {
  const region = await installation.region(db)
  const { id, secret } = parseToken(await region.end.createToken(['rack'], 60))
  const [row] = await db.query('select * from core.enrolment_token where id = $1', [id])
  expect(JSON.stringify(row)).not.toContain(secret)
  expect(row).toMatchObject({ roles: ['rack'], used_at: null })
  const [authority] = await db.query<{ sealed_key: string }>('select sealed_key from core.authority')
  expect(authority?.sealed_key).toMatch(/^v1\./)
})

test('a rack that crashed before it stored its certificate enrols again with a new token; a linked one keeps its name', async () => {
  const region = await installation.region(db)
  const directory = await installation.directory()
  const { id, store } = await join(region, await region.end.createToken(['rack'], 60), { directory })
  await rm(`${store.directory}/certificate.pem`)
  await join(region, await region.end.createToken(['rack'], 60), { directory, id })
  const rack = await installation.rack({ id, directory, regions: [region.proxy.url] })
  await rack.start()
  await until(async () => (await db.query("select 1 from core.controller where id = $1 and version <> ''", [id])).length > 0)
  await expect(join(region, await region.end.createToken(['rack'], 60), { id })).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining(`there is a controller ${id} already`) })
  await expect(join(region, await region.end.createToken(['rack'], 60), { id: region.id })).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' })
})

test('a rack without certificate or token says so; a refused one says why and does not ask again', async () => {
  const region = await installation.region(db)
  const bare = await installation.rack({ regions: [region.proxy.url] })
  await bare.start()
  await until(() => { const health = bare.end.services[0]?.health(); return health?.state === 'degraded' && health.reason.includes('not enrolled') })
  const refused = await installation.rack({ regions: [region.proxy.url], token: await region.end.createToken(['rack'], 0) })
  await refused.start()
  await until(() => { const health = refused.end.services[0]?.health(); return health?.state === 'degraded' && health.reason.includes('has expired') })
  const { connections } = region.proxy
  await refused.stop()
  expect(region.proxy.connections).toBe(connections)
})

test('a removed controller loses its link and gets no new one', async () => {
  const region = await installation.region(db, { timing: { tick: 100 } })
  const rack = await installation.linked([region])
  await db.query('delete from core.controller where id = $1', [rack.id])
  await until(() => rack.end.links().some(link => !link.up && link.reason?.includes('was removed: enrol it again')))
  expect(region.end.racks()).toEqual([])
})

test('regions that start together agree on one authority', async () => {
  const shared = installation.secrets
  const authorities = await Promise.all([1, 2, 3, 4].map(async () => (await createRegistrar({ db, secrets: shared, clock: systemClock }).authority()).certificate))
  expect(new Set(authorities).size).toBe(1)
})

test('a region with another secret key cannot use the authority, and says so', async () => {
  await installation.region(db)
  await expect(new Installation().region(db)).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' })
})

test('a rack renews an old certificate over its link, keeping its key', async () => {
  const region = await installation.region(db)
  const directory = await installation.directory()
  const { id, store, answer } = await join(region, await region.end.createToken(['rack'], 60), { directory })
  const authority = await createRegistrar({ db, secrets: installation.secrets, clock: systemClock }).authority()
  const { request } = await readRequest(await makeRequest(await store.key(), id))
  const day = 86_400_000
  const old = await issue(authority, request, { controller: id, roles: ['rack'], addresses: [] }, Date.now() - 300 * day)
  await writeFile(`${store.directory}/certificate.pem`, old)
  const rack = await installation.rack({ id, directory, regions: [region.proxy.url] })
  await rack.start()
  const renewed = await until(async () => { const now = await readFile(`${store.directory}/certificate.pem`, 'utf8'); return now === old ? undefined : now })
  expect(isOld(new X509Certificate(old), Date.now())).toBe(true)
  expect(isOld(new X509Certificate(renewed), Date.now())).toBe(false)
  expect(new X509Certificate(renewed).publicKey.equals(new X509Certificate(answer.certificate).publicKey)).toBe(true)
  await expect(rack.end.call('core', 'renew', { csr: await makeRequest(makeKey(), region.id) })).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' })
})

describe('the port', () => {
  const upgrade = (port: number, options: object, path = '/link') => new Promise<string>(resolve => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, { rejectUnauthorized: false, ...options })
    socket.on('unexpected-response', (_call, response) => { resolve(String(response.statusCode)); socket.terminate() })
    socket.on('open', () => { resolve('open'); socket.terminate() })
    socket.on('error', error => { resolve(error.message) })
  })

  test('gives no link without a certificate, with another authority\'s, or with one that names no rack', async () => {
    const region = await installation.region(db)
    const port = region.end.port() ?? 0
    expect(await upgrade(port, {})).toBe('401')
    const key = makeKey()
    const { request: csr } = await readRequest(await makeRequest(key, 'rack-x'))
    const other = await issue(await makeAuthority(), csr, { controller: 'rack-x', roles: ['rack'], addresses: [] }, Date.now())
    expect(await upgrade(port, { key, cert: other })).toBe('401')
    const authority = await createRegistrar({ db, secrets: installation.secrets, clock: systemClock }).authority()
    const own = (roles: ('region' | 'rack')[], at = Date.now()) => issue(authority, csr, { controller: 'rack-x', roles, addresses: [] }, at)
    expect(await upgrade(port, { key, cert: await own(['region']) })).toBe('401')
    expect(await upgrade(port, { key, cert: await own(['rack'], Date.now() - 400 * 86_400_000) })).toBe('401')
    expect(await upgrade(port, { key, cert: await own(['rack']) })).toBe('403') // nobody enrolled it
    const rack = await installation.linked([region])
    const identity = await createIdentityStore(rack.directory).load()
    expect(await upgrade(port, { key: identity?.key, cert: identity?.certificate })).toBe('open')
    expect(await upgrade(port, { key: identity?.key, cert: identity?.certificate }, '/other')).toBe('404')
  })

  test('answers nonsense with an error, and goes on', async () => {
    const region = await installation.region(db)
    const port = region.end.port() ?? 0
    const post = (path: string, body: string, method = 'POST') => new Promise<number>((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, path, method, rejectUnauthorized: false, agent: false }, response => { response.resume(); resolve(response.statusCode ?? 0) })
      call.on('error', reject)
      call.end(body)
    })
    expect(await post('/enrol', 'not json')).toBe(400)
    expect(await post('/enrol', '{"token":{}}')).toBe(400)
    expect(await post('/enrol', JSON.stringify({ token: { id: 'x', secret: 'y' }, csr: 'no request', hostname: 'h', roles: ['rack'] }))).toBe(403)
    expect(await post('/other', '')).toBe(404)
    expect(await post('/enrol', '', 'GET')).toBe(404)
    expect(await post('/enrol', 'x'.repeat(100_000))).toBe(400)
    const raw = connect(port, '127.0.0.1')
    raw.write('GET / HTTP/1.0\r\n\r\n')
    await new Promise(resolve => { raw.on('close', resolve); raw.on('error', () => {}); raw.resume() })
    await installation.linked([region])
  })

  test('a rack does not link to a peer that is no region', async () => {
    const region = await installation.region(db)
    const rack = await installation.linked([region])
    const identity = await createIdentityStore(rack.directory).load()
    const { createServer } = await import('node:https')
    const impostor = createServer({ key: identity?.key, cert: `${identity?.certificate}${identity?.authority}` })
    await new Promise<void>(resolve => { impostor.listen(0, '127.0.0.1', resolve) })
    await rack.stop()
    const { port } = impostor.address() as { port: number }
    const fooled = await installation.rack({ id: rack.id, directory: rack.directory, regions: [`127.0.0.1:${port}`] })
    await writeFile(`${rack.directory}/identity/regions.json`, '[]')
    await fooled.start()
    await until(() => fooled.end.links().some(link => link.reason?.includes('does not name a region')))
    await fooled.stop()
    impostor.close()
    expect(await readFile(`${rack.directory}/identity/certificate.pem`, 'utf8')).toBe(identity?.certificate)
  })
})
