/** The services of both ends keep the contract of a service. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { createHooks } from '../../core/hooks.ts'
import { createLogger } from '../../core/log.ts'
import { createMetrics } from '../../core/metrics.ts'
import type { Service } from '../../core/plugin.ts'
import { createSecrets } from '../../core/secrets.ts'
import { createRackEnd } from '../../core/rpc/client.ts'
import { createRegionEnd } from '../../core/rpc/server.ts'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { serviceConformance } from '../kit/conformance/service.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { rackProbe, regionProbe } from './installation.ts'
import { rm } from 'node:fs/promises'

let db: TestDatabase
const directories: string[] = []
const busy = createServer()
beforeAll(async () => {
  db = await testDatabase()
  await new Promise<void>(resolve => { busy.listen(0, '127.0.0.1', resolve) })
})
// What the parts do at the same time needs several connections: had before a test, they are none of its leaks.
beforeEach(() => Promise.all([1, 2, 3].map(() => db.query('select pg_sleep(0.02)'))))
afterAll(async () => {
  busy.close()
  await db.drop()
  await Promise.all(directories.map(path => rm(path, { recursive: true, force: true })))
})

const secrets = createSecrets(randomBytes(32))
const shared = (id: string) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'bedplate-services-'))
  directories.push(dataDirectory)
  return { controller: { id, hostname: 'localhost', roles: ['region' as const, 'rack' as const], version: '1.0.0', dataDirectory }, log: createLogger('silent'), clock: systemClock, metrics: createMetrics(), hooks: createHooks() }
}
const region = (port = 0) => createRegionEnd({ ...shared('region'), db, secrets, halves: [regionProbe(db, 'region').half], listen: { host: '127.0.0.1', port, advertise: ['127.0.0.1'] } })
const part = (services: readonly Service[], index: number) => {
  const service = services[index]
  if (service === undefined) throw new TypeError('no such service')
  return { service }
}

serviceConformance('the region\'s links', { make: () => part(region().services, 0), failing: () => part(region((busy.address() as AddressInfo).port).services, 0), turns: 10 })
serviceConformance('the region\'s wanted state', { make: () => part(region().services, 1), turns: 10 })
serviceConformance('the rack\'s links', { make: () => part(createRackEnd({ ...shared('rack'), halves: [rackProbe().half], regions: ['127.0.0.1:1'] }).services, 0), turns: 10 })
serviceConformance('the rack\'s links over loopback', {
  make: () => { const end = region(); return part(createRackEnd({ ...shared('region'), halves: [rackProbe().half], regions: [], loopback: end.loopback() }).services, 0) },
  turns: 10
})

test('a controller port that is taken is told with the command that shows by whom', async () => {
  const { service } = part(region((busy.address() as AddressInfo).port).services, 0)
  await expect(service.start(AbortSignal.timeout(10_000))).rejects.toMatchObject({ code: 'START_FAILED', message: expect.stringMatching(/The controller port 127\.0\.0\.1:\d+ failed to start: .*"ss -lptn" names it/) })
})

test('a region\'s address that is none is a fault of the configuration, with its path', () => {
  expect(() => createRackEnd({ ...shared('rack'), halves: [], regions: ['region.example', 'http://a b'] })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('$.regions[1]: "http://a b" is not the address of a region: give host or host:port') }))
})
