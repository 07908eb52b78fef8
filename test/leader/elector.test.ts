/** Electors on one real database: never two at once, handed over at once, and given up when it cannot be renewed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { createElector } from '../../core/leader/elector.ts'
import type { ElectorOptions } from '../../core/leader/elector.ts'
import { take } from '../../core/leader/lease.ts'
import type { Term } from '../../core/leader/term.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { until } from '../kit/wait.ts'
import { electorsOfFile, leading, log, quick, signal } from './electors.ts'

const on = electorsOfFile()
const row = async () => (await on.db.query<{ holder: string, term: string }>('select holder, term from core.leader where name = $1', [on.name]))[0]

describe('an elector', () => {
  test('alone becomes leader, renews beyond its TTL, and keeps its term', async () => {
    const a = on.elector('a')
    await a.start(signal)
    const term = await leading(a)
    const begun = systemClock.monotonic()
    await until(() => systemClock.monotonic() - begun > quick.ttl * 2)
    expect(a.current()).toBe(term)
    expect(term.number).toBe(1n)
    expect(await row()).toEqual({ holder: 'a', term: '1' })
    expect(a.health()).toEqual({ state: 'running' })
  })

  test('of five on one database leads alone, at every moment, however leaders come and go', async () => {
    const five = ['a', 'b', 'c', 'd', 'e'].map((holder, index) => on.elector(holder, { db: index % 2 === 0 ? on.db : on.second }))
    let most = 0
    const watch = setInterval(() => { most = Math.max(most, five.filter(one => one.current() !== undefined).length) }, 1)
    await Promise.all(five.map(one => one.start(signal)))
    const terms: bigint[] = []
    for (let round = 0; round < 4; round++) {
      const leader = await until(() => five.find(one => one.current()))
      terms.push((await leading(leader)).number)
      await leader.stop()
    }
    clearInterval(watch)
    expect(most).toBe(1)
    expect(terms).toEqual([1n, 2n, 3n, 4n])
  })

  test('that stops hands over at once, long before the TTL', async () => {
    const slow = { ttl: 600_000, renew: 200_000, margin: 2_000 }
    const a = on.elector('a', slow)
    const b = on.elector('b', { ...slow, db: on.second })
    await a.start(signal)
    const first = await leading(a)
    await b.start(signal)
    await until(async () => (await on.db.query("select from pg_stat_activity where datname = current_database() and query = 'listen \"core_leader\"'")).length >= 2, { what: 'both listen' })
    await a.stop()
    expect((await leading(b)).number).toBe(2n)
    expect(first.valid()).toBe(false)
    expect(first.signal.aborted).toBe(true)
    expect(a.lost).toEqual([first])
    expect(a.health().state).toBe('off')
  })

  test('that started again with the same name has a new term', async () => {
    const a = on.elector('a')
    await a.start(signal)
    await leading(a)
    await a.stop()
    await a.start(signal)
    expect((await leading(a)).number).toBe(2n)
  })

  test('waits for the lease of a crashed leader of the same name to run out', async () => {
    await take(on.db, { name: on.name, holder: 'a' }, quick.ttl, 1)
    const begun = systemClock.monotonic()
    const a = on.elector('a')
    await a.start(signal)
    expect((await leading(a)).number).toBe(2n)
    expect(systemClock.monotonic() - begun).toBeGreaterThan(quick.ttl * 0.8)
  })

  test('lets its services end before it gives the lease up', async () => {
    const ending = Promise.withResolvers<void>()
    const a = on.elector('a', { ttl: 20_000, renew: 1_000, onLoss: () => ending.promise })
    await a.start(signal)
    await leading(a)
    const stopped = a.stop()
    await until(() => a.current() === undefined)
    expect((await on.db.query('select from core.leader where name = $1 and expires_at > clock_timestamp()', [on.name])).length).toBe(1)
    ending.resolve()
    await stopped
    expect((await on.db.query('select from core.leader where name = $1 and expires_at > clock_timestamp()', [on.name])).length).toBe(0)
  })

  test('tells after the gain and after each renewal until when it may be trusted', async () => {
    const kept: { readonly term: Term, readonly until: number, readonly at: number }[] = []
    const a = on.elector('a', { onKept (term, until) { kept.push({ term, until, at: systemClock.monotonic() }) } })
    await a.start(signal)
    await until(() => kept.length >= 3)
    expect(a.gained).toEqual([kept[0]?.term])
    for (const [index, one] of kept.entries()) {
      expect(one.term).toBe(a.gained[0])
      expect(one.until).toBeLessThanOrEqual(one.at + quick.ttl - quick.margin) // counted from before the question
      if (index > 0) expect(one.until - (kept[index - 1]?.until ?? 0)).toBeGreaterThanOrEqual(quick.renew * 0.9)
    }
  })

  test('that is not ready does not bid, and gives up when it stops being ready', async () => {
    let ready = false
    const a = on.elector('a', { ready: () => ready })
    const b = on.elector('b', { db: on.second })
    await a.start(signal)
    await b.start(signal)
    await leading(b)
    await b.stop()
    expect(a.gained).toEqual([])
    ready = true
    expect((await leading(a)).number).toBe(2n)
    await b.start(signal)
    ready = false
    expect((await leading(b)).number).toBe(3n)
    expect(a.lost).toEqual(a.gained)
    expect(a.health()).toEqual({ state: 'running' })
  })

  test('keeps its term though one answer hangs: it asks again beside it', async () => {
    let hung = 0
    const hangs: ElectorOptions['db'] = { tx: work => on.db.tx(work), query: (text, values) => text.includes('update core.leader set expires_at') && hung++ < 2 ? new Promise(() => {}) : on.db.query(text, values) }
    const a = on.elector('a', { db: hangs })
    await a.start(signal)
    const term = await leading(a)
    const begun = systemClock.monotonic()
    await until(() => systemClock.monotonic() - begun > quick.ttl * 2)
    expect(hung).toBeGreaterThan(2)
    expect(a.current()).toBe(term)
  })

  test('goes on when a listener throws', async () => {
    const a = on.elector('a', { onGain () { throw new TypeError('gain') }, onLoss () { throw new TypeError('loss') } })
    await a.start(signal)
    await leading(a)
    await a.stop()
    expect((await on.db.query('select from core.leader where name = $1 and expires_at > clock_timestamp()', [on.name])).length).toBe(0)
  })

  test('loses its term when it cannot renew, though the database never said so, and bids again', async () => {
    let cut = false
    const flaky: ElectorOptions['db'] = { tx: work => on.db.tx(work), query: (text, values) => cut ? new Promise(() => {}) : on.db.query(text, values) }
    const a = on.elector('a', { db: flaky })
    await a.start(signal)
    const term = await leading(a)
    cut = true
    await until(() => a.lost.length === 1)
    expect(term.valid()).toBe(false)
    cut = false
    expect(await until(() => a.gained[1]?.number)).toBe(2n)
  })

  test('stops within a moment though the database never answers', async () => {
    const a = on.elector('a', { db: { tx: work => on.db.tx(work), query: () => new Promise(() => {}) } })
    await a.start(signal)
    await a.stop() // or the test times out
  })

  test('that is stopped while it bids gives up what it wins later', async () => {
    const slow = Promise.withResolvers<void>()
    let bidding = false
    const a = on.elector('a', {
      db: {
        tx: work => on.db.tx(work),
        async query (text, values) {
          if (text.includes('skip locked')) { bidding = true; await slow.promise }
          return await on.db.query(text, values)
        }
      }
    })
    await a.start(signal)
    await until(() => bidding)
    await a.stop()
    slow.resolve()
    await until(async () => (await on.db.query('select from core.leader where name = $1 and expires_at <= clock_timestamp()', [on.name])).length === 1)
    expect(a.gained).toEqual([])
  })

  test('may start and stop in any order, any number of times', async () => {
    const a = on.elector('a')
    await Promise.all([a.start(signal), a.start(signal), a.stop(), a.stop(), a.start(signal), a.stop(), a.start(signal)])
    await leading(a)
    await Promise.all([a.stop(), a.start(signal), a.stop()])
    expect(a.current()).toBeUndefined()
    expect(a.gained.length).toBe(a.lost.length)
  })
})

let number = 0
let single: DatabaseHandle // one connection, there already: of a pool's growth nobody could tell whether something leaks
beforeAll(async () => { single = await openDatabase({ ...on.db.options, size: 1 }) })
afterAll(() => single.close())
serviceConformance('an elector', {
  make: async () => { await single.query('select 1'); return { service: createElector({ name: `conforming-${++number}`, holder: 'a', db: single, clock: systemClock, log, ...quick, onGain () {}, onLoss () {} }) } }
})
