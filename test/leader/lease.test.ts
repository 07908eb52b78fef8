/** The lease in one real database: goes to one of many, and each term has a number of its own. */
import { describe, expect, test } from 'vitest'
import type { Query } from '../../core/database/database.ts'
import { openDatabase } from '../../core/database/pool.ts'
import { look, resign, take } from '../../core/leader/lease.ts'
import { electorsOfFile } from './electors.ts'

const on = electorsOfFile()

describe('a lease', () => {
  test('is given up by its own term only', async () => {
    const term = await take(on.db, { name: on.name, holder: 'a' }, 60_000, 1)
    expect(term).toBe(1n)
    await resign(on.db, { name: on.name, holder: 'a', term: 2n })
    await resign(on.db, { name: on.name, holder: 'b', term: 1n })
    expect(await take(on.db, { name: on.name, holder: 'b' }, 60_000, 1)).toBeUndefined()
    await resign(on.db, { name: on.name, holder: 'a', term: 1n })
    expect(await take(on.db, { name: on.name, holder: 'b' }, 60_000, 1)).toBe(2n)
  })

  test('taken on a later timeline has a number that no earlier one can have given', async () => {
    const later: Query = { query: (text, values) => on.db.query(text.replaceAll(/\('x' \|\| left\(.*?::bit\(32\)::integer/g, '3'), values) } // as a server that was promoted twice would say
    expect(await look(later, on.name)).toEqual({ term: 0n, remaining: 0, timeline: 3 })
    expect(await take(later, { name: on.name, holder: 'a' }, 60_000, 2)).toBeUndefined() // it was promoted since we looked
    expect(await take(later, { name: on.name, holder: 'a' }, 60_000, 3)).toBe((2n << 32n) + 1n)
    await resign(on.db, { name: on.name, holder: 'a', term: (2n << 32n) + 1n })
    expect(await take(later, { name: on.name, holder: 'b' }, 60_000, 3)).toBe((2n << 32n) + 2n)
    on.rename()
    expect(await take(on.db, { name: on.name, holder: 'a' }, 60_000, 1)).toBe(1n)
    await resign(on.db, { name: on.name, holder: 'a', term: 1n })
    expect(await take(later, { name: on.name, holder: 'b' }, 60_000, 3)).toBe((2n << 32n) + 1n)
  })

  test('goes to exactly one of twenty that bid at once, first and again', async () => {
    const fresh = [await openDatabase(on.db.options), await openDatabase(on.db.options)] as const // tests before this one had connections of the others ended by the server
    for (const expected of [1n, 2n]) {
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => take(fresh[i % 2 ? 0 : 1], { name: on.name, holder: `h${i}` }, 60_000, 1)))
      const won = answers.flatMap((term, i) => term === undefined ? [] : [{ term, holder: `h${i}` }])
      expect(won.map(({ term }) => term)).toEqual([expected])
      for (const { term, holder } of won) await resign(on.db, { name: on.name, holder, term })
    }
    for (let other = 0; other < 200; other++) { // whichever of its two keys the server looks at first
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => take(fresh[i % 2 ? 0 : 1], { name: `${on.name} ${other}`, holder: `h${i}` }, 60_000, 1)))
      expect(answers.filter(term => term !== undefined)).toEqual([1n])
    }
    for (const handle of fresh) await handle.close()
  })
})
