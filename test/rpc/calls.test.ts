/** Calls both ways, over sockets and over loopback: one suite, two transports. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'
import { Installation, cuttable, schema, type Rack, type Region } from './installation.ts'

let db: TestDatabase
const installation = new Installation()
beforeAll(async () => { db = await testDatabase(); await db.query(schema) })
afterEach(() => installation.end(db))
afterAll(() => db.drop())

interface Pair { readonly region: Region, readonly rack: Rack, cut(): void }
const transports: Record<string, () => Promise<Pair>> = {
  async sockets () {
    const region = await installation.region(db)
    const rack = await installation.linked([region])
    return { region, rack, cut: () => { region.proxy.cut() } }
  },
  async loopback () {
    const region = await installation.region(db, { roles: ['region', 'rack'] })
    const loopback = cuttable(region.end.loopback())
    const rack = await installation.rack({ loopback })
    await rack.start()
    await until(() => rack.end.links().some(link => link.up) && region.end.racks().length > 0)
    return { region, rack, cut: () => { loopback.cut() } }
  }
}

describe.each(Object.keys(transports))('calls over %s', name => {
  const pair = () => (transports[name] as () => Promise<Pair>)()

  test('a rack calls the region, which knows who calls', async () => {
    const { region, rack } = await pair()
    expect(await rack.end.call('probe', 'echo', { text: 'ünï' })).toEqual({ text: 'ünï', region: region.id, rack: rack.id })
  })

  test('the region calls a rack by its id', async () => {
    const { region, rack } = await pair()
    expect(region.end.racks()).toEqual([rack.id])
    expect(await region.end.call(rack.id, 'probe', 'nod', { text: 'hi' })).toEqual({ text: 'hi', region: region.id })
    await expect(region.end.call('nobody', 'probe', 'nod', { text: 'hi' })).rejects.toMatchObject({ code: 'LINK_DOWN', details: { controller: 'nobody' } })
  })

  test('errors keep their code and details; others become CALL_FAILED', async () => {
    const { rack } = await pair()
    await expect(rack.end.call('probe', 'refuse', { how: 'coded' })).rejects.toMatchObject({ code: 'NOT_FOUND', details: { what: 'probe', id: '7' } })
    await expect(rack.end.call('probe', 'refuse', { how: 'odd' })).rejects.toMatchObject({ code: 'CALL_FAILED', message: expect.stringContaining('odd') })
  })

  test('parameters are checked before they leave, results before they are given', async () => {
    const { region, rack } = await pair()
    await expect(rack.end.call('probe', 'once', { text: 7 })).rejects.toMatchObject({ code: 'CALL_INVALID' })
    await expect(rack.end.call('probe', 'nod', { text: '' })).rejects.toMatchObject({ code: 'CALL_INVALID', message: expect.stringContaining('no region answers') })
    await expect(rack.end.call('probe', 'toString', {})).rejects.toMatchObject({ code: 'CALL_INVALID' })
    await expect(rack.end.call('other', 'x', {})).rejects.toMatchObject({ code: 'CALL_INVALID' })
    expect(region.probe.once).toEqual([])
    await expect(rack.end.call('probe', 'wrong', {})).rejects.toMatchObject({ code: 'CALL_FAILED', message: expect.stringContaining('not valid') })
  })

  test('an unanswered call times out, and its handler is told', async () => {
    const { region, rack } = await pair()
    await expect(rack.end.call('probe', 'hang', {})).rejects.toMatchObject({ code: 'CALL_TIMEOUT', details: { method: 'probe.hang', seconds: 0.2 } })
    await until(() => region.probe.aborted === 1)
  })

  test('a caller that gives up aborts the handler', async () => {
    const { region, rack } = await pair()
    const abort = new AbortController()
    const call = rack.end.call('probe', 'hang', {}, { signal: abort.signal, timeout: 10_000 })
    abort.abort()
    await expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await until(() => region.probe.aborted === 1)
  })

  test('a result of a mebibyte comes through, one over the frame limit is a plain error', async () => {
    const { rack } = await pair()
    const text = 'x'.repeat(1_400_000)
    expect(await rack.end.call('probe', 'echo', { text })).toMatchObject({ text })
    await expect(rack.end.call('probe', 'echo', { text: 'x'.repeat(17 * 1024 * 1024) })).rejects.toMatchObject({ code: 'FRAME_INVALID' })
    expect(await rack.end.call('probe', 'echo', { text: 'still up' })).toMatchObject({ text: 'still up' })
  })

  test('a call that is not idempotent fails with its link, and the link comes back', async () => {
    const { region, rack, cut } = await pair()
    region.probe.onCall = () => new Promise(() => {})
    const call = rack.end.call('probe', 'once', { text: 'a' })
    const refused = expect(call).rejects.toMatchObject({ code: 'CALL_UNKNOWN', message: `The link to ${region.id} broke while probe.once was under way there; it may or may not have been done. Look before you repeat it.` })
    await until(() => region.probe.once.length === 1)
    cut()
    await refused
    region.probe.onCall = undefined
    await until(() => rack.end.links().some(link => link.up))
    expect(await rack.end.call('probe', 'once', { text: 'b' })).toEqual({ region: region.id })
    expect(region.probe.once).toEqual(['a', 'b'])
  })
})

describe('two regions', () => {
  test('an idempotent call moves to the other region when its link is cut in the middle', async () => {
    const [a, b] = [await installation.region(db), await installation.region(db)]
    const rack = await installation.linked([a, b])
    let asked: Region | undefined
    for (const region of [a, b]) region.probe.onCall = () => { if (asked !== undefined) return Promise.resolve(); asked = region; return new Promise(() => {}) }
    const call = rack.end.call('probe', 'echo', { text: 'x' })
    const first = await until(() => asked)
    first.proxy.cut()
    expect(await call).toMatchObject({ region: (first === a ? b : a).id })
  })

  test('a rack hears of other regions from the one it knows, and remembers them', async () => {
    const [a, b] = [await installation.region(db, { timing: { tick: 100 } }), await installation.region(db, { advertise: '127.0.0.1' })]
    const rack = await installation.linked([a])
    await until(() => rack.end.links().some(link => link.up && link.controller === b.id))
    await rack.stop()
    a.proxy.live = false
    const again = await installation.rack({ id: rack.id, directory: rack.directory, regions: [a.proxy.url] })
    await again.start()
    await until(() => again.end.links().some(link => link.up && link.controller === b.id))
  })

  test('a region without its database is asked when there is no other', async () => {
    let cut = false
    const query: TestDatabase['query'] = (text, values) => cut ? Promise.reject(new TypeError('no route')) : db.query(text, values)
    const region = await installation.region({ ...db, query }, { timing: { tick: 20, probe: 20, cutOff: 100 } })
    const rack = await installation.linked([region])
    cut = true
    await until(() => rack.end.links().some(link => link.reason !== undefined))
    expect(rack.end.services[0]?.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('no region that is linked can work') as string })
    expect(await rack.end.call('probe', 'echo', { text: 'x' })).toMatchObject({ region: region.id })
  })

  test('a new region is told to the racks of the others as it comes', async () => {
    const a = await installation.region(db, { advertise: '127.0.0.1', timing: { tick: 60_000 } })
    const rack = await installation.linked([a])
    for (const service of [db.feed.service]) await service.start(AbortSignal.timeout(5000))
    const b = await installation.region(db, { advertise: '127.0.0.1' })
    await until(() => rack.end.links().some(link => link.up && link.controller === b.id), { timeout: 3000 })
    await until(() => b.end.links().some(link => link.rack === rack.id))
    await db.feed.service.stop()
  })

  test('a region that misses a rack others are linked with knows which, and is degraded; a rack nobody hears of is missed by nobody', async () => {
    const [a, b] = [await installation.region(db, { timing: { tick: 50 } }), await installation.region(db, { timing: { tick: 50 } })]
    const rack = await installation.linked([a, b])
    expect([a.end.missed(), b.end.missed()]).toEqual([[], []])
    b.proxy.live = false
    b.proxy.cut()
    await until(() => b.end.missed().length > 0)
    expect(b.end.missed()).toEqual([rack.id])
    expect(b.end.services[0]?.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining(`no link to ${rack.id}, which other regions are linked with`) as string })
    expect(a.end.missed()).toEqual([])
    b.proxy.live = true
    await until(() => b.end.services[0]?.health().state === 'running')
    b.proxy.live = false
    b.proxy.cut()
    await until(() => b.end.missed().length > 0)
    await rack.stop()
    await until(() => b.end.missed().length === 0)
  })

  test('links tell since when, and how they answer', async () => {
    const began = Date.now()
    const [a, b] = [await installation.region(db), await installation.region(db)]
    const rack = await installation.linked([a, b])
    const link = await until(() => rack.end.links().find(one => one.controller === a.id && one.answerTime !== undefined))
    expect(Date.parse(link.since)).toBeGreaterThanOrEqual(began)
    expect(link.silence).toBeLessThan(2000)
    expect(await until(() => a.end.links().find(one => one.answerTime !== undefined))).toMatchObject({ rack: rack.id, since: expect.any(String) as string })
    expect(rack.end.services[0]?.health()).toEqual({ state: 'running' })
    b.proxy.live = false
    b.proxy.cut()
    const gone = await until(() => rack.end.links().find(one => one.controller === b.id && !one.up))
    expect(Date.parse(gone.since)).toBeGreaterThanOrEqual(Date.parse(link.since))
    await until(() => rack.end.services[0]?.health().state === 'degraded')
    expect(rack.end.services[0]?.health()).toMatchObject({ reason: expect.stringMatching(`no link to 1 of 2 regions .${b.id}: `) as string })
  })

  test('a region reached by two addresses gets one link', async () => {
    const region = await installation.region(db)
    const rack = await installation.rack({ regions: [region.proxy.url, `127.0.0.1:${region.end.port()}`], token: await region.end.createToken(['rack'], 60) })
    await rack.start()
    await until(() => rack.end.links().filter(link => link.reason?.includes('linked already')).length === 1)
    expect(rack.end.links().filter(link => link.up)).toHaveLength(1)
    expect(region.end.racks()).toEqual([rack.id])
  })
})
