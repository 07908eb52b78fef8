/** Transactions on a real server: what is kept, what is repeated, what is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BedplateError, hasCode } from '../../core/errors.ts'
import type { Tx } from '../../core/plugin.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'

let db: TestDatabase
beforeAll(async () => {
  db = await testDatabase()
  await db.query('create table account (id integer primary key, balance bigint not null, owner text unique deferrable initially deferred)')
})
afterAll(() => db.drop())
const balance = async (id: number) => (await db.query<{ balance: string }>('select balance from account where id = $1', [id]))[0]?.balance

describe('types', () => {
  test('bigint comes as text, timestamptz as Date, jsonb parsed, date as text', async () => {
    const [row] = await db.query("select 9007199254740993::bigint as big, timestamptz '2030-01-01T00:00:00Z' as moment, '{\"a\":[1]}'::jsonb as json, date '2030-01-31' as day")
    expect(row).toEqual({ big: '9007199254740993', moment: new Date('2030-01-01T00:00:00Z'), json: { a: [1] }, day: '2030-01-31' })
  })
})

describe('a transaction', () => {
  test('keeps everything, or nothing when the work throws', async () => {
    await db.tx(async tx => { await tx.query('insert into account values (1, 10)'); await tx.changed('test.account', '1') })
    const failing = db.tx(async tx => {
      await tx.query('update account set balance = 0 where id = 1')
      await tx.changed('test.account', 'lost')
      throw new BedplateError('CONFLICT', { reason: 'no' })
    })
    await expect(failing).rejects.toThrow('no')
    expect(await balance(1)).toBe('10')
    expect(await db.query("select id from core.change where id = 'lost'")).toEqual([])
  })

  test('writes what it changed of a topic to the log as one row, each thing once, with its own number', async () => {
    const xid = await db.tx(async tx => {
      for (const id of ['a', 'b', 'a', '']) await tx.changed('test.once', id)
      await tx.changed('test.twice', 'a')
      const [row] = await tx.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      return row?.xid
    })
    expect(await db.query("select xid::text, topic, id from core.change where topic in ('test.once', 'test.twice') order by seq")).toEqual([{ xid, topic: 'test.once', id: 'a\nb\n' }, { xid, topic: 'test.twice', id: 'a' }])
  })

  test('that changed very much writes rows of 500', async () => {
    await db.tx(async tx => { for (let n = 0; n < 1201; n++) await tx.changed('test.many', `"${n}\\`) })
    const rows = await db.query<{ id: string }>("select id from core.change where topic = 'test.many' order by seq")
    expect(rows.map(({ id }) => id.split('\n').length)).toEqual([500, 500, 201])
    expect(rows.flatMap(({ id }) => id.split('\n'))).toEqual(Array.from({ length: 1201 }, (_, n) => `"${n}\\`))
  })

  test('that names what changed by an id of two lines is refused in words, and keeps nothing', async () => {
    await expect(db.tx(async tx => {
      await tx.query('insert into account values (5, 5)')
      await tx.changed('test.lines', 'one\ntwo')
    })).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_ABORTED') && (error as Error).message.includes('"one\\ntwo"'))
    expect(await balance(5)).toBeUndefined()
    expect(await db.query("select from core.change where topic = 'test.lines'")).toEqual([])
  })

  test('whose code swallowed a failed statement is refused, not silently dropped', async () => {
    const swallowing = db.tx(async tx => {
      await tx.query('insert into account values (77, 1)')
      await tx.query('insert into account values (77, 1)').catch(() => {})
    })
    await expect(swallowing).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_ABORTED'))
    expect(await balance(77)).toBeUndefined()
  })

  test('that a deferred constraint refuses at commit says so with its SQLSTATE', async () => {
    await db.query("insert into account values (20, 1, 'x')")
    await expect(db.tx(tx => tx.query("insert into account values (21, 1, 'x')"))).rejects.toMatchObject({ code: '23505' })
  })

  test('cannot be used after its end', async () => {
    const { promise, resolve } = Promise.withResolvers<Tx>()
    await db.tx(async tx => { resolve(tx) })
    const late = await promise
    await expect(late.query('select 1')).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_ABORTED'))
    await expect(late.changed('a.b', 'c')).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_ABORTED'))
  })

  test('is repeated after a deadlock, so both of two that cross succeed', async () => {
    await db.query('insert into account values (31, 0), (32, 0)')
    let runs = 0
    const both = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    const cross = (first: number, second: number, mine: 0 | 1) => db.tx(async tx => {
      runs++
      await tx.query('update account set balance = balance + 1 where id = $1', [first])
      both[mine].resolve()
      await both[mine === 0 ? 1 : 0].promise
      await tx.query('update account set balance = balance + 1 where id = $1', [second])
    })
    await Promise.all([cross(31, 32, 0), cross(32, 31, 1)])
    expect([await balance(31), await balance(32)]).toEqual(['2', '2'])
    expect(runs).toBe(3)
  })

  test('is repeated when its connection is ended before the commit', async () => {
    let runs = 0
    await db.tx(async tx => {
      runs++
      await tx.query('insert into account values (40, 1)')
      if (runs === 1) await db.query('select pg_terminate_backend($1)', [(await tx.query<{ pid: number }>('select pg_backend_pid() as pid'))[0]?.pid])
      await tx.query('update account set balance = 2 where id = 40')
    })
    expect(runs).toBe(2)
    expect(await balance(40)).toBe('2')
  })

  test('is not repeated, and says that nobody knows, when the connection breaks while committing', async () => {
    await db.query(`create function slow_commit () returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$;
      create table fragile (id integer);
      create constraint trigger fragile after insert on fragile deferrable initially deferred for each row execute function slow_commit()`)
    let runs = 0
    await expect(db.tx(async tx => { runs++; await tx.query('insert into fragile values (1)') })).rejects.toSatisfy(error => hasCode(error, 'TRANSACTION_UNKNOWN'))
    expect(runs).toBe(1)
  })

  test('gives up after five repetitions', async () => {
    let runs = 0
    await expect(db.tx(async tx => { runs++; await tx.query("do $$ begin raise exception 'again' using errcode = '40001'; end $$") })).rejects.toMatchObject({ code: '40001' })
    expect(runs).toBe(6)
  })
})
