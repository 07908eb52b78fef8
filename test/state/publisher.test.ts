/** The publisher alone: what it does when the feed says nothing, and what it writes down. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createLogger } from '../../core/log.ts'
import { protocol, type Frames, type Hello } from '../../core/rpc/frames.ts'
import { createLink, type Link } from '../../core/rpc/link.ts'
import { wirePair } from '../../core/rpc/loopback.ts'
import { createPublisher, type Publisher } from '../../core/state/publisher.ts'
import { databaseIdentity, enrolController } from '../../core/state/registry.ts'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { putEntry, regionProbe, schema, type RegionProbe } from '../rpc/installation.ts'

let db: TestDatabase
let open: { publisher: Publisher, links: Link[] }[] = []
beforeAll(async () => {
  db = await testDatabase()
  await db.query(schema)
  for (const id of ['r1', 'r2']) await enrolController(db, { id, hostname: id, roles: ['rack'], certificateSha256: '' })
})
afterEach(async () => {
  for (const one of open.splice(0)) { for (const link of one.links) link.close('over'); await one.publisher.service.stop() }
  await db.query('truncate probe.entry, core.rack_state')
})
afterAll(() => db.drop())

const hello = (controller: string, version = '1.0.0'): Hello => ({ t: 'hello', protocol, controller, roles: ['rack'], version })
async function publish (o: { readonly sweepEvery?: number, readonly advanceEvery?: number, readonly version?: string } = {}): Promise<{ publisher: Publisher, probe: RegionProbe, subscribe(rack: string, from?: string, version?: string): Promise<Frames['wanted'][]> }> {
  const probe = regionProbe(db, 'region')
  const publisher = createPublisher({ db, clock: systemClock, log: createLogger('silent'), halves: () => [probe.half], ...o })
  const links: Link[] = []
  open.push({ publisher, links })
  await publisher.service.start(new AbortController().signal)
  return {
    publisher, probe,
    /** A rack that takes everything. */
    async subscribe (rack, from = '', version = '1.0.0') {
      const got: Frames['wanted'][] = []
      const [near, far] = wirePair(rack)
      const region = createLink({ wire: near, self: hello('region'), clock: systemClock, answer: async () => ({}), receive (frame, link) { if (frame.t === 'ack') publisher.acknowledged(link, frame) } })
      const there = createLink({ wire: far, self: hello(rack, version), clock: systemClock, answer: async () => ({}), receive (frame, link) { if (frame.t === 'wanted') { got.push(frame); link.send({ t: 'ack', plugin: frame.plugin, position: frame.to }) } } })
      links.push(region, there)
      await region.ready
      publisher.subscribe(region, { probe: from, unheard: '' })
      return got
    }
  }
}

test('a row that never came into the change log is found by the sweep, and alone is sent', async () => {
  const { subscribe } = await publish({ sweepEvery: 100 })
  await putEntry(db, 'r1', 'a', { n: 1 })
  const got = await subscribe('r1')
  await until(() => got.length > 0)
  await db.query("insert into probe.entry values ('r1', 'silent', '{\"n\":2}')")
  const frame = await until(() => got.find(one => one.put.some(entry => entry.id === 'silent')))
  expect(frame).toMatchObject({ whole: false, put: [{ kind: 'entry', id: 'silent', value: { n: 2 } }], remove: [] })
})

test('a rack\'s position is moved on while nothing of it changes, so that it can be joined later', async () => {
  const { subscribe } = await publish({ advanceEvery: 50 })
  const got = await subscribe('r1')
  await until(() => got.length > 0)
  await putEntry(db, 'r2', 'x', { n: 1 })
  const later = await until(() => got.find(one => !one.whole))
  expect([later.put, later.remove, later.to === got[0]?.to]).toEqual([[], [], false])
})

test('one change is mapped to keys once, however many racks listen', async () => {
  const { probe, subscribe } = await publish({ advanceEvery: 50 })
  const touches = probe.half.running.touches
  let asked = 0
  Object.assign(probe.half.running, { touches: (changes: never) => { asked++; return touches?.(changes) } })
  const [one, two] = [await subscribe('r1'), await subscribe('r2')]
  await until(() => one.length > 0 && two.length > 0)
  asked = 0
  await putEntry(db, 'r2', 'x', { n: 1 })
  await until(() => two.some(frame => frame.put.length > 0))
  expect(asked).toBe(1)
  expect(one.every(frame => frame.put.length === 0)).toBe(true)
})

test('a plugin that cannot say what a change touches costs a computation of everything, not a change', async () => {
  const { probe, subscribe } = await publish({ advanceEvery: 50 })
  Object.assign(probe.half.running, { touches: () => Promise.reject(new TypeError('confused')) })
  const got = await subscribe('r1')
  await until(() => got.length > 0)
  await putEntry(db, 'r1', 'x', { n: 1 })
  await until(() => got.some(frame => !frame.whole && frame.put.length === 1))
})

test('positions are written down, errors cleared, and racks that do not exist left out', async () => {
  const { publisher } = await publish()
  publisher.states.set('r1', 'probe', 'p1', 'wrong')
  publisher.states.set('r1', 'probe', 'p2', undefined)
  publisher.states.set('r2', 'probe', 'p1', 'wrong')
  publisher.states.set('ghost', 'probe', 'p1', undefined)
  await publisher.states.flush()
  expect(await publisher.states.list()).toMatchObject([{ rack: 'r1', position: 'p2', error: null }, { rack: 'r2', position: 'p1', error: 'wrong' }])
})

test('a rack whose position of this database cannot be read gets the whole', async () => {
  const { subscribe } = await publish()
  await putEntry(db, 'r1', 'a', { n: 1 })
  const got = await subscribe('r1', `${await databaseIdentity(db)}/written by another version`)
  await until(() => got.length > 0)
  expect(got[0]).toMatchObject({ whole: true, put: [{ kind: 'entry', id: 'a', value: { n: 1 } }] })
})

test('two databases of one server have different names', async () => {
  const other = await testDatabase()
  try { expect(await databaseIdentity(other)).not.toBe(await databaseIdentity(db)) } finally { await other.drop() }
})

test('a rack gets the whole once after it, or the region it is linked with, was upgraded; not for a third number', async () => {
  await putEntry(db, 'r1', 'a', { n: 1 })
  const region = await publish({ version: '1.1.0' })
  const first = await region.subscribe('r1')
  await until(() => first.length > 0)
  const at = first.at(-1)?.to ?? ''
  const other = await publish({ version: '1.0.7' })
  for (const [where, version] of [[region, '1.1.0'], [other, '1.0.0']] as const) {
    const got = await where.subscribe('r1', at, version)
    await until(() => got.length > 0)
    expect(got[0]).toMatchObject({ whole: true, put: [{ id: 'a' }] })
  }
  const same = await publish({ version: '1.1.9' })
  const got = await same.subscribe('r1', at, '1.0.5')
  await putEntry(db, 'r1', 'b', { n: 2 })
  await until(() => got.some(({ put }) => put.some(({ id }) => id === 'b')))
  expect(got.filter(({ whole }) => whole)).toEqual([])
})

test('beside a feed that runs, it asks the log nothing more, and still every row of many writers comes to every rack', async () => {
  const logger = createLogger('silent')
  let asked = 0
  const feed = { ...db.feed, since: (position: string, limit?: number) => { asked++; return db.feed.since(position, limit) } }
  await db.feed.service.start(new AbortController().signal)
  const probe = regionProbe(db, 'region')
  const publisher = createPublisher({ db: { query: db.query, once: db.once, tx: db.tx, feed }, clock: systemClock, log: logger, halves: () => [probe.half] })
  const links: Link[] = []
  open.push({ publisher, links })
  await publisher.service.start(new AbortController().signal)
  const known: Set<string>[] = []
  for (const rack of ['r1', 'r2']) {
    const mine = new Set<string>()
    known.push(mine)
    const [near, far] = wirePair(rack)
    const region = createLink({ wire: near, self: hello('region'), clock: systemClock, answer: async () => ({}), receive (frame, link) { if (frame.t === 'ack') publisher.acknowledged(link, frame) } })
    const there = createLink({ wire: far, self: hello(rack), clock: systemClock, answer: async () => ({}), receive (frame, link) { if (frame.t === 'wanted') { for (const { id } of frame.put) mine.add(id); link.send({ t: 'ack', plugin: frame.plugin, position: frame.to }) } } })
    links.push(region, there)
    await region.ready
    publisher.subscribe(region, { probe: '' })
  }
  await Promise.all(Array.from({ length: 8 }, async (_, writer) => {
    for (let row = 0; row < 25; row++) for (const rack of ['r1', 'r2']) await putEntry(db, rack, `${writer}-${row}`, row)
  }))
  await until(() => known.every(mine => mine.size === 200))
  expect(asked).toBeLessThan(5)
  await db.feed.service.stop()
})
