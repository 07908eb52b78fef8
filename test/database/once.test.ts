/** Transactions of one statement on a real server: the work and its row of the log are kept together or not at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { under } from '../../core/database/claim.ts'
import type { Once } from '../../core/database/database.ts'
import { createFeed } from '../../core/database/feed.ts'
import { claimKey } from '../../core/database/idempotency.ts'
import { withLog } from '../../core/database/once.ts'
import { hasCode } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import type { Change } from '../../core/plugin.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'
import { until } from '../kit/wait.ts'

let db: TestDatabase
beforeAll(async () => {
  db = await testDatabase()
  await db.query(`create table word (text text primary key, times integer not null default 1);
    create sequence run;
    create function deadlocked_at_first () returns text language plpgsql as $$ begin if nextval('run') = 1 then raise exception 'a cycle' using errcode = '40P01'; end if; return 'patient'; end $$;
    create function deadlocked_always () returns text language plpgsql as $$ begin perform nextval('run'); raise exception 'a cycle' using errcode = '40P01'; end $$;
    create function cut_off () returns text language plpgsql as $$ begin perform nextval('run'); perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return 'cut'; end $$`)
})
afterAll(() => db.drop())

/** Puts words, each once: gives those that are new. */
const putting = (topic: string, words: string, ...values: unknown[]): Once => ({
  work: `put as (insert into word (text) select ${words} on conflict do nothing returning text)`, topic, changed: 'select text from put order by text', rows: 'select text from put order by text', values
})
const put = async (topic: string, ...words: readonly string[]) => (await db.once<{ text: string }>(putting(topic, 'unnest($1::text[])', words))).map(({ text }) => text)
const rows = (topic: string) => db.query<{ id: string, xid: string }>('select id, xid::text from core.change where topic = $1 order by seq', [topic])
const words = async (like: string) => (await db.query<{ text: string }>('select text from word where text like $1 order by text', [like])).map(({ text }) => text)
const runs = async () => (await db.query<{ runs: number }>('select (case when is_called then last_value else 0 end)::int as runs from run'))[0]?.runs
const anew = () => db.query('alter sequence run restart')

describe('a transaction of one statement', () => {
  test('gives its rows, and is kept with one row of the log, of the same transaction', async () => {
    expect(await put('once.kept', 'a1', 'a2')).toEqual(['a1', 'a2'])
    const [row, ...more] = await rows('once.kept')
    expect([row?.id.split('\n').sort(), more]).toEqual([['a1', 'a2'], []])
    expect(await db.query("select distinct xmin::text from word where text in ('a1', 'a2')")).toEqual([{ xmin: String(BigInt(row?.xid ?? 0) & 0xffffffffn) }])
  })

  test('that changed nothing leaves no row in the log', async () => {
    await put('once.first', 'b1')
    expect(await put('once.second', 'b1')).toEqual([])
    expect(await rows('once.second')).toEqual([])
  })

  test('tells the feeds, each thing by itself', async () => {
    const heard: Change[] = []
    const feed = createFeed({ query: db.query, listen: db.listen, clock: systemClock, log: createLogger('silent'), every: 600_000 }) // of itself it looks when it is too late
    feed.subscribe(changes => { heard.push(...changes.filter(({ topic }) => topic === 'once.heard')) })
    await feed.service.start(new AbortController().signal)
    const start = await feed.position()
    for (const round of [1, 2, 3]) { // the first may be found because listening begins
      await put('once.heard', `c${round}`, `d${round}`)
      await until(() => heard.length === 2 * round)
    }
    expect(heard.map(({ id }) => id)).toEqual(['c1', 'd1', 'c2', 'd2', 'c3', 'd3'])
    expect(new Set(heard.map(({ seq }) => seq)).size).toBe(6)
    expect((await feed.since(start)).changes).toEqual(heard)
    await feed.service.stop()
  })

  test('of very many things has rows of 500', async () => {
    const many = Array.from({ length: 1201 }, (_, n) => `many-${n}`)
    const start = await db.feed.position()
    expect((await put('once.many', ...many)).length).toBe(1201)
    expect((await rows('once.many')).map(({ id }) => id.split('\n').length).sort()).toEqual([201, 500, 500]) // in no promised order
    expect((await db.feed.since(start)).changes.map(({ id }) => id).sort()).toEqual([...many].sort())
  })

  test('whose statement fails says so with its SQLSTATE, and keeps nothing', async () => {
    await expect(db.once(putting('once.failed', "text from (values ('x1'), (($1::int / 0)::text)) as w (text)", 1))).rejects.toMatchObject({ code: '22012' })
    expect([await words('x%'), await rows('once.failed')]).toEqual([[], []])
  })

  test('whose rows fail keeps nothing of its work', async () => {
    await expect(db.once({ ...putting('once.rows', '$1', 'e1'), rows: 'select 1 / (count(*) - 1) as n from put' })).rejects.toMatchObject({ code: '22012' })
    expect([await words('e%'), await rows('once.rows')]).toEqual([[], []])
  })

  test.each([['of two lines', ['f1', 'f2\nf3']], ['that is null', [null]]])('that names what changed by an id %s is refused in words, and keeps nothing', async (_, ids) => {
    const naming: Once = { ...putting('once.lines', '$1', 'f'), changed: 'select unnest($2::text[]) from put', values: ['f', ids] }
    await expect(db.once(naming)).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_ABORTED') && (error as Error).message.includes('on one line'))
    expect([await words('f'), await rows('once.lines')]).toEqual([[], []])
  })

  test('that runs into a deadlock is repeated, and kept once', async () => {
    await anew()
    expect(await db.once(putting('once.patient', 'deadlocked_at_first() where $1', true))).toEqual([{ text: 'patient' }])
    expect([await runs(), (await rows('once.patient')).length]).toEqual([2, 1])
  })

  test('is repeated five times and no more', async () => {
    await anew()
    await expect(db.once(putting('once.never', 'deadlocked_always() where $1', true))).rejects.toMatchObject({ code: '40P01' })
    expect(await runs()).toBe(6)
  })

  test('whose connection breaks is not repeated, and says that nobody knows', async () => {
    await anew()
    await expect(db.once(putting('once.cut', 'cut_off() where $1', true))).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_UNKNOWN'))
    expect([await runs(), await words('cut')]).toEqual([1, []])
    expect(await put('once.after', 'g1')).toEqual(['g1'])
  })

  test('may have any topic', async () => {
    await put("once.o'clock; --", 'h1')
    expect((await rows("once.o'clock; --")).map(({ id }) => id)).toEqual(['h1'])
    expect(withLog(putting("a'b", '1'))).toContain("'a''b'")
  })
})

describe('under an Idempotency-Key', () => {
  const claim = async (key: string) => {
    const mine = { key, principal: 'p', token: `${key}-token`, open: true }
    expect(await claimKey(db, mine, 'fingerprint')).toBeUndefined()
    return mine
  }
  const putUnder = (mine: Awaited<ReturnType<typeof claim>>, word: string) => new Promise<string[]>((resolve, reject) => { under(mine, () => { put(`once.${mine.key}`, word).then(resolve, reject) }) })

  test('the commit notes that the work is done', async () => {
    expect(await putUnder(await claim('noted'), 'i1')).toEqual(['i1'])
    expect(await db.query("select status from core.idempotency where key = 'noted'")).toEqual([{ status: 0 }])
    expect((await rows('once.noted')).map(({ id }) => id)).toEqual(['i1'])
  })

  test('nothing is kept when the key was taken over meanwhile', async () => {
    const mine = await claim('taken')
    await db.query("update core.idempotency set body = '{\"claim\": \"another\"}' where key = 'taken'")
    await expect(putUnder(mine, 'j1')).rejects.toSatisfy(error => hasCode(error, 'CONFLICT'))
    expect([await words('j1'), await rows('once.taken')]).toEqual([[], []])
  })
})
