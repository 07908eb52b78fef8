/** Regions that join, controllers that leave or are removed: over real TLS, against the regions' own port. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { admitRegion } from '../../core/rpc/admission.ts'
import { createIdentityStore } from '../../core/rpc/identity.ts'
import { askEnrolment, askLeave, enrol } from '../../core/rpc/joining.ts'
import { deliverFacts } from '../../core/rpc/leaving.ts'
import { createSecrets } from '../../core/secrets.ts'
import { systemClock } from '../../core/clock.ts'
import type { Role } from '../../core/plugin.ts'
import { openRackStore } from '../../core/state/store.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'
import { Installation, facts, newId, schema, type Region } from './installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema); await db.feed.service.start(AbortSignal.timeout(10_000)) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

const shares = { secretKey: 'cd'.repeat(32), database: { hosts: ['db.example'], name: 'n', user: 'u', password: 'hunter2' } }
const url = (region: Region) => `wss://127.0.0.1:${region.end.port()}`
const joining = async (region: Region, roles: readonly Role[], o: { roles?: readonly Role[], version?: string, databaseHosts?: readonly string[], id?: string, directory?: string, token?: string } = {}) => {
  const directory = o.directory ?? await installation.directory()
  const { token = await region.end.createToken(roles, 60), id = newId('host'), ...rest } = o
  return { id, directory, token, store: createIdentityStore(directory), wish: { url: url(region), token, controller: id, hostname: 'host.test', store: createIdentityStore(directory), ...rest } }
}
const member = async (region: Region, roles: readonly Role[]) => {
  const { id, wish, store, directory } = await joining(region, roles)
  const answer = await enrol(wish)
  const identity = await store.load()
  if (identity === undefined) throw new TypeError('no identity')
  return { id, directory, answer, identity }
}
const known = async (id: string) => (await db.query('select 1 from core.controller where id = $1', [id])).length > 0

describe('a region that joins', () => {
  test('is told the database and the key; a rack is not, and neither is a host that did not ask to be a region', async () => {
    const region = await installation.region(db, { shares })
    expect(await askEnrolment((await joining(region, ['region', 'rack'])).wish)).toMatchObject({ roles: ['region', 'rack'], version: '1.0.0', region: shares })
    expect(await askEnrolment((await joining(region, ['rack'])).wish)).not.toHaveProperty('region')
    expect(await askEnrolment((await joining(region, ['region', 'rack'], { roles: ['rack'] })).wish)).not.toHaveProperty('region')
    expect((await askEnrolment((await joining(region, ['region'], { databaseHosts: ['near.example'] })).wish)).region?.database.hosts).toEqual(['near.example'])
  })

  test('two minor versions away is refused before its token is spent; one away is let in', async () => {
    const region = await installation.region(db, { shares })
    const host = await joining(region, ['region'])
    await expect(askEnrolment({ ...host.wish, version: '1.2.0' })).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringMatching(/this controller runs version 1\.2\.0 and the region localhost 1\.0\.0: they may be one minor version apart, no more.*The token is still good/) })
    await expect(askEnrolment({ ...host.wish, version: '2.0.0' })).rejects.toMatchObject({ message: expect.stringContaining('different major versions') })
    await askEnrolment({ ...host.wish, version: '1.1.7' })
  })

  test('whose answer was lost asks again with the same token and key; with another key it is somebody else', async () => {
    const region = await installation.region(db, { shares })
    const host = await joining(region, ['region'])
    const first = await askEnrolment(host.wish)
    const second = await askEnrolment(host.wish)
    expect([second.controller, second.region]).toEqual([first.controller, first.region])
    await rm(`${host.store.directory}/key.pem`)
    await expect(askEnrolment(host.wish)).rejects.toMatchObject({ message: expect.stringContaining('used already') })
  })

  test('once it was linked, its token is used up for itself as well', async () => {
    const region = await installation.region(db)
    const host = await joining(region, ['rack'])
    await enrol(host.wish)
    const rack = await installation.rack({ id: host.id, directory: host.directory, regions: [region.proxy.url] })
    await rack.start()
    await until(async () => (await db.query("select 1 from core.controller where id = $1 and version <> ''", [host.id])).length > 0)
    await expect(askEnrolment(host.wish)).rejects.toMatchObject({ message: expect.stringContaining('used already') })
  })

  test('with a key of another installation is not admitted, and told which file', async () => {
    await installation.region(db)
    const admit = (secrets: ReturnType<typeof createSecrets>, controller = 'x') => admitRegion({ db, secrets, controller, keyFile: '/data/secret.key' })
    await expect(admit(createSecrets(randomBytes(32)))).rejects.toMatchObject({ code: 'START_FAILED', message: expect.stringMatching(/\/data\/secret\.key is not the key of the installation this database belongs to.*bedplate join/) })
    await admit(installation.secrets)
  })
})

describe('a controller that leaves', () => {
  test('may be asked about first, and is forgotten at the second word; a repeated one is left already', async () => {
    const region = await installation.region(db)
    const { id, identity } = await member(region, ['rack'])
    expect(await askLeave(url(region), identity, { check: true })).toMatchObject({ left: false, regions: [{ controller: region.id }] })
    expect(await known(id)).toBe(true)
    expect(await askLeave(url(region), identity, { check: false, delivered: true })).toMatchObject({ left: true })
    expect(await known(id)).toBe(false)
    expect(await askLeave(url(region), identity, { check: false })).toMatchObject({ left: true })
  })

  test('shows a certificate of this installation, or is turned away', async () => {
    const [region, other] = [await installation.region(db), await testDatabase()]
    const elsewhere = new Installation()
    try {
      const stranger = await member(await elsewhere.region(other), ['rack'])
      const { identity } = await member(region, ['rack'])
      await expect(askLeave(url(region), { ...stranger.identity, authority: identity.authority }, { check: false })).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('only a controller with a certificate') })
      await expect(askLeave(url(region), identity, {} as never)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    } finally {
      await elsewhere.end()
      await other.drop()
    }
  })

  test('is not the only region that runs, nor the one with the database', async () => {
    const a = await installation.region(db, { shares: { ...shares, embedded: true } })
    const identityOf = async (region: Region) => { const identity = await createIdentityStore(region.dataDirectory).load(); if (identity === undefined) throw new TypeError('none'); return identity }
    const refusal = async (of: Region, by: Region, check: boolean) => await askLeave(url(by), await identityOf(of), { check }).then(() => '', (error: Error & { code?: string }) => `${error.code} ${error.message}`)
    expect(await refusal(a, a, true)).toMatch(/^CONFLICT localhost holds the embedded database/)
    const b = await installation.region(db)
    expect(await refusal(b, a, true)).toBe('')
    expect(await refusal(b, b, false)).toMatch(/^CONFLICT localhost still runs/)
    await db.query("update core.controller set last_seen_at = now() - interval '10 minutes' where id = $1", [a.id])
    await a.stop()
    expect(await refusal(b, b, true)).toMatch(/^CONFLICT localhost is the only region that runs; the others \(localhost\) have not been seen/)
    await db.query('delete from core.controller where id = $1', [a.id])
    expect(await refusal(b, b, true)).toMatch(/^CONFLICT localhost is the only region:/)
  })

  test('two regions that go at the same time do not both go', async () => {
    const [a, b, c] = [await installation.region(db), await installation.region(db), await installation.region(db)]
    const identities = await Promise.all([a, b].map(region => createIdentityStore(region.dataDirectory).load()))
    await c.stop()
    await db.query('delete from core.controller where id = $1', [c.id])
    const results = await Promise.allSettled([askLeave(url(b), identities[0]!, { check: false }), askLeave(url(a), identities[1]!, { check: false })])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('delivers what is on its disk, from region to region, once and in order', async () => {
    const [dead, region] = [await installation.region(db), await installation.region(db)]
    const { id, directory, identity } = await member(region, ['rack'])
    const store = openRackStore(directory, () => {})
    for (let n = 1; n <= 1200; n++) store.append('probe', 'seen', new Date().toISOString(), JSON.stringify({ n }))
    store.close()
    const at = url(dead)
    await dead.stop()
    const delivery = { dataDirectory: directory, identity, controller: { id, roles: ['rack'] as const, version: '1.0.0' }, clock: systemClock, log: quiet }
    expect(await deliverFacts({ ...delivery, urls: [at], signal: AbortSignal.timeout(700) })).toMatchObject({ left: 1200, reason: expect.stringContaining(at) })
    expect(await deliverFacts({ ...delivery, urls: [at, url(region)], signal: AbortSignal.timeout(20_000) })).toEqual({ left: 0 })
    expect(await facts(db)).toEqual(Array.from({ length: 1200 }, (_, index) => index + 1))
    expect(await deliverFacts({ ...delivery, urls: [], signal: AbortSignal.timeout(1000) })).toEqual({ left: 0 })
  })
})

describe('a controller that is removed', () => {
  test('loses its links within a second everywhere, not at the next look only, and its state is forgotten', async () => {
    const feed = await db.feed.position()
    const [a, b] = [await installation.region(db), await installation.region(db)]
    const rack = await installation.linked([a, b])
    await expect(a.end.remove(rack.id, false)).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/rack\.test was seen \d s ago: it is alive.*bedplate leave/) })
    const removed = performance.now()
    await a.end.remove(rack.id, true)
    await until(() => a.end.racks().length + b.end.racks().length === 0, { timeout: 4000, what: 'the links to close' })
    expect(performance.now() - removed).toBeLessThan(4000)
    await until(() => rack.end.links().every(link => !link.up && link.reason?.includes('was removed: enrol it again')), { what: 'the rack to be told' })
    expect((await db.feed.since(feed)).changes.filter(change => change.topic === 'core.controller').map(change => change.id)).toContain(rack.id)
    await expect(a.end.remove(rack.id, true)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('is let in again by a new token', async () => {
    const region = await installation.region(db)
    const host = await joining(region, ['rack'])
    await enrol(host.wish)
    await region.end.remove(host.id, true)
    await enrol({ ...host.wish, token: await region.end.createToken(['rack'], 60) })
    expect(await db.query('select id from core.controller_removed where id = $1', [host.id])).toEqual([])
    expect(await known(host.id)).toBe(true)
  })

  test('a region that was removed while it ran is told to stop, and is not in the list again', async () => {
    const reasons: string[] = []
    const a = await installation.region(db)
    const b = await installation.region(db, { removed: reason => { reasons.push(reason) } })
    await a.end.remove(b.id, true)
    await until(() => reasons.length > 0, { timeout: 8000, what: 'it to be told' })
    expect(reasons).toEqual([expect.stringMatching(/^This region stops: it was removed from the installation\. "bedplate leave --force"/)])
    expect(await known(b.id)).toBe(false)
    await expect(admitRegion({ db, secrets: installation.secrets, controller: b.id, keyFile: 'k' })).rejects.toMatchObject({ message: expect.stringMatching(/it was removed from the installation on 20/) })
    await expect(a.end.remove(a.id, true)).rejects.toMatchObject({ message: expect.stringContaining('is the region that answers') })
  })

  test('is not one whose row a failover lost: a region puts itself back', async () => {
    const region = await installation.region(db, { timing: { tick: 100 } })
    await db.query('delete from core.controller where id = $1', [region.id])
    await until(() => known(region.id))
  })
})

test('a region tells the ports and addresses others reach it at', async () => {
  const region = await installation.region(db, { advertise: 'a.example:7000' })
  expect(await region.end.controllers()).toMatchObject([{ id: region.id, addresses: ['a.example:7000'], rpcPort: region.end.port(), httpPort: null, api: [], linked: true }])
  const rack = await installation.linked([region])
  await until(() => rack.end.links().some(link => link.url === 'wss://a.example:7000' || link.controller === region.id))
})
