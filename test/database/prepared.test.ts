/** Prepared statements on a real server: who gets a name, and what happens when the name is not at the server what it was. */
import { Client } from 'pg'
import type { PoolClient } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { withLog } from '../../core/database/once.ts'
import { pipeline } from '../../core/database/pipeline.ts'
import { openDatabase } from '../../core/database/pool.ts'
import type { DatabaseHandle } from '../../core/database/pool.ts'
import { createStatements } from '../../core/database/prepared.ts'
import { isStale } from '../../core/database/sqlstate.ts'
import { BedplateError } from '../../core/errors.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'

let db: TestDatabase
const handles: DatabaseHandle[] = []
const clients: Client[] = []
beforeAll(async () => { db = await testDatabase() })
afterAll(() => db.drop())
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end()
  for (const handle of handles.splice(0)) await handle.close()
})
async function open (size = 1): Promise<DatabaseHandle> {
  const handle = await openDatabase({ ...db.options, size })
  handles.push(handle)
  return handle
}
/** The client library itself. */
async function library (): Promise<PoolClient> {
  const [host] = db.options.hosts
  const client = new Client({ host: host?.host, port: host?.port, database: db.options.database, user: db.options.user })
  clients.push(client)
  await client.connect()
  return Object.assign(client, { release: () => {} })
}
const rounds = async (count: number, work: () => Promise<unknown>): Promise<void> => { for (let round = 0; round < count; round++) await work() }
const often = 6 // times: then it has a name, and the name was used
const atServer = async (handle: DatabaseHandle): Promise<string[]> => (await handle.query<{ statement: string }>('select statement from pg_prepared_statements order by statement')).map(({ statement }) => statement)
const session = async (handle: DatabaseHandle): Promise<unknown> => (await handle.query('select pg_backend_pid() as pid'))[0]

describe('a statement', () => {
  test('gets a name the fifth time it is sent with values, and the server keeps it', async () => {
    const handle = await open()
    await rounds(4, () => handle.query('select $1::int as n', [1]))
    expect(await atServer(handle)).toEqual([])
    await rounds(2, () => handle.query('select $1::int as n', [1]))
    expect(await handle.query('select $1::int as n', [7])).toEqual([{ n: 7 }])
    expect(await atServer(handle)).toEqual(['select $1::int as n'])
  })

  test('without values may be several, however often it is sent', async () => {
    const handle = await open()
    await handle.query('create table several (n integer)')
    await rounds(often, () => handle.query('insert into several values (1); insert into several values (2)'))
    await rounds(often, () => handle.query('insert into several values (1); insert into several values (2)', []))
    expect(await handle.query('select count(*)::int as count from several')).toEqual([{ count: 24 }])
    expect(await atServer(handle)).toEqual([])
  })

  test('is prepared on each connection that it comes by', async () => {
    const handle = await open(4)
    const sessions = new Set<number>()
    const together = 'select pg_backend_pid() as pid, exists (select from pg_prepared_statements where name like $1) as prepared, pg_sleep(0.02)' // long enough for each to need a connection of its own
    await rounds(often, () => Promise.all([1, 2, 3, 4].map(async () => {
      const [row] = await handle.query<{ pid: number, prepared: boolean }>(together, ['bedplate%'])
      if (row?.prepared) sessions.add(row.pid)
    })))
    expect(sessions.size).toBe(4)
  })

  test('gets no name when a connection holds as many as it should, nor when it is very long', async () => {
    const client = await library()
    const statement = createStatements({ often: 2, most: 3 })
    for (const n of [1, 2, 3, 4, 5]) await rounds(3, async () => { expect((await client.query({ ...statement(`select $1::int + ${n} as n`, [1]) })).rows).toEqual([{ n: n + 1 }]) })
    expect((await client.query<{ count: number }>('select count(*)::int as count from pg_prepared_statements')).rows).toEqual([{ count: 3 }])
    const long = createStatements({ often: 1 })
    expect(long(`select $1 -- ${'x'.repeat(20_000)}`, [1]).name).toBeUndefined()
    expect(long('select $1', [1]).name).toMatch(/^bedplate_[0-9a-f]{32}$/)
  })

  test('has the same name in every process, and another text another name', () => {
    const [one, two] = [createStatements({ often: 1 }), createStatements({ often: 1 })]
    two('select $1, 0', [1])
    expect(one('select $1', [1]).name).toBe(two('select $1', [1]).name)
    expect(one('select $1', [1]).name).not.toBe(two('select $1, 0', [1]).name)
  })
})

describe.each(['query', 'tx', 'once'] as const)('a name that is stale, in %s', way => {
  let handle: DatabaseHandle
  let runs = 0
  const columns = `${way}_columns`
  const insert = `insert into ${columns} (n) values ($1) returning *`
  const parts = { work: `put as (${insert})`, topic: 'stale.once', changed: 'select n::text from put', rows: 'select * from put' }
  const put = async (n: number): Promise<unknown[]> => {
    if (way === 'query') return await handle.query(insert, [n])
    if (way === 'once') return await handle.once({ ...parts, values: [n] })
    return await handle.tx(async tx => {
      runs++
      await tx.changed('stale.tx', String(n))
      return await tx.query(insert, [n])
    })
  }
  beforeAll(() => db.query(`create table ${columns} (n integer)`))
  const kept = async () => (await db.query<{ n: number }>(`select n from ${columns} order by n`)).map(({ n }) => n)
  const logged = async () => (await db.query<{ id: string }>('select id from core.change where topic = $1 order by id::int', [`stale.${way}`])).map(({ id }) => Number(id))

  test('is repeated without one, once, on all connections at the same time', async () => {
    handle = await open(6)
    await rounds(often, () => Promise.all([1, 2, 3, 4, 5, 6].map(() => put(0))))
    await db.query(`delete from ${columns}; delete from core.change where topic = 'stale.${way}'`)
    await db.query(`alter table ${columns} add extra text default 'x'`)
    runs = 0
    const found = await Promise.all([1, 2, 3, 4, 5, 6].map(put))
    expect(found.flat()).toEqual([1, 2, 3, 4, 5, 6].map(n => ({ n, extra: 'x' })))
    await rounds(often, () => put(7))
    expect(await kept()).toEqual([1, 2, 3, 4, 5, 6, ...Array.from({ length: often }, () => 7)])
    if (way !== 'query') expect(await logged()).toEqual(await kept())
    if (way === 'tx') expect(runs).toBeGreaterThan(6 + often)
  })

  test('because the server forgot it is repeated, and its connection replaced', async () => {
    await db.query(`delete from ${columns}`)
    handle = await open()
    await rounds(often, () => put(0))
    const before = await session(handle)
    await handle.query('deallocate all')
    expect(await put(1)).toEqual([{ n: 1, extra: 'x' }])
    expect(await session(handle)).not.toEqual(before)
    await rounds(often, () => put(2))
    expect((await atServer(handle)).filter(text => text.includes(columns)).length).toBe(1)
    expect((await kept()).filter(n => n > 0)).toEqual([1, ...Array.from({ length: often }, () => 2)])
  })

  test('because somebody else had it made on the session is repeated', async () => {
    await db.query(`delete from ${columns}`)
    handle = await open()
    await rounds(4, () => put(0))
    const text = way === 'once' ? withLog(parts) : insert
    await handle.query(`prepare ${createStatements({ often: 1 })(text, [0]).name ?? ''} as ${text}`) // what a connection pooler's other client did
    expect(await put(1)).toEqual([{ n: 1, extra: 'x' }])
    expect(await kept()).toEqual([0, 0, 0, 0, 1])
  })
})

describe('a transaction', () => {
  test('whose work caught the stale name in a savepoint is repeated all the same: the statement was not at fault', async () => {
    const handle = await open()
    await handle.query('create table caught (n integer)')
    const faults: unknown[] = []
    const give = () => handle.tx(async tx => {
      await tx.query('insert into caught values (0)')
      await tx.query('savepoint fact')
      try { await tx.query('insert into caught values ($1) returning *', [1]); await tx.query('release savepoint fact') } catch (error) {
        await tx.query('rollback to savepoint fact')
        faults.push(error)
      }
    })
    await rounds(often, give)
    await handle.query('alter table caught add extra text')
    await handle.query('delete from caught')
    await give()
    expect(faults).toEqual([])
    expect(await handle.query('select n from caught order by n')).toEqual([{ n: 0 }, { n: 1 }])
  })

  test('whose work swallowed the stale name is repeated, not committed in part', async () => {
    const handle = await open()
    await handle.query('create table swallowed (n integer)')
    const give = () => handle.tx(async tx => {
      await tx.query('insert into swallowed values (0)')
      await tx.query('insert into swallowed values ($1) returning *', [1]).catch(() => {})
    })
    await rounds(often, give)
    await handle.query('alter table swallowed add extra text')
    await handle.query('delete from swallowed')
    await give()
    expect(await handle.query('select n from swallowed order by n')).toEqual([{ n: 0 }, { n: 1 }])
  })

  test('whose work has its own words for the stale name is repeated', async () => {
    const handle = await open()
    await handle.query('create table worded (n integer)')
    const give = () => handle.tx(async tx => await tx.query('insert into worded values ($1) returning *', [1]).catch(() => { throw new BedplateError('CONFLICT', { reason: 'it is taken' }) }))
    await rounds(often, give)
    await handle.query('alter table worded add extra text')
    expect(await give()).toEqual([{ n: 1, extra: null }])
  })

  test('rejects with the server\'s words where no name was at fault, and runs twice at most', async () => {
    const handle = await open()
    let runs = 0
    await expect(handle.tx(async tx => { runs++; await tx.query('execute nobody_made_this') })).rejects.toMatchObject({ code: '26000' })
    expect(runs).toBe(2)
  })
})

describe('what the client library believes', () => {

  test('to be prepared is, though the first statement of a transaction failed', async () => {
    const handle = await open()
    const put = () => handle.tx(tx => tx.query('insert into late values ($1)', [1]))
    await rounds(5, async () => { await expect(put()).rejects.toMatchObject({ code: '42P01' }) }) // the fifth time with a name
    const before = await session(handle)
    await handle.query('create table late (n integer)')
    await put()
    expect(await session(handle)).toEqual(before) // or a name that never came to be had cost the connection
    await rounds(often, put)
    expect((await atServer(handle)).filter(text => text.includes('late'))).toEqual(['insert into late values ($1)'])
  })

  test('is right when what goes ahead of a named statement fails', async () => {
    const client = await library()
    const last = createStatements({ often: 1 })('select $1::int as n', [3])
    await expect(pipeline(client, [{ text: 'begin' }, { text: 'select 1 / 0' }], { ...last })).rejects.toMatchObject({ code: '22012' })
    await client.query('rollback')
    for (const _ of [1, 2]) expect((await pipeline(client, [{ text: 'begin' }], { ...last })).rows).toEqual([{ n: 3 }])
    expect((await client.query({ ...last })).rows).toEqual([{ n: 3 }])
  })

  test('is put right when a value could not be written down', async () => {
    const handle = await open()
    const ask = (value: unknown) => handle.query<{ json: unknown }>('select $1::jsonb as json', [value])
    await rounds(often, () => ask({ a: 1 }))
    for (const _ of [1, 2]) {
      await expect(ask({ a: 1n })).rejects.toThrow(TypeError)
      expect(await ask({ a: 2 })).toEqual([{ json: { a: 2 } }])
    }
    await expect(handle.tx(tx => tx.query('select $1::jsonb as json', [{ a: 1n }]))).rejects.toThrow(TypeError)
    expect(await handle.tx(tx => tx.query('select $1::jsonb as json', [{ a: 3 }]))).toEqual([{ json: { a: 3 } }])
  })
})

describe('an error', () => {
  test('is of a stale name in any language, and no other of its code is', async () => {
    const coded = (code: string, routine: string) => Object.assign(new TypeError('x'), { code, routine })
    expect([coded('0A000', 'RevalidateCachedQuery'), coded('26000', 'x'), coded('42P05', 'x')].map(isStale)).toEqual([true, true, true])
    expect([coded('0A000', 'transformWithClause'), coded('23505', 'RevalidateCachedQuery'), undefined, null, 'text', new TypeError('x')].map(isStale)).toEqual([false, false, false, false, false, false])
  })

  test('of a stale name is what this server sends', async () => {
    const client = await library()
    await client.query('create table told (n integer)')
    const statement = createStatements({ often: 1 })
    const all = () => client.query({ ...statement('select * from told where n = $1', [1]) })
    await all()
    await client.query('alter table told add m integer')
    await expect(all()).rejects.toSatisfy(isStale)
    await client.query('discard all')
    await expect(all()).rejects.toSatisfy(isStale)
  })
})
