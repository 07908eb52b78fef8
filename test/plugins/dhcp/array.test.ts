/** Arrays on their way to PostgreSQL: whatever is in them arrives. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { arrayText } from '../../../plugins/dhcp/store/array.ts'
import { testDatabase } from '../../kit/database.ts'
import type { TestDatabase } from '../../kit/database.ts'

let db: TestDatabase
beforeAll(async () => { db = await testDatabase({ bare: true }) })
afterAll(() => db.drop())

it('texts and nulls arrive as they are', async () => {
  const texts = fc.array(fc.option(fc.string({ unit: 'grapheme' }).map(text => text.replaceAll('\0', ''))), { maxLength: 5 })
  await fc.assert(fc.asyncProperty(texts, async values => {
    expect((await db.query<{ found: (string | null)[] }>('select $1::text[] as found', [arrayText(values)]))[0]?.found).toEqual(values)
  }), { numRuns: 200 })
  expect((await db.query('select $1::integer[] as found', [arrayText([1, -2, 3])]))[0]).toEqual({ found: [1, -2, 3] })
  expect(arrayText([null, 'null', 'a"b', ''])).toBe('{NULL,"null","a\\"b",""}')
})
