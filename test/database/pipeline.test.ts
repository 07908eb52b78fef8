/** Several statements in one journey: whose result it is, what an error leaves, and texts on their way into an array. */
import fc from 'fast-check'
import { Pool } from 'pg'
import type { PoolClient } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { arrayOf, pipeline } from '../../core/database/pipeline.ts'
import { testDatabase } from '../kit/database.ts'
import type { TestDatabase } from '../kit/database.ts'

let db: TestDatabase
let pool: Pool
let client: PoolClient
beforeAll(async () => {
  db = await testDatabase({ bare: true })
  const [host] = db.options.hosts
  pool = new Pool({ host: host!.host, port: host!.port, database: db.options.database, user: db.options.user })
  client = await pool.connect()
  await client.query('create table word (text text primary key)')
})
afterAll(async () => { client.release(); await pool.end(); await db.drop() })
const words = async () => (await pool.query<{ text: string }>('select text from word order by text')).rows.map(({ text }) => text)

describe('pipeline', () => {
  it('gives the result of the last statement, and carries out those before it', async () => {
    const { rows, command } = await pipeline(client, [{ text: 'begin' }, { text: 'insert into word values ($1)', values: ['one'] }], { text: 'select text, $1::int as n from word', values: [2] })
    expect(rows).toEqual([{ text: 'one', n: 2 }])
    expect(command).toBe('SELECT')
    expect((await pipeline(client, [{ text: 'insert into word select unnest($1::text[])', values: [arrayOf(['two', 'three'])] }], { text: 'commit' })).command).toBe('COMMIT')
    expect(await words()).toEqual(['one', 'three', 'two'])
  })
  it('rejects with the first error, carries out nothing behind it, and the client goes on', async () => {
    await client.query('begin')
    await expect(pipeline(client, [{ text: 'insert into word values ($1)', values: ['four'] }, { text: 'insert into word values ($1)', values: ['one'] }], { text: 'commit' })).rejects.toMatchObject({ code: '23505' })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    await client.query('rollback')
    expect(await words()).toEqual(['one', 'three', 'two'])
    await expect(pipeline(client, [{ text: 'begin' }], { text: 'select 1 / 0' })).rejects.toMatchObject({ code: '22012' })
    expect((await client.query('rollback')).command).toBe('ROLLBACK')
  })
  it('waits its turn behind a statement that is under way', async () => {
    const [first, second] = await Promise.all([client.query("select pg_sleep(0.05), 'first' as name"), pipeline(client, [{ text: 'begin' }], { text: "select 'second' as name" })])
    expect([first.rows[0].name, second.rows[0].name]).toEqual(['first', 'second'])
    await client.query('rollback')
  })
})

it('arrays of any texts arrive as they are', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' }).map(text => text.replaceAll('\0', '')), { maxLength: 5 }), async texts => {
    const { rows } = await client.query<{ texts: string[] }>('select $1::text[] as texts', [arrayOf(texts)])
    expect(rows[0]?.texts).toEqual(texts)
  }), { numRuns: 200 })
  expect(arrayOf(['a"b', 'c\\d', 'null', '{}', ''])).toBe('{"a\\"b","c\\\\d","null","{}",""}')
})
