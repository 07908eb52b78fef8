/** What is pending, gaps included, and which databases that are ahead may be worked with. */
import { array, assert, boolean, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pending, phaseOf } from '../../core/database/pending.ts'
import type { Applied, Migration, Phase } from '../../core/database/pending.ts'
import { BedplateError, hasCode } from '../../core/errors.ts'

const padded = (number: number) => String(number).padStart(4, '0')
const file = (number: number, phase: Phase = 'expand', set = 'it'): Migration => ({ set, number, name: `${padded(number)}-x`, checksum: `${set} ${number}`, phase, sql: '' })
const row = (number: number, phase: Phase = 'expand', version = '1.0.0', set = 'it'): Applied => ({ ...file(number, phase, set), version })
const files = (...phases: Phase[]) => phases.map((phase, index) => file(index + 1, phase))
const numbers = (found: readonly Migration[]) => found.map(({ number }) => number)
const refusal = (work: () => unknown): string => {
  try { work() } catch (error) { if (hasCode(error, 'DATABASE_NEWER')) return (error as Error).message; throw error }
  return ''
}

describe('the phase of a file', () => {
  test.each(['-- contract\ndrop table t', '-- contract', '-- contract: the old column\nalter', '-- contract\r\nx', '-- contract of 0003\n'])('%j is a contract', sql => { expect(phaseOf(sql)).toBe('contract') })
  test.each(['', 'create table t ()', '-- contracts of sale\n', '-- contract-free\n', '--contract\n', '\n-- contract\n', '-- Contract\n', 'select 1; -- contract\n'])('%j is an expand', sql => { expect(phaseOf(sql)).toBe('expand') })
})

describe('pending', () => {
  test('is what was not applied, by set and number; a renamed file is not another one', () => {
    expect(numbers(pending(files('expand', 'expand'), [row(1)], '1.0.0'))).toEqual([2])
    expect(() => pending(files('expand'), [{ ...row(1), name: '0001-z', checksum: 'z' }], '1.0.0')).toThrow(/0001-z was applied under that number/)
    expect(() => pending(files('expand'), [{ ...row(1), checksum: 'z' }], '1.0.0')).toThrow(/the file was edited/)
  })

  test('has gaps: a contract that waits is still pending when the expands after it are applied', () => {
    const all = files('expand', 'contract', 'expand', 'contract', 'expand')
    expect(numbers(pending(all, [row(1), row(3), row(5)], '1.0.0'))).toEqual([2, 4])
    expect(numbers(pending(all, [row(1), row(2, 'contract'), row(3)], '1.0.0'))).toEqual([4, 5])
  })

  test('is nothing of a plugin that is not here, whatever was applied for it by whom', () => {
    expect(pending([], [row(1), row(2, 'contract', '9.0.0')], '1.0.0')).toEqual([])
    expect(numbers(pending(files('expand'), [row(7, 'contract', '9.0.0', 'gone')], '1.0.0'))).toEqual([1])
  })

  test('together with what was applied is always every file, in order, for any gaps', () => {
    const some = array(record({ phase: constantFrom<Phase>('expand', 'contract'), applied: boolean() }), { minLength: 1, maxLength: 12 })
    assert(property(some, integer({ min: 0, max: 5 }), (history, minor) => {
      const all = history.map(({ phase }, index) => file(index + 1, phase))
      const rows = all.flatMap((each, index) => history[index]?.applied === true ? [{ ...each, version: `1.${minor}.0` }] : [])
      expect([...rows.map(({ number }) => number), ...numbers(pending(all, rows, '1.0.0'))].sort((a, b) => a - b)).toEqual(numbers(all))
    }), { numRuns: 300 })
  })
})

describe('a database that is ahead', () => {
  test.each(['1.0.0', '1.0.9', '1.1.0', '1.1.7-beta.1', '0.9.0'.replace('0.9', '1.0')])('by an expand of version %s is worked with by 1.0.0', version => {
    expect(numbers(pending(files('expand', 'expand'), [row(1), row(3, 'expand', version), row(4, 'expand', version)], '1.0.0'))).toEqual([2])
  })

  test.each([['1.2.0', '1.1.0'], ['2.0.0', '2.0.0'], ['0.9.0', '0.8.0']])('by an expand of version %s is refused by 1.0.0, which is told to become %s', (version, needed) => {
    expect(refusal(() => pending(files('expand'), [row(1), row(2, 'expand', version)], '1.0.0'))).toContain(`it 0002-x was added by version ${version} (this one knows it up to 0001). Upgrade this controller to version ${needed} or newer`)
  })

  test('by a contract is refused, even of the next minor version or the same', () => {
    for (const version of ['1.0.0', '1.1.0', '1.1.3']) {
      expect(refusal(() => pending(files('expand'), [row(1), row(2, 'contract', version)], '1.0.0'))).toContain(`it 0002-x by version ${version} took away what older versions use (this one knows it up to 0001). Upgrade this controller to version ${version} or newer`)
    }
  })

  test('by whom nobody knows is refused, and so is any by who does not know its own version', () => {
    expect(refusal(() => pending(files('expand'), [row(1), row(2, 'expand', '')], '1.0.0'))).toContain('Upgrade this controller to version one newer than 1.0.0')
    expect(refusal(() => pending(files('expand'), [row(1), row(2, 'expand', '1.0.0')], ''))).toContain('it 0002-x was added by version 1.0.0')
  })

  test('names every fault of every set, and the highest version that is needed', () => {
    const sentence = refusal(() => pending([...files('expand'), file(1, 'expand', 'other')], [row(2, 'contract', '1.1.0'), row(2, 'expand', '1.4.0', 'other'), row(9, 'contract', '7.0.0', 'gone')], '1.0.0'))
    expect(sentence).toMatch(/it 0002-x by version 1\.1\.0.*other 0002-x was added by version 1\.4\.0.*to version 1\.3\.0 or newer/)
    expect(sentence).not.toContain('gone')
  })

  test('of any history is taken or refused with a code, never anything else', () => {
    const version = constantFrom('1.0.0', '1.1.0', '1.2.0', '2.0.0', '', 'x')
    const rows = array(record({ number: integer({ min: 1, max: 8 }), phase: constantFrom<Phase>('expand', 'contract'), version }), { maxLength: 8 })
    assert(property(rows, version, integer({ min: 0, max: 5 }), (history, mine, known) => {
      const ahead = history.filter(({ number }) => number > known)
      let refused: unknown
      try { pending(Array.from({ length: known }, (_, index) => file(index + 1)), history.map(({ number, phase, version }) => row(number, phase, version)), mine) } catch (error) { refused = error }
      if (refused !== undefined) expect(refused).toBeInstanceOf(BedplateError)
      const fine = known === 0 || (ahead.every(({ phase, version }) => phase === 'expand' && ['1.0.0', '1.1.0'].includes(version)) && mine === '1.0.0')
      if (fine || ahead.length === 0) expect(refused).toBeUndefined()
      else if (mine === '1.0.0') expect(hasCode(refused, 'DATABASE_NEWER')).toBe(true)
    }), { numRuns: 500 })
  })
})
