/** Which of several servers is the primary: every mixture of standbys, replaced, fenced, foreign and silent ones. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { accepts, judge } from '../../core/database/standing.ts'
import type { Answer, Known, Standing } from '../../core/database/standing.ts'

const none: Known = { timeline: 0 }
const host = (name: string) => ({ host: name, port: 5432 })
const server = (name: string, standing: Partial<Standing> = {}): Answer => ({ host: host(name), standing: { system: '1', timeline: 1, standby: false, fenced: false, started: name, ...standing } })
const names = (hosts: readonly { host: string }[]): string[] => hosts.map(({ host }) => host)

describe('of several servers', () => {
  test('the one that accepts writes is the primary, wherever it stands in the list', () => {
    const [a, b] = [server('a', { standby: true }), server('b')]
    for (const answers of [[a, b], [b, a]]) expect(judge(answers, none).primary?.host.host).toBe('b')
  })
  test('the highest timeline wins, as a number and not as text, and the other is to be fenced', () => {
    const { primary, fence, known } = judge([server('a', { timeline: 9 }), server('b', { timeline: 10 })], none)
    expect([primary?.host.host, names(fence), known.timeline]).toEqual(['b', ['a'], 10])
  })
  test('one of a timeline lower than any shown before is not the primary, but not fenced either: it may be all that is left, and the reason says what to do', () => {
    const { primary, fence, trouble } = judge([server('a'), { host: host('b'), reason: 'ECONNREFUSED' }], { system: '1', timeline: 2, by: 'b:5432' })
    expect([primary, names(fence)]).toEqual([undefined, []])
    expect(trouble).toMatch(/a:5432: it was replaced: it is on timeline 1, b:5432 has shown timeline 2\. .*if all that had timeline 2 is lost for good: stop all regions, start them; b:5432: ECONNREFUSED/)
  })
  test('one that was fenced and is all that is left: the reason says how to undo that, in regions that know what replaced it and in those started since', () => {
    const undo = 'run "alter database "be""d" reset default_transaction_read_only" there, in the database postgres'
    for (const known of [none, { system: '1', timeline: 2 }]) expect(judge([server('a', { fenced: true })], known, 'be"d')).toMatchObject({ fence: [], trouble: expect.stringContaining(undo) as string })
  })
  test('with no memory of another, as after a restart, the one that is left is the primary', () => {
    expect(judge([server('a'), { host: host('b'), reason: 'ECONNREFUSED' }], none).primary?.host.host).toBe('a')
  })
  test('a standby of a higher timeline is proof enough that the old primary was replaced, and no reason to fence that: nobody has taken its place', () => {
    const { primary, fence } = judge([server('a'), server('b', { standby: true, timeline: 2 })], { system: '1', timeline: 1 })
    expect([primary, names(fence)]).toEqual([undefined, []])
  })
  test('a fenced one is neither the primary nor fenced again', () => {
    expect(judge([server('a', { fenced: true }), server('b', { standby: true })], none)).toMatchObject({ fence: [], trouble: expect.stringContaining('a:5432: it is read-only (default_transaction_read_only)') as string })
  })
  test('two of one timeline are both refused, but one server under two names is one', () => {
    expect(judge([server('a'), server('b')], none)).toMatchObject({ fence: [], trouble: expect.stringMatching(/a:5432 and b:5432 both accept writes on timeline 1/) as string })
    expect(judge([server('a'), server('b', { started: 'a' })], none).primary?.host.host).toBe('a')
  })
  test('two databases that are no copies of each other are refused at first, and the stranger later', () => {
    const answers = [server('a'), server('b', { system: '2', timeline: 7 })]
    expect(judge(answers, none)).toMatchObject({ fence: [], known: none, trouble: expect.stringMatching(/no copies of each other.*system identifier 1.*system identifier 2/) as string })
    const later = judge(answers, { system: '1', timeline: 1 })
    expect([later.primary?.host.host, names(later.fence), later.known.timeline]).toEqual(['a', [], 1])
    expect(judge(answers.slice(1), { system: '1', timeline: 1 }).trouble).toMatch(/b:5432: it holds another database \(its system identifier is 2, ours is 1\)/)
  })
  test('what only standbys say is not held to', () => { expect(judge([server('a', { system: '2', standby: true })], none).known).toEqual(none) })
  test('nobody who answers is told with each one\'s reason', () => { expect(judge([{ host: host('a'), reason: 'ENOENT' }, { host: host('b') }], none).trouble).toBe('a:5432: ENOENT; b:5432: no answer yet') })
})

test('whatever they answer: a primary accepts writes, has the highest timeline anybody has shown, is never fenced, only one that it replaced is, and nothing that is known is forgotten', () => {
  const standing = fc.record({ system: fc.constantFrom('1', '2'), timeline: fc.integer({ min: 1, max: 4 }), standby: fc.boolean(), fenced: fc.boolean(), started: fc.constantFrom('x', 'y', 'z') })
  const answers = fc.array(fc.option(standing, { nil: undefined }), { minLength: 1, maxLength: 5 }).map(all => all.map((standing, index): Answer => ({ host: host(`h${index}`), ...(standing ? { standing } : { reason: 'silent' }) })))
  const known = fc.oneof(fc.constant(none), fc.record({ system: fc.constantFrom('1', '2'), timeline: fc.integer({ min: 1, max: 4 }) }))
  fc.assert(fc.property(answers, known, (answers, before) => {
    const { primary, fence, trouble, known } = judge(answers, before)
    expect((primary === undefined) === (trouble !== '')).toBe(true)
    expect(known.timeline).toBeGreaterThanOrEqual(before.timeline)
    if (before.system !== undefined) expect(known.system).toBe(before.system)
    if (!primary) expect(fence).toEqual([])
    for (const each of fence) {
      const { standing } = answers.find(({ host }) => host === each) ?? {}
      expect(standing && accepts(standing) && standing.system === known.system && primary && standing.timeline < primary.standing.timeline).toBe(true)
    }
    if (!primary) return
    expect(accepts(primary.standing)).toBe(true)
    expect(primary.standing.system).toBe(known.system)
    expect(primary.standing.timeline).toBe(known.timeline)
    expect(fence).not.toContain(primary.host)
    for (const { standing } of answers) if (standing?.system === known.system) expect(standing?.timeline).toBeLessThanOrEqual(primary.standing.timeline)
  }), { numRuns: 2000 })
})
