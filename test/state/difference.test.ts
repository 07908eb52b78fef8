/** What travels between two versions of the wanted state. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { confirm, difference, keyOf, parts, partSize, type Known } from '../../core/state/difference.ts'
import type { Entry, Key } from '../../core/plugin.ts'

const entry = (id: string, value: unknown): Entry => ({ kind: 'k', id, value })
const fresh = (): Known => ({ hashes: new Map(), complete: false })
const state = fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue(), { maxKeys: 8 }).map(of => Object.entries(of).map(([id, value]) => entry(id, value)))

/** A rack that takes what it is told. */
class Rack {
  readonly entries = new Map<string, string>()
  take (put: readonly Entry[], remove: readonly Key[], whole: boolean): void {
    if (whole) this.entries.clear()
    for (const one of put) this.entries.set(keyOf(one), JSON.stringify(one.value))
    for (const key of remove) this.entries.delete(keyOf(key))
  }
}
const as = (entries: readonly Entry[]) => new Map(entries.map(one => [keyOf(one), JSON.stringify(one.value)]))

describe('the difference', () => {
  test('brings a rack from any state to any other, by a whole, then by differences of everything', () => {
    fc.assert(fc.property(fc.array(state, { minLength: 1, maxLength: 6 }), states => {
      const known = fresh()
      const rack = new Rack()
      states.forEach((entries, index) => {
        const whole = index === 0
        const change = difference(known, entries)
        for (const part of parts(change)) rack.take(part.put, part.remove, whole)
        confirm(known, change, whole)
        expect(rack.entries).toEqual(as(entries))
        expect(difference(known, entries)).toEqual({ put: [], remove: [] })
      })
    }), { numRuns: 200 })
  })

  test('brings a rack along by the touched keys alone, though nothing is known of what it has', () => {
    fc.assert(fc.property(state, state, (before, after) => {
      const rack = new Rack()
      rack.take(before, [], true)
      const keys = [...before, ...after].map(({ kind, id }) => ({ kind, id })).filter(key => as(before).get(keyOf(key)) !== as(after).get(keyOf(key)))
      const asked = after.filter(one => keys.some(key => keyOf(key) === keyOf(one)))
      const change = difference(fresh(), asked, keys)
      rack.take(change.put.map(one => one.entry), change.remove, false)
      expect(rack.entries).toEqual(as(after))
    }), { numRuns: 200 })
  })

  test('leaves out what the rack is known to have, or known to lack', () => {
    const known = fresh()
    confirm(known, difference(known, [entry('a', 1)]), true)
    const keys = ['a', 'b', 'c'].map(id => ({ kind: 'k', id }))
    expect(difference(known, [entry('a', 1), entry('b', 2)], keys)).toMatchObject({ put: [{ entry: entry('b', 2) }], remove: [] })
    expect(difference(fresh(), [entry('a', 1)], keys)).toMatchObject({ put: [{ entry: entry('a', 1) }], remove: [keys[1], keys[2]] })
  })
})

describe('parts', () => {
  test('hold everything once, in order, within their size', () => {
    fc.assert(fc.property(fc.array(fc.nat(400_000), { maxLength: 20 }), fc.nat(12_000), (sizes, removed) => {
      const entries = sizes.map((size, n) => entry(`e${n}`, 'x'.repeat(size)))
      const remove = Array.from({ length: removed }, (_, n) => ({ kind: 'k', id: `r${n}` }))
      const cut = parts({ ...difference(fresh(), entries), remove })
      expect(cut.flatMap(part => part.put)).toEqual(entries)
      expect(cut.flatMap(part => part.remove)).toEqual(remove)
      for (const part of cut) expect(JSON.stringify(part).length).toBeLessThan(partSize + 450_000)
    }), { numRuns: 30 })
  })

  test('are one even for nothing, and refuse an entry that fits no frame', () => {
    expect(parts({ put: [], remove: [] })).toEqual([{ put: [], remove: [] }])
    expect(() => parts(difference(fresh(), [entry('huge', 'x'.repeat(9 * 1024 * 1024))]))).toThrowError(expect.objectContaining({ code: 'FRAME_INVALID' }))
  })
})
