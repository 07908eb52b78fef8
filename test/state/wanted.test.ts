/** Wanted state from a committed row to a rack's memory and disk, over sockets and over loopback. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, cuttable, putEntry, removeEntry, schema, type Rack, type RackOptions, type Region } from '../rpc/installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema); await db.feed.service.start(new AbortController().signal) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

interface Pair { readonly region: Region, readonly rack: Rack, readonly open: { live: boolean }, cut(): void }
const transports: Record<string, (id: string, o?: RackOptions) => Promise<Pair>> = {
  async sockets (id, o) {
    const region = await installation.region(db)
    const rack = await installation.linked([region], { id, ...o })
    return { region, rack, open: region.proxy, cut: () => { region.proxy.cut() } }
  },
  async loopback (id, o) {
    const region = await installation.region(db, { id, roles: ['region', 'rack'] })
    const loopback = cuttable(region.end.loopback())
    const rack = await installation.rack({ loopback, ...o })
    await rack.start()
    return { region, rack, open: loopback, cut: () => { loopback.cut() } }
  }
}
const state = (rack: Rack) => Object.fromEntries(rack.probe.state)
const holds = (rack: Rack, wanted: Record<string, unknown>, timeout = 5000) => until(() => JSON.stringify(Object.entries(state(rack)).sort()) === JSON.stringify(Object.entries(wanted).sort()), { what: `rack holds ${JSON.stringify(wanted)}, not ${JSON.stringify(state(rack))}`, timeout })
const acknowledged = (region: Region) => until(async () => (await region.end.rackStates()).find(row => row.position !== '' && row.error === null))

describe.each(Object.keys(transports))('wanted state over %s', name => {
  const pair = (id: string, o?: RackOptions) => (transports[name] as typeof transports[string])(id, o)

  test('a new rack gets the whole, then only what changes', async () => {
    await putEntry(db, 'r1', 'a', { n: 1 })
    await putEntry(db, 'r1', 'b', { n: 2 })
    await putEntry(db, 'other', 'c', { n: 3 })
    const { region, rack } = await pair('r1')
    await holds(rack, { a: { n: 1 }, b: { n: 2 } })
    expect(rack.probe.applied.some(({ whole }) => whole)).toBe(true)
    await putEntry(db, 'r1', 'b', { n: 19 }) // the feed has passed what was put in before the rack came, too
    await holds(rack, { a: { n: 1 }, b: { n: 19 } })
    const before = region.probe.asked.length
    await putEntry(db, 'r1', 'b', { n: 20 })
    await holds(rack, { a: { n: 1 }, b: { n: 20 } })
    expect(rack.probe.applied.at(-1)).toEqual({ whole: false, change: { put: [{ kind: 'entry', id: 'b', value: { n: 20 } }], remove: [] } })
    const asked = region.probe.asked.slice(before)
    expect([asked.flat().includes('b'), asked.some(keys => keys === undefined || keys.includes('a'))]).toEqual([true, false])
    await removeEntry(db, 'r1', 'a')
    await holds(rack, { b: { n: 20 } })
    expect(rack.probe.applied.at(-1)).toEqual({ whole: false, change: { put: [], remove: [{ kind: 'entry', id: 'a' }] } })
    expect(await acknowledged(region)).toMatchObject({ rack: 'r1', plugin: 'probe', linked: true })
  })

  test('what changes while the link is down comes as a difference when it is back', async () => {
    await putEntry(db, 'r1', 'a', { n: 1 })
    await putEntry(db, 'r1', 'keep', { n: 9 })
    const { rack, open, cut } = await pair('r1')
    await holds(rack, { a: { n: 1 }, keep: { n: 9 } })
    open.live = false
    cut()
    await until(() => rack.end.links().every(link => !link.up))
    await putEntry(db, 'r1', 'a', { n: 2 })
    await putEntry(db, 'r1', 'b', { n: 3 })
    await removeEntry(db, 'r1', 'keep')
    const applied = rack.probe.applied.length
    open.live = true
    await holds(rack, { a: { n: 2 }, b: { n: 3 } }, 10_000)
    expect(rack.probe.applied.slice(applied).every(one => !one.whole)).toBe(true)
  })

  test('a change that changes no entry of this rack sends nothing', async () => {
    const { region, rack } = await pair('r1')
    await putEntry(db, 'r1', 'mine', { n: 1 })
    await holds(rack, { mine: { n: 1 } })
    const applied = rack.probe.applied.length
    await putEntry(db, 'other', 'theirs', { n: 1 })
    await putEntry(db, 'r1', 'mine', { n: 1 })
    await until(() => region.probe.asked.flat().includes('theirs'))
    await putEntry(db, 'r1', 'mine', { n: 2 })
    await holds(rack, { mine: { n: 2 } })
    expect(rack.probe.applied.slice(applied)).toHaveLength(1)
  })

  test('many changes at once are taken together', async () => {
    const { rack } = await pair('r1')
    await holds(rack, {})
    await Promise.all(Array.from({ length: 60 }, (_, n) => putEntry(db, 'r1', `e${n % 7}`, { n })))
    const rows = await db.query<{ id: string, value: { n: number } }>("select id, value from probe.entry where rack = 'r1'")
    await holds(rack, Object.fromEntries(rows.map(row => [row.id, row.value])))
    expect(rack.probe.applied.length).toBeLessThan(60)
  })

  test('an invalid entry is refused, reported and repaired by the next change; the last good state stands', async () => {
    await putEntry(db, 'r1', 'a', { n: 1 })
    const { region, rack } = await pair('r1')
    await holds(rack, { a: { n: 1 } })
    await putEntry(db, 'r1', 'bad', { n: 'not a number' })
    const refused = await until(async () => (await region.end.rackStates()).find(row => row.error !== null))
    expect(refused.error).toContain('the entry entry bad is not valid: /n must be integer')
    expect(rack.end.services[0]?.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('bad') })
    expect(state(rack)).toEqual({ a: { n: 1 } })
    await putEntry(db, 'r1', 'bad', { n: 5 })
    await holds(rack, { a: { n: 1 }, bad: { n: 5 } })
    await until(async () => (await region.end.rackStates()).every(row => row.error === null))
    expect(rack.end.services[0]?.health()).toEqual({ state: 'running' })
  })

  test('a half that throws at a change keeps its state on disk too, and gets the change again', async () => {
    await putEntry(db, 'r1', 'a', { n: 1 })
    const { region, rack } = await pair('r1')
    await holds(rack, { a: { n: 1 } })
    rack.probe.onApply = () => { throw new TypeError('cannot do that') }
    await putEntry(db, 'r1', 'b', { n: 2 })
    await until(async () => (await region.end.rackStates()).some(row => row.error === 'cannot do that'))
    rack.probe.onApply = undefined
    await rack.stop()
    const again = await installation.rack({ id: 'r1', directory: rack.directory })
    await again.end.restore()
    expect(state(again)).toEqual({ a: { n: 1 } })
    await rack.start()
    await holds(rack, { a: { n: 1 }, b: { n: 2 } })
  })

  test('a whole of many parts arrives as one change', async () => {
    await db.query("insert into probe.entry select 'r1', 'e' || n, jsonb_build_object('n', n) from generate_series(1, 12000) n")
    const { rack } = await pair('r1')
    await until(() => rack.probe.state.size === 12_000, { timeout: 15_000 })
    expect(rack.probe.applied.filter(one => one.change.put.length > 0)).toHaveLength(1)
  })
})

describe('a rack without regions', () => {
  test('starts from its disk, with no region there', async () => {
    await putEntry(db, 'r1', 'a', { n: 1 })
    const region = await installation.region(db)
    const rack = await installation.linked([region], { id: 'r1' })
    await holds(rack, { a: { n: 1 } })
    await rack.stop()
    await region.stop()
    const again = await installation.rack({ id: 'r1', directory: rack.directory, regions: [region.proxy.url] })
    await again.start()
    expect(state(again)).toEqual({ a: { n: 1 } })
    expect(again.probe.applied).toHaveLength(1)
    expect(again.probe.applied[0]?.whole).toBe(true)
    await until(() => again.end.links().some(link => link.reason !== 'not tried yet'))
    expect(again.end.services[0]?.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('no region is reachable') })
  })

  test('an entry that no longer fits the schema is left out at start, and the whole is asked for', async () => {
    await putEntry(db, 'r1', 'a', { n: 1 })
    const region = await installation.region(db)
    const rack = await installation.linked([region], { id: 'r1' })
    await holds(rack, { a: { n: 1 } })
    await rack.stop()
    const { DatabaseSync } = await import('node:sqlite')
    const disk = new DatabaseSync(`${rack.directory}/rack.db`)
    disk.exec(`insert into entry values ('probe', 'entry', 'old', '{"m":1}'), ('probe', 'gone', 'x', '{}'), ('removed', 'entry', 'x', '{}')`)
    disk.close()
    const again = await installation.rack({ id: 'r1', directory: rack.directory, regions: [region.proxy.url] })
    await again.start()
    expect(state(again)).toEqual({ a: { n: 1 } })
    await until(() => again.end.services[0]?.health().state === 'running')
    expect(again.probe.applied.at(-1)?.whole).toBe(true)
  })
})

describe('several regions', () => {
  test('exactly one region feeds the rack; when it goes, another goes on from the same position', async () => {
    const [a, b] = [await installation.region(db), await installation.region(db)]
    await putEntry(db, 'r1', 'a', { n: 1 })
    const rack = await installation.linked([a, b], { id: 'r1' })
    await holds(rack, { a: { n: 1 } })
    const feeding = [a, b].filter(region => region.probe.asked.length > 0)
    expect(feeding).toHaveLength(1)
    const [first] = feeding
    const second = first === a ? b : a
    if (first) { first.proxy.live = false; first.proxy.cut() }
    await putEntry(db, 'r1', 'b', { n: 2 })
    await holds(rack, { a: { n: 1 }, b: { n: 2 } }, 10_000)
    expect(second.probe.asked.every(keys => keys !== 'all')).toBe(true)
  })

  test('loopback is preferred to a socket', async () => {
    const far = await installation.region(db)
    const near = await installation.region(db, { roles: ['region', 'rack'] })
    const loopback = cuttable(near.end.loopback())
    loopback.live = false
    const rack = await installation.rack({ loopback, directory: near.dataDirectory, regions: [far.proxy.url], roles: ['rack'] }) // both ends of a controller have one identity
    await rack.start()
    await putEntry(db, rack.id, 'a', { n: 1 })
    await holds(rack, { a: { n: 1 } }, 10_000)
    expect(far.probe.asked.length).toBeGreaterThan(0)
    loopback.live = true
    await until(() => rack.end.links().filter(link => link.up).length === 2, { timeout: 10_000 })
    await putEntry(db, rack.id, 'b', { n: 2 })
    await holds(rack, { a: { n: 1 }, b: { n: 2 } })
    expect(near.probe.asked.flat()).toContain('b') // a rack takes frames of the link it is subscribed on only
  })

  test('a position of another database is not joined: the whole comes', async () => {
    const region = await installation.region(db)
    await putEntry(db, 'r1', 'a', { n: 1 })
    const rack = await installation.linked([region], { id: 'r1' })
    await holds(rack, { a: { n: 1 } })
    await rack.stop()
    const { DatabaseSync } = await import('node:sqlite')
    const disk = new DatabaseSync(`${rack.directory}/rack.db`)
    disk.exec("update position set position = 'elsewhere/' || substr(position, instr(position, '/') + 1); insert into entry values ('probe', 'entry', 'ghost', '{\"n\":0}')")
    disk.close()
    const again = await installation.rack({ id: 'r1', directory: rack.directory, regions: [region.proxy.url] })
    await again.start()
    await holds(again, { a: { n: 1 } })
    expect(again.probe.applied.at(-1)?.whole).toBe(true)
  })

  test('a lost NOTIFY delays a change, it does not lose it', async () => {
    const region = await installation.region(db)
    const rack = await installation.linked([region], { id: 'r1' })
    await putEntry(db, 'r1', 'a', { n: 1 })
    await holds(rack, { a: { n: 1 } })
    // A writer that dies between its commit and its NOTIFY leaves the rows and no hint.
    await db.query("insert into probe.entry values ('r1', 'quiet', '{\"n\":2}')")
    await db.query("insert into core.change (topic, id) values ('probe.entry', 'quiet')")
    await holds(rack, { a: { n: 1 }, quiet: { n: 2 } }, 10_000)
  })
})
