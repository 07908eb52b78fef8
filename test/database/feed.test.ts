/** The change feed on a real server: nothing is missed, whatever the order of commits and whoever cuts a line. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { Change } from '../../core/database/database.ts'
import { createFeed, pruneChanges } from '../../core/database/feed.ts'
import type { Feed } from '../../core/database/feed.ts'
import { horizonOf, parsePosition } from '../../core/database/position.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { BedplateError, hasCode } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

let db: TestDatabase
let other: DatabaseHandle // another region
let single: DatabaseHandle // one connection, there already: of a pool's growth nobody could tell whether something leaks
const signal = new AbortController().signal
const heard: Change[] = []
let gaps = 0
let feed: Feed
beforeAll(async () => {
  db = await testDatabase({ size: 20 })
  other = await openDatabase(db.options)
  single = await openDatabase({ ...db.options, size: 1 })
})
afterAll(async () => { await single.close(); await other.close(); await db.drop() })
beforeEach(async () => {
  heard.length = 0
  gaps = 0
  feed = createFeed({ query: db.query, listen: db.listen, clock: systemClock, log: createLogger('silent'), every: 200 })
  feed.subscribe(changes => { heard.push(...changes) }, () => { gaps++ })
  await feed.service.start(signal)
})
afterEach(() => feed.service.stop())

const change = (...ids: string[]) => other.tx(async tx => { for (const id of ids) await tx.changed('test.row', id) })
const ids = (changes: readonly Change[]) => changes.map(({ id }) => id)

/** A transaction that is open until it is told to commit. */
async function opened (id: string): Promise<{ commit(): Promise<unknown> }> {
  const ready = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const done = other.tx(async tx => {
    await tx.query("insert into core.change (topic, id) values ('test.row', $1)", [id]) // now, so that its number is the lower one
    ready.resolve()
    await go.promise
  })
  await ready.promise
  return { async commit () { go.resolve(); await done; await other.query("select pg_notify('core_change', '')") } }
}

describe('a subscriber', () => {
  test('hears what another region commits', async () => {
    await change('1', '2')
    await until(() => heard.length === 2)
    expect(heard.map(({ topic, id }) => `${topic} ${id}`)).toEqual(['test.row 1', 'test.row 2'])
    expect(new Set(heard.map(({ seq }) => seq)).size).toBe(2)
  })

  test('hears each of the things that one transaction changed, of all topics, and can tell them apart', async () => {
    const many = Array.from({ length: 1201 }, (_, n) => `many-${n}`)
    await other.tx(async tx => {
      for (const id of many) { await tx.changed('test.row', id); await tx.changed('test.other', id) }
      await tx.changed('test.lonely', 'one')
    })
    await until(() => heard.length >= 2403)
    for (const topic of ['test.row', 'test.other']) expect(ids(heard.filter(change => change.topic === topic))).toEqual(many)
    expect(ids(heard.filter(({ topic }) => topic === 'test.lonely'))).toEqual(['one'])
    expect(new Set(heard.map(({ seq }) => seq)).size).toBe(2403)
  })

  test('hears a thing again under the same number when it is read again', async () => {
    const start = await feed.position()
    await change('1', '2')
    await until(() => heard.length === 2)
    expect((await other.feed.since(start)).changes).toEqual(heard)
  })

  test('hears each change exactly once though a transaction that began first commits last', async () => {
    const a = await opened('A')
    await change('B')
    await until(() => heard.length === 1)
    expect(ids(heard)).toEqual(['B'])
    await change('C')
    await until(() => heard.length === 2)
    await a.commit()
    await until(() => heard.length === 3)
    expect(ids(heard)).toEqual(['B', 'C', 'A'])
    expect(BigInt(heard[2]?.seq ?? 0)).toBeLessThan(BigInt(heard[0]?.seq ?? 0)) // that is the trap
    await change('D')
    await until(() => heard.length >= 4)
    expect(ids(heard)).toEqual(['B', 'C', 'A', 'D'])
  })

  test('hears nothing of what is rolled back', async () => {
    await expect(other.tx(async tx => { await tx.changed('test.row', 'never'); await tx.query('select 1/0') })).rejects.toMatchObject({ code: '22012' })
    await change('after')
    await until(() => heard.length > 0)
    expect(ids(heard)).toEqual(['after'])
  })

  test('misses nothing and hears nothing twice among many writers of many lengths', async () => {
    const writers = Array.from({ length: 12 }, async (_, writer) => {
      for (let n = 0; n < 25; n++) {
        await db.tx(async tx => {
          await tx.query("insert into core.change (topic, id) values ('test.row', $1)", [`${writer}-${n}-first`])
          if ((writer + n) % 3 === 0) await tx.query('select pg_sleep($1)', [0.001 * ((writer * 7 + n) % 10)])
          await tx.changed('test.row', `${writer}-${n}-last`)
        })
      }
    })
    await Promise.all(writers)
    await until(() => heard.length >= 600, { timeout: 10_000, what: '600 changes' })
    expect(heard.length).toBe(600)
    expect(new Set(ids(heard)).size).toBe(600)
  })

  test('that throws does not stop the others', async () => {
    const before: Change[] = []
    const leave = feed.subscribe(() => { throw new TypeError('subscriber') })
    const leaveToo = feed.subscribe(changes => { before.push(...changes) })
    await change('x')
    await until(() => before.length === 1 && heard.length === 1)
    leave()
    leaveToo()
    await change('y')
    await until(() => heard.length === 2)
    expect(before.length).toBe(1)
  })

  test('hears a change whose NOTIFY never came', async () => {
    await other.query("insert into core.change (topic, id) values ('test.row', 'silent')")
    await until(() => heard.length === 1)
    expect(ids(heard)).toEqual(['silent'])
  })

  test('is told of a gap when the log was pruned beyond what it had read', async () => {
    await feed.service.stop()
    let cut = false
    feed = createFeed({ query: (text, values) => cut ? Promise.reject(new TypeError('cut')) : db.query(text, values), listen: db.listen, clock: systemClock, log: createLogger('silent'), every: 50 })
    feed.subscribe(changes => { heard.push(...changes) }, () => { gaps++ })
    await feed.service.start(signal)
    cut = true
    await until(() => feed.service.health().state === 'degraded')
    await change('pruned')
    await other.tx(tx => pruneChanges(tx, 0))
    cut = false
    await until(() => gaps > 0)
    // Transactions that are open in any database of the server keep the horizon behind what was pruned: then there is more than one gap, and what falls into it is not told.
    await until(async () => { await change('next'); return heard.length > 0 }, { interval: 100 })
    expect(new Set(ids(heard))).toEqual(new Set(['next']))
    expect(feed.service.health()).toEqual({ state: 'running' })
  })
})

describe('the listening connection', () => {
  const listeners = () => other.query<{ pid: number }>("select pid from pg_stat_activity where datname = current_database() and (query ilike 'listen %' or query = 'select 1')")

  test('that is killed comes back, and changes arrive meanwhile', async () => {
    const before = await until(async () => (await listeners())[0])
    await other.query('select pg_terminate_backend($1)', [before.pid])
    await change('while it was down')
    await until(() => heard.length === 1)
    await until(async () => { const [now] = await listeners(); return now !== undefined && now.pid !== before.pid })
    await change('after')
    await until(() => heard.length === 2)
    expect(ids(heard)).toEqual(['while it was down', 'after'])
  })

  test('makes a change known long before the periodic read', async () => {
    await feed.service.stop()
    feed = createFeed({ query: db.query, listen: db.listen, clock: systemClock, log: createLogger('silent'), every: 600_000 })
    feed.subscribe(changes => { heard.push(...changes) })
    await feed.service.start(signal)
    await until(async () => (await listeners()).length > 0)
    await change('fast')
    await until(() => heard.length === 1)
  })

  test('is shared by channels, passes payloads on, and survives a listener that throws', async () => {
    const said: string[] = []
    const leave = [db.listen('one', () => { throw new TypeError('listener') }), db.listen('one', payload => { said.push(`one ${payload}`) }), db.listen('two', payload => { said.push(`two ${payload}`) })]
    await until(async () => {
      await other.query("select pg_notify('one', 'a'), pg_notify('two', 'b')")
      return said.includes('one a') && said.includes('two b')
    })
    for (const end of leave) end()
    const count = said.length
    await change('later')
    await until(() => heard.some(({ id }) => id === 'later'))
    await other.query("select pg_notify('one', 'c')")
    await change('last')
    await until(() => heard.some(({ id }) => id === 'last'))
    expect(said.length).toBe(count)
  })
})

describe('since', () => {
  test('gives what came after a position, to any region, and a new position', async () => {
    const start = await feed.position()
    await change('p', 'q')
    const { changes, position, truncated } = await other.feed.since(start)
    expect([ids(changes), truncated]).toEqual([['p', 'q'], false])
    expect((await feed.since(position)).changes).toEqual([])
    expect(ids((await feed.since(start)).changes)).toEqual(['p', 'q'])
  })

  test('gives a transaction that was open when the position was taken', async () => {
    const a = await opened('open')
    await change('closed')
    const position = await feed.position()
    expect((await feed.since(position)).changes).toEqual([])
    await a.commit()
    expect(ids((await feed.since(position)).changes)).toEqual(['open'])
  })

  test('says truncated for a position older than what pruning kept, and not for one that had seen all of it', async () => {
    const old = await feed.position()
    await change('gone')
    const [last] = await db.query<{ xid: string }>('select max(xid)::text as xid from core.change')
    const seen = await until(async () => { const position = await feed.position(); return BigInt(horizonOf(parsePosition(position).snapshot)) > BigInt(last?.xid ?? 0) ? position : undefined }, { what: 'older transactions, in any database of the server, to end' })
    expect(await other.tx(tx => pruneChanges(tx, 0))).toBeGreaterThan(0)
    expect(await feed.since(old)).toMatchObject({ changes: [], truncated: true })
    expect(await feed.since(seen)).toMatchObject({ changes: [], truncated: false })
  })

  test('says truncated for more than the limit', async () => {
    const start = await feed.position()
    for (const id of ['1', '2', '3']) await change(id, `${id}b`) // three rows of the log, six things
    expect(ids((await feed.since(start, 6)).changes)).toEqual(['1', '1b', '2', '2b', '3', '3b'])
    expect((await feed.since(start, 2)).truncated).toBe(true)
    const { changes, truncated, position } = await feed.since(start, 5)
    expect([changes, truncated]).toEqual([[], true])
    expect((await feed.since(position)).truncated).toBe(false)
  })

  test('says truncated for another history: another timeline, or a future that was lost in a failover', async () => {
    const position = await feed.position()
    expect((await feed.since(position.replace(/^.{8}/, '000000FF'))).truncated).toBe(true)
    expect((await feed.since(`${position.slice(0, 9)}999999999:999999999:`)).truncated).toBe(true)
  })

  test('refuses what is no position', async () => {
    await expect(feed.since('yesterday')).rejects.toSatisfy(error => hasCode(error, 'INVALID_REQUEST'))
  })

  test('reads by index, so that one more change costs the same in a long log', async () => {
    await other.query("insert into core.change (topic, id) select 'test.bulk', n::text from generate_series(1, 20000) n")
    await other.query('analyze core.change')
    const { snapshot } = parsePosition(await feed.position())
    for (const condition of [`xid >= '${snapshot.xmax}'::xid8`, `xid = any('{${snapshot.xmax}}'::xid8[]) and xid < '${snapshot.xmax}'::xid8`]) {
      const plan = await db.query<{ 'QUERY PLAN': string }>(`explain select from core.change where ${condition}`)
      expect(plan.map(row => row['QUERY PLAN']).join('\n')).toContain('change_xid')
    }
  })
})

describe('since, prepared', () => {
  test('reads by index with a plan for any values, too', async () => {
    await other.query("insert into core.change (topic, id) select 'test.bulk', n::text from generate_series(1, 20000) n")
    await other.query('analyze core.change')
    const position = await single.feed.position()
    for (let round = 0; round < 6; round++) await single.feed.since(position)
    const [prepared] = await single.query<{ name: string }>("select name from pg_prepared_statements where statement like '%core.change_horizon%'")
    const { timeline, snapshot } = parsePosition(position)
    await single.query('set plan_cache_mode = force_generic_plan')
    const plan = await single.query<{ 'QUERY PLAN': string }>(`explain execute ${prepared?.name} ('${timeline}', '${snapshot.xmax}', '${snapshot.xmax}', '{${snapshot.xmax}}', 10001)`)
    await single.query('reset plan_cache_mode')
    const text = plan.map(row => row['QUERY PLAN']).join('\n')
    expect(text.match(/on change_xid|using change_xid/g)?.length, text).toBe(2)
    expect(text).not.toContain('Seq Scan on change ')
  })
})

describe('pruning', () => {
  test('keeps what is younger than its age', async () => {
    const start = await feed.position()
    await change('young')
    await other.tx(tx => pruneChanges(tx, 60_000))
    expect(ids((await feed.since(start)).changes)).toEqual(['young'])
  })
})

describe('the feed service', () => {
  test('may start and stop in any order, any number of times', async () => {
    await Promise.all([feed.service.start(signal), feed.service.stop(), feed.service.start(signal), feed.service.stop(), feed.service.stop()])
    expect(feed.service.health().state).toBe('off')
    await feed.service.start(signal)
    await change('again')
    await until(() => heard.length === 1)
    expect(feed.service.health()).toEqual({ state: 'running' })
  })
})

serviceConformance('the change feed', {
  make: async () => { await single.query('select 1'); return { service: createFeed({ query: single.query, listen: db.listen, clock: systemClock, log: createLogger('silent') }).service } },
  failing: () => ({ service: createFeed({ query: () => Promise.reject(new BedplateError('DATABASE_UNREACHABLE', { hosts: 'h', reason: 'r' })), listen: db.listen, clock: systemClock, log: createLogger('silent') }).service })
})

describe('who follows in the feed\'s steps', () => {
  test('is given what the feed read, from where it read to where it read, and nothing that it did not', async () => {
    const start = await until(() => feed.reached?.())
    await change('1', '2')
    await until(() => heard.length === 2)
    const seen: string[] = []
    let at = start
    for (let read = feed.lately?.(at); read !== undefined; read = feed.lately?.(at)) {
      seen.push(...ids(read.changes))
      if (read.position === at) break
      at = read.position
    }
    expect(seen).toEqual(['1', '2'])
    expect(at).toBe(feed.reached?.())
    expect(feed.lately?.('00000001/1:1:')).toBeUndefined()
    await feed.service.stop()
    expect([feed.lately?.(start), feed.reached?.()]).toEqual([undefined, undefined])
  })
})
