/** Electors on one real database: never two at once, and what the one that lost its term writes is refused. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { Clock } from '../../core/clock.ts'
import type { Query } from '../../core/database/database.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { hasCode } from '../../core/errors.ts'
import { createElector } from '../../core/leader/elector.ts'
import type { Elector, ElectorOptions } from '../../core/leader/elector.ts'
import { look, resign, take } from '../../core/leader/lease.ts'
import type { Term } from '../../core/leader/term.ts'
import { createLogger } from '../../core/log.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

let db: TestDatabase
let second: DatabaseHandle
let name = ''
let number = 0
const electors: Elector[] = []
const signal = new AbortController().signal
const log = createLogger('silent')
const quick = { ttl: 600, renew: 100, margin: 150 }

beforeAll(async () => {
  db = await testDatabase()
  second = await openDatabase(db.options)
  await db.query('create table written (by text, n integer)')
})
afterAll(async () => { await second.close(); await db.drop() })
beforeEach(() => { name = `job-${++number}` })
afterEach(async () => { await Promise.all(electors.splice(0).map(elector => elector.stop())) })

/** The system's clock, with a pause button: what a stopped process or a frozen machine sees when it wakes is simply a later time. */
function jumping (): Clock & { jump(ms: number): void } {
  let offset = 0
  return {
    now: () => systemClock.now() + offset,
    monotonic: () => systemClock.monotonic() + offset,
    sleep: systemClock.sleep,
    jump (ms) { offset += ms }
  }
}

function elector (holder: string, options: Partial<ElectorOptions> = {}): Elector & { readonly gained: Term[], readonly lost: Term[] } {
  const gained: Term[] = []
  const lost: Term[] = []
  const made = createElector({ name, holder, db, clock: systemClock, log, ...quick, onGain: term => { gained.push(term) }, onLoss: term => { lost.push(term) }, ...options })
  electors.push(made)
  return Object.assign(made, { gained, lost })
}
const leading = (one: Elector): Promise<Term> => until(() => one.current(), { what: 'a leader' })
const row = async () => (await db.query<{ holder: string, term: string }>('select holder, term from core.leader where name = $1', [name]))[0]

describe('an elector', () => {
  test('alone becomes leader, renews beyond its TTL, and keeps its term', async () => {
    const a = elector('a')
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
    const five = ['a', 'b', 'c', 'd', 'e'].map((holder, index) => elector(holder, { db: index % 2 === 0 ? db : second }))
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
    const a = elector('a', slow)
    const b = elector('b', { ...slow, db: second })
    await a.start(signal)
    const first = await leading(a)
    await b.start(signal)
    await until(async () => (await db.query("select from pg_stat_activity where datname = current_database() and query = 'listen \"core_leader\"'")).length >= 2, { what: 'both listen' })
    await a.stop()
    expect((await leading(b)).number).toBe(2n)
    expect(first.valid()).toBe(false)
    expect(first.signal.aborted).toBe(true)
    expect(a.lost).toEqual([first])
    expect(a.health().state).toBe('off')
  })

  test('that started again with the same name has a new term', async () => {
    const a = elector('a')
    await a.start(signal)
    await leading(a)
    await a.stop()
    await a.start(signal)
    expect((await leading(a)).number).toBe(2n)
  })

  test('waits for the lease of a crashed leader of the same name to run out', async () => {
    await take(db, { name, holder: 'a' }, quick.ttl, 1)
    const begun = systemClock.monotonic()
    const a = elector('a')
    await a.start(signal)
    expect((await leading(a)).number).toBe(2n)
    expect(systemClock.monotonic() - begun).toBeGreaterThan(quick.ttl * 0.8)
  })

  test('lets its services end before it gives the lease up', async () => {
    const ending = Promise.withResolvers<void>()
    const a = elector('a', { ttl: 20_000, renew: 1_000, onLoss: () => ending.promise })
    await a.start(signal)
    await leading(a)
    const stopped = a.stop()
    await until(() => a.current() === undefined)
    expect((await db.query('select from core.leader where name = $1 and expires_at > clock_timestamp()', [name])).length).toBe(1)
    ending.resolve()
    await stopped
    expect((await db.query('select from core.leader where name = $1 and expires_at > clock_timestamp()', [name])).length).toBe(0)
  })

  test('tells after the gain and after each renewal until when it may be trusted', async () => {
    const kept: { readonly term: Term, readonly until: number, readonly at: number }[] = []
    const a = elector('a', { onKept (term, until) { kept.push({ term, until, at: systemClock.monotonic() }) } })
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
    const a = elector('a', { ready: () => ready })
    const b = elector('b', { db: second })
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
    const hangs: ElectorOptions['db'] = { tx: work => db.tx(work), query: (text, values) => text.includes('update core.leader set expires_at') && hung++ < 2 ? new Promise(() => {}) : db.query(text, values) }
    const a = elector('a', { db: hangs })
    await a.start(signal)
    const term = await leading(a)
    const begun = systemClock.monotonic()
    await until(() => systemClock.monotonic() - begun > quick.ttl * 2)
    expect(hung).toBeGreaterThan(2)
    expect(a.current()).toBe(term)
  })

  test('goes on when a listener throws', async () => {
    const a = elector('a', { onGain () { throw new TypeError('gain') }, onLoss () { throw new TypeError('loss') } })
    await a.start(signal)
    await leading(a)
    await a.stop()
    expect((await db.query('select from core.leader where name = $1 and expires_at > clock_timestamp()', [name])).length).toBe(0)
  })

  test('loses its term when it cannot renew, though the database never said so, and bids again', async () => {
    let cut = false
    const flaky: ElectorOptions['db'] = { tx: work => db.tx(work), query: (text, values) => cut ? new Promise(() => {}) : db.query(text, values) }
    const a = elector('a', { db: flaky })
    await a.start(signal)
    const term = await leading(a)
    cut = true
    await until(() => a.lost.length === 1)
    expect(term.valid()).toBe(false)
    cut = false
    expect(await until(() => a.gained[1]?.number)).toBe(2n)
  })

  test('stops within a moment though the database never answers', async () => {
    const a = elector('a', { db: { tx: work => db.tx(work), query: () => new Promise(() => {}) } })
    await a.start(signal)
    await a.stop() // or the test times out
  })

  test('that is stopped while it bids gives up what it wins later', async () => {
    const slow = Promise.withResolvers<void>()
    let bidding = false
    const a = elector('a', {
      db: {
        tx: work => db.tx(work),
        async query (text, values) {
          if (text.includes('skip locked')) { bidding = true; await slow.promise }
          return await db.query(text, values)
        }
      }
    })
    await a.start(signal)
    await until(() => bidding)
    await a.stop()
    slow.resolve()
    await until(async () => (await db.query('select from core.leader where name = $1 and expires_at <= clock_timestamp()', [name])).length === 1)
    expect(a.gained).toEqual([])
  })

  test('may start and stop in any order, any number of times', async () => {
    const a = elector('a')
    await Promise.all([a.start(signal), a.start(signal), a.stop(), a.stop(), a.start(signal), a.stop(), a.start(signal)])
    await leading(a)
    await Promise.all([a.stop(), a.start(signal), a.stop()])
    expect(a.current()).toBeUndefined()
    expect(a.gained.length).toBe(a.lost.length)
  })
})

describe('a term', () => {
  test('writes while it stands', async () => {
    const a = elector('a')
    await a.start(signal)
    const term = await leading(a)
    await expect(term.write(async tx => { await tx.query("insert into written values ('stands', 1)"); return 7 })).resolves.toBe(7)
    expect((await db.query("select n from written where by = 'stands'"))).toEqual([{ n: 1 }])
  })

  test('of a leader that was paused refuses, by the clock alone', async () => {
    const clock = jumping()
    const a = elector('a', { clock, ttl: 60_000, renew: 20_000 })
    await a.start(signal)
    const term = await leading(a)
    clock.jump(60_000)
    expect(term.valid()).toBe(false)
    expect(a.current()).toBeUndefined()
    await expect(term.write(tx => tx.query("insert into written values ('paused', 1)"))).rejects.toSatisfy(error => hasCode(error, 'TERM_LOST'))
    expect(await db.query("select n from written where by = 'paused'")).toEqual([])
  })

  test('of a leader whose clock stood still is refused by the database', async () => {
    let now = 0
    const stopped: Clock = { now: () => now, monotonic: () => now, sleep: (_ms, signal) => new Promise(resolve => { signal?.addEventListener('abort', () => { resolve() }, { once: true }) }) }
    const a = elector('a', { clock: stopped })
    await a.start(signal)
    const term = await until(() => a.gained[0])
    const b = elector('b', { db: second })
    await b.start(signal)
    await leading(b)
    expect(term.valid()).toBe(true) // as far as it can know
    await expect(term.write(tx => tx.query("insert into written values ('frozen', 1)"))).rejects.toSatisfy(error => hasCode(error, 'TERM_LOST'))
    expect(term.signal.aborted).toBe(true)
    expect(await db.query("select n from written where by = 'frozen'")).toEqual([])
    now = 1e9 // lets it stop
  })

  test('that has run out counts as lost though nobody has taken it', async () => {
    let now = 0
    const stopped: Clock = { now: () => now, monotonic: () => now, sleep: (_ms, signal) => new Promise(resolve => { signal?.addEventListener('abort', () => { resolve() }, { once: true }) }) }
    const a = elector('a', { clock: stopped })
    await a.start(signal)
    const term = await until(() => a.gained[0])
    await until(async () => (await db.query('select from core.leader where name = $1 and expires_at < clock_timestamp()', [name])).length === 1)
    await expect(term.write(async () => {})).rejects.toSatisfy(error => hasCode(error, 'TERM_LOST'))
    now = 1e9
  })

  test('is not taken by another before a write that had begun is committed', async () => {
    const a = elector('a', { ttl: 300, renew: 10_000, margin: 0 })
    await a.start(signal)
    const term = await leading(a)
    const inside = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const write = term.write(async tx => {
      await tx.query("insert into written values ('long', 1)")
      inside.resolve()
      await tx.query('select pg_sleep(0.8)')
      await finish.promise
    })
    await inside.promise
    await a.stop() // gives the lease up, so that anybody might take it
    const b = elector('b', { db: second })
    await b.start(signal)
    expect(await take(second, { name, holder: 'c' }, 100, 1)).toBeUndefined()
    expect(b.current()).toBeUndefined()
    finish.resolve()
    await write
    expect((await leading(b)).number).toBe(2n)
    expect(await db.query("select n from written where by = 'long'")).toEqual([{ n: 1 }])
  })

  test('is renewed while its own write is under way', async () => {
    const a = elector('a')
    await a.start(signal)
    const term = await leading(a)
    await term.write(tx => tx.query('select pg_sleep(1.5)'))
    expect(a.current()).toBe(term)
  })

  test('whose leader stops in the middle of a write keeps nobody out for longer than the TTL', async () => {
    const a = elector('a', { ttl: 300, renew: 10_000, margin: 0 })
    await a.start(signal)
    const term = await leading(a)
    const never = new Promise<void>(() => {})
    const write = term.write(async tx => { await tx.query('select 1'); await Promise.race([never, until(() => b.current())]); await tx.query("insert into written values ('zombie', 1)") })
    const b = elector('b', { db: second })
    await b.start(signal)
    await leading(b)
    await expect(write).rejects.toThrow()
    expect(await db.query("select n from written where by = 'zombie'")).toEqual([])
  })
})

describe('a lease', () => {
  test('is given up by its own term only', async () => {
    const term = await take(db, { name, holder: 'a' }, 60_000, 1)
    expect(term).toBe(1n)
    await resign(db, { name, holder: 'a', term: 2n })
    await resign(db, { name, holder: 'b', term: 1n })
    expect(await take(db, { name, holder: 'b' }, 60_000, 1)).toBeUndefined()
    await resign(db, { name, holder: 'a', term: 1n })
    expect(await take(db, { name, holder: 'b' }, 60_000, 1)).toBe(2n)
  })

  test('taken on a later timeline has a number that no earlier one can have given', async () => {
    const later: Query = { query: (text, values) => db.query(text.replaceAll(/\('x' \|\| left\(.*?::bit\(32\)::integer/g, '3'), values) } // as a server that was promoted twice would say
    expect(await look(later, name)).toEqual({ term: 0n, remaining: 0, timeline: 3 })
    expect(await take(later, { name, holder: 'a' }, 60_000, 2)).toBeUndefined() // it was promoted since we looked
    expect(await take(later, { name, holder: 'a' }, 60_000, 3)).toBe((2n << 32n) + 1n)
    await resign(db, { name, holder: 'a', term: (2n << 32n) + 1n })
    expect(await take(later, { name, holder: 'b' }, 60_000, 3)).toBe((2n << 32n) + 2n)
    name = `job-${++number}`
    expect(await take(db, { name, holder: 'a' }, 60_000, 1)).toBe(1n)
    await resign(db, { name, holder: 'a', term: 1n })
    expect(await take(later, { name, holder: 'b' }, 60_000, 3)).toBe((2n << 32n) + 1n)
  })

  test('goes to exactly one of twenty that bid at once, first and again', async () => {
    const fresh = [await openDatabase(db.options), await openDatabase(db.options)] as const // tests before this one had connections of the others ended by the server
    for (const expected of [1n, 2n]) {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => take(fresh[i % 2 ? 0 : 1], { name, holder: `h${i}` }, 60_000, 1)))
      const won = answers.flatMap((term, i) => term === undefined ? [] : [{ term, holder: `h${i}` }])
      expect(won.map(({ term }) => term)).toEqual([expected])
      for (const { term, holder } of won) await resign(db, { name, holder, term })
    }
    for (const handle of fresh) await handle.close()
  })
})

let single: DatabaseHandle // one connection, there already: of a pool's growth nobody could tell whether something leaks
beforeAll(async () => { single = await openDatabase({ ...db.options, size: 1 }) })
afterAll(() => single.close())
serviceConformance('an elector', {
  make: async () => { await single.query('select 1'); return { service: createElector({ name: `conforming-${++number}`, holder: 'a', db: single, clock: systemClock, log, ...quick, onGain () {}, onLoss () {} }) } }
})
