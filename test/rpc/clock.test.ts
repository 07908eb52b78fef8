/** Clocks that are wrong: before the time server was found, or set back afterwards. */
import { X509Certificate, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createHooks } from '../../core/hooks.ts'
import { createMetrics } from '../../core/metrics.ts'
import { certificateLife, isOld, issue, makeAuthority, makeKey, makeRequest, readRequest } from '../../core/rpc/certificate.ts'
import { createIdentityStore, faultOf } from '../../core/rpc/identity.ts'
import { createRegionEnd } from '../../core/rpc/server.ts'
import { createSecrets } from '../../core/secrets.ts'
import { createSupervisor } from '../../core/supervise.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'

let db: TestDatabase
let dataDirectory: string
beforeAll(async () => { db = await testDatabase(); dataDirectory = await mkdtemp(join(tmpdir(), 'bedplate-clock-')) })
afterAll(async () => { await db.drop(); await rm(dataDirectory, { recursive: true, force: true }) })

const issued = async (at: number) => {
  const key = makeKey()
  const authority = await makeAuthority()
  const { request } = await readRequest(await makeRequest(key, 'one'))
  return { key, authority: authority.certificate, certificate: await issue(authority, request, { controller: 'one', roles: ['rack'], addresses: [] }, at) }
}

test('the authority is good whatever the clock said when it was made', async () => {
  const { certificate } = await makeAuthority()
  const { validFromDate, validToDate } = new X509Certificate(certificate)
  expect([validFromDate.getUTCFullYear(), validToDate.getUTCFullYear()]).toEqual([2020, 9999])
})

test('a certificate from the future is told as such, and asked for anew', async () => {
  const now = Date.now()
  const identity = await issued(now + certificateLife)
  expect(faultOf(identity, 'one', now)).toMatch(/begins only on .*is this host's clock right\?/)
  expect(isOld(new X509Certificate(identity.certificate), now)).toBe(true)
  const slightly = await issued(now + 1_800_000) // half an hour ahead is no fault: certificates are back-dated by one
  expect([faultOf(slightly, 'one', now), isOld(new X509Certificate(slightly.certificate), now)]).toEqual([undefined, false])
})

test('a region in 1970 waits for its clock with a reason, and opens its port when that is set', async () => {
  let ahead = -Date.now()
  const clock = { ...systemClock, now: () => Date.now() + ahead, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal) }
  const end = createRegionEnd({
    controller: { id: 'early', hostname: 'localhost', roles: ['region'], version: '1.0.0', dataDirectory }, db, secrets: createSecrets(randomBytes(32)), halves: [],
    log: quiet, clock, metrics: createMetrics(), hooks: createHooks(), listen: { host: '127.0.0.1', port: 0, advertise: ['127.0.0.1'] }
  })
  const supervisor = createSupervisor({ log: quiet, clock: { ...clock, sleep: systemClock.sleep } })
  await supervisor.start({ plugin: 'core' }, end.services)
  try {
    expect(supervisor.list().find(({ service }) => service === 'region-links')).toMatchObject({ state: 'dead', reason: expect.stringMatching(/clock says 1970-.*Set it/) })
    expect(await createIdentityStore(dataDirectory).load()).toBeUndefined()
    ahead = 0
    await until(() => supervisor.list().find(({ service }) => service === 'region-links')?.state === 'running', { timeout: 15_000 })
    const identity = await createIdentityStore(dataDirectory).load()
    expect(identity && faultOf(identity, 'early', Date.now())).toBeUndefined()
    expect(end.port()).toBeGreaterThan(0)
  } finally { await supervisor.stop(end.services) }
})
