/** When a silence is believed: a table of looks, and whole stories of outages in which all who live must not be told as silent. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { doubtful, gap, silence, silent, vigilAfter } from '../../../plugins/tracking/silence.ts'
import type { Vigil } from '../../../plugins/tracking/silence.ts'
import { nothingTold } from '../../../plugins/tracking/state.ts'
import type { Known, Said } from '../../../plugins/tracking/state.ts'

const quiet = 15_000
const at = (seconds: number): Date => new Date(Date.UTC(2030, 0, 1) + seconds * 1000)
const known = (id: string, seenAt: number): Known => ({ id, hostname: id, roles: ['region'], version: '1.0.0', seenAt: at(seenAt) })
const runs = { state: 'running', reason: null } as const
const vigil = (since: number, last: number): Vigil => ({ since: at(since), last: at(last) })

describe('a vigil', () => {
  const cases: [what: string, before: Vigil | undefined, own: number | undefined, now: number, after: Vigil | undefined][] = [
    ['begins with the first look', undefined, 98, 100, vigil(100, 100)],
    ['goes on with the next', vigil(50, 98), 98, 100, vigil(50, 100)],
    ['goes on where a look comes late, and own word is a round old', vigil(50, 91), 94, 100, vigil(50, 100)],
    ['ends when the region itself has missed two rounds', vigil(50, 98), 89, 100, undefined],
    ['ends when the region does not know itself', vigil(50, 98), undefined, 100, undefined],
    ['begins anew after a pause without a look, though the region was written down just now', vigil(50, 89), 99, 100, vigil(100, 100)]
  ]
  test.each(cases)('%s', (_what, before, own, now, after) => { expect(vigilAfter(before, own === undefined ? undefined : known('a', own), at(now), quiet)).toEqual(after) })
  test('ends sooner where the quiet time is short', () => {
    expect(vigilAfter(vigil(50, 98), known('a', 96.9), at(100), 3_000)).toBeUndefined()
    expect(vigilAfter(vigil(50, 98), known('a', 97), at(100), 3_000)).toEqual(vigil(50, 100))
  })
})

describe('a silence', () => {
  const cases: [what: string, vigil: Vigil | undefined, others: number, shown: Pick<Said, 'state' | 'reason'> | undefined, doubt: boolean][] = [
    ['is believed after a vigil of the quiet time', vigil(85, 100), 84, runs, false],
    ['is doubted before', vigil(85.1, 100), 84, runs, true],
    ['is doubted without a vigil', undefined, 84, runs, true],
    ['of one that was never shown is doubted as well', undefined, 84, undefined, true],
    ['of one that is only known not to have told anything is doubted too', undefined, 84, { state: 'unknown', reason: nothingTold }, true],
    ['of one that nothing was ever made of is doubted too', undefined, 84, { state: 'unknown', reason: null }, true],
    ['that is told already is no doubt', undefined, 84, { state: 'unknown', reason: silence(known('b', 84)) }, false],
    ['is none until the quiet time is over', undefined, 85, runs, false]
  ]
  test.each(cases)('%s', (_what, vigil, others, state, doubt) => {
    expect(doubtful(vigil, [known('a', 99), known('b', others)], state === undefined ? new Map() : new Map([['b', state]]), at(100), quiet)).toBe(doubt)
  })
})

/** One that leads from the end of the outage on, looks every 2 s, and was looking every 5 s before; the other writes down at its own time whom it has. */
function told (outage: number, ownTick: number, otherTick: number, dies: boolean, hangs: boolean): number | undefined {
  const [begin, end] = [100, 100 + outage]
  const written = (phase: number, now: number): number => { // last tick before now that was no part of the outage
    let last = Math.floor((now - phase) / 5) * 5 + phase
    while (last > begin && last < end) last -= 5
    return last
  }
  let kept: Vigil | undefined
  for (let now = 50; now < end + 60; now += now < end ? 5 : 2) {
    if (now > begin && now < end) { if (!hangs) kept = undefined; continue } // a look that fails, or one that hangs
    const [own, other] = [known('a', written(ownTick, now)), known('b', dies ? Math.min(written(otherTick, now), written(otherTick, begin)) : written(otherTick, now))]
    kept = vigilAfter(kept, own, at(now), quiet)
    if (silent(other, at(now), quiet) && !doubtful(kept, [own, other], new Map([['b', runs]]), at(now), quiet)) return now - end
  }
  return undefined
}
const story = fc.record({ outage: fc.double({ min: 0, max: 120, noNaN: true }), own: fc.double({ min: 0, max: 4.9, noNaN: true }), other: fc.double({ min: 0, max: 4.9, noNaN: true }), hangs: fc.boolean() })

test('however long nobody could write, nobody who lives is told as silent', () => {
  fc.assert(fc.property(story, ({ outage, own, other, hangs }) => { expect(told(outage, own, other, false, hangs)).toBeUndefined() }), { numRuns: 1000, seed: 11 })
})
test('who died meanwhile is told, within the quiet time and a round of the end', () => {
  fc.assert(fc.property(story, ({ outage, own, other, hangs }) => { expect(told(outage, own, other, true, hangs)).toBeLessThanOrEqual((quiet + gap) / 1000 + 4) }), { numRuns: 1000, seed: 12 })
})
