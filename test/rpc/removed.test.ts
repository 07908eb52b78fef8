/** Racks and a region that was removed: its certificate is good for a year, and counts for nothing. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { BedplateError } from '../../core/errors.ts'
import { protocol, removedLimit } from '../../core/rpc/frames.ts'
import { createIdentityStore } from '../../core/rpc/identity.ts'
import { createLink } from '../../core/rpc/link.ts'
import { listen } from '../../core/rpc/listener.ts'
import { removedControllers } from '../../core/state/registry.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { quiet } from '../kit/parts.ts'
import { until } from '../kit/wait.ts'
import { Installation, schema, type Rack, type Region } from './installation.ts'

let db: TestDatabase
const installation = new Installation()
const open: (() => Promise<void>)[] = []
beforeAll(async () => { db = await testDatabase(); await db.query(schema); await db.feed.service.start(AbortSignal.timeout(10_000)) })
afterEach(async () => {
  await installation.end(db)
  for (const close of open.splice(0)) await close()
})
afterAll(() => db.drop())

/** Somebody with the disk of a region that was stopped, at its port: says that it is `name`. Counts the links it is asked for. */
async function impostor (region: Region, port: number, name: string) {
  const identity = await createIdentityStore(region.dataDirectory).load()
  if (identity === undefined) throw new TypeError('no identity')
  const self = { accepted: 0 }
  const listener = await listen({
    host: '127.0.0.1', port, log: quiet, identity, refuse: async () => undefined, enrol: async () => ({}), leave: async () => ({}),
    accept (wire) {
      self.accepted++
      createLink({
        wire, clock: systemClock, self: { t: 'hello', protocol, controller: name, roles: ['region'], version: '1.0.0' },
        answer: () => Promise.reject(new BedplateError('UNAVAILABLE', { reason: 'an impostor' })), receive: () => {}
      })
    }
  })
  open.push(() => listener.close())
  return self
}
const at = (rack: Rack, region: Region) => rack.end.links().find(link => link.url === `wss://${region.proxy.url}`)
const refused = (rack: Rack, region: Region) => until(() => at(rack, region)?.up === false && at(rack, region)?.reason?.includes(`${region.id} was removed from the installation`), { what: 'the removed region to be refused' })
const keptBy = async (rack: Rack): Promise<unknown> => JSON.parse(await readFile(join(rack.directory, 'identity', 'removed.json'), 'utf8'))

test('its certificate is accepted no more, by a rack that starts while nobody else is there either', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const port = b.end.port() ?? 0
  const rack = await installation.linked([a, b])
  await b.stop()
  await a.end.remove(b.id, true)
  await until(async () => (await keptBy(rack) as string[]).includes(b.id), { what: 'the rack to keep it' })
  const fake = await impostor(b, port, b.id)
  await refused(rack, b)
  expect(rack.end.links().find(link => link.controller === a.id)).toMatchObject({ up: true })
  await rack.stop()
  await a.stop()
  const again = await installation.rack({ id: rack.id, directory: rack.directory, regions: [b.proxy.url] })
  await again.start()
  await refused(again, b)
  expect(fake.accepted).toBe(0)
})

test('a link that is up is closed, whether or not the region knows', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const port = b.end.port() ?? 0
  const rack = await installation.linked([a])
  await b.stop()
  const fake = await impostor(b, port, b.id)
  const other = await installation.rack({ id: rack.id, directory: rack.directory, regions: [a.proxy.url, b.proxy.url] })
  await rack.stop()
  await other.start()
  await until(() => at(other, a)?.up === true && at(other, b)?.up === true, { what: 'both links' })
  await a.end.remove(b.id, true)
  await refused(other, b)
  expect(fake.accepted).toBe(1)
})

test('a region says the name in its certificate, and no other', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const port = b.end.port() ?? 0
  const rack = await installation.linked([a, b])
  await b.stop()
  await impostor(b, port, 'region-x')
  await until(() => at(rack, b)?.reason === `the certificate belongs to ${b.id}, not to region-x`, { what: 'the false name to be refused' })
})

test('one that is let in again is linked again', async () => {
  const [a, b] = [await installation.region(db), await installation.region(db)]
  const rack = await installation.linked([a, b])
  await a.end.remove(b.id, true)
  await until(async () => at(rack, b)?.up === false && (await keptBy(rack) as string[]).includes(b.id), { what: 'the link to close' })
  await b.stop()
  await db.query('delete from core.controller_removed where id = $1', [b.id]) // what an enrolment does
  a.end.refresh()
  await until(async () => (await keptBy(rack) as string[]).length === 0, { what: 'the rack to be told' })
  for (const service of b.end.services) await service.start(AbortSignal.timeout(10_000))
  expect(b.end.port()).toBeGreaterThan(0)
  const front = { url: `127.0.0.1:${b.end.port()}` }
  await rack.stop()
  const again = await installation.rack({ id: rack.id, directory: rack.directory, regions: [front.url] })
  await again.start()
  await until(() => again.end.links().some(link => link.up && link.controller === b.id), { what: 'the link to come up' })
})

test('the list holds the newest of a certificate\'s life, and no more than a frame may', async () => {
  await db.query("insert into core.controller_removed select 'old-' || n, 'h', now() - make_interval(days => 400) from generate_series(1, 5) as n")
  await db.query("insert into core.controller_removed select 'new-' || n, 'h', now() - make_interval(secs => n) from generate_series(1, 1200) as n")
  const year = 365 * 86_400
  const ids = await removedControllers(db, year, removedLimit)
  expect([ids.length, ids[0], ids.at(-1)]).toEqual([1000, 'new-1', 'new-1000'])
  const region = await installation.region(db)
  const rack = await installation.linked([region])
  await until(async () => (await keptBy(rack) as string[]).length === 1000, { what: 'the rack to keep them' })
  expect((await removedControllers(db, year, 5000)).filter(id => id.startsWith('old-'))).toEqual([])
})
