/** Which versions go together, and the sentence for those that do not. */
import { assert, constantFrom, integer, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compatible, minorsAhead, parseVersion, versionFault } from '../../core/version.ts'

const numRuns = 500

describe('a version', () => {
  test.each([
    ['0.1.0', { major: 0, minor: 1, patch: 0 }],
    ['12.34.56', { major: 12, minor: 34, patch: 56 }],
    ['1.2.3-beta.1', { major: 1, minor: 2, patch: 3 }],
    ['1.2.3+build.7', { major: 1, minor: 2, patch: 3 }],
    ['1.2.3-rc.1+build', { major: 1, minor: 2, patch: 3 }]
  ])('%s is read', (text, version) => { expect(parseVersion(text)).toEqual(version) })

  test.each(['', '1', '1.2', 'v1.2.3', '1.2.3.4', '1.2.x', '-1.2.3', ' 1.2.3', '1.2.3\n', '1.2.3-', '1.2.3 beta', '1e3.0.0', '9999999999.0.0', `1.2.3-${'a'.repeat(200)}`, '\0'])('%j is none', text => {
    expect(parseVersion(text)).toBeUndefined()
  })

  test('is made out of anything without a throw', () => {
    assert(property(string({ unit: 'binary', maxLength: 300 }), text => {
      const version = parseVersion(text)
      if (version !== undefined) for (const part of Object.values(version)) expect(Number.isSafeInteger(part)).toBe(true)
    }), { numRuns })
  })
})

describe('two versions', () => {
  test.each([
    ['1.2.0', '1.2.9', true], ['1.2.0', '1.3.0', true], ['1.3.5', '1.2.0', true], ['1.2.0-beta.1', '1.3.0', true],
    ['1.2.0', '1.4.0', false], ['1.9.0', '2.0.0', false], ['0.1.0', '1.1.0', false], ['1.2.0', '', false], ['', '', false], ['nonsense', 'nonsense', false]
  ])('%s and %s go together: %s', (a, b, together) => {
    expect(compatible(a, b)).toBe(together)
    expect(compatible(b, a)).toBe(together)
    expect(versionFault(a, b) === undefined).toBe(together)
  })

  test('go together exactly when the majors are the same and the minors at most one apart, in either order, whatever the rest', () => {
    const number = integer({ min: 0, max: 4 })
    const rest = constantFrom('', '-beta.1', '+7', '-rc.1+7')
    assert(property(number, number, number, number, integer({ min: 0, max: 99 }), rest, rest, (major, otherMajor, minor, otherMinor, patch, tail, otherTail) => {
      const [a, b] = [`${major}.${minor}.${patch}${tail}`, `${otherMajor}.${otherMinor}.0${otherTail}`]
      expect(compatible(a, b)).toBe(major === otherMajor && Math.abs(minor - otherMinor) <= 1)
      expect(minorsAhead(a, b)).toBe(major === otherMajor ? otherMinor - minor : undefined)
    }), { numRuns })
  })

  test('that are two minors apart are told which one to upgrade, and to what', () => {
    expect(versionFault('0.1.0', '0.3.1', 'north')).toBe('this controller runs version 0.1.0 and north 0.3.1: they may be one minor version apart, no more. Upgrade this controller to 0.2 or 0.3 first')
    expect(versionFault('0.3.1', '0.1.0', 'north')).toContain('Upgrade north to 0.2 or 0.3 first')
  })

  test('of two majors, or of which one is none, are told so', () => {
    expect(versionFault('1.9.0', '2.0.0')).toContain('different major versions never work together. Upgrade this controller')
    expect(versionFault('1.0.0', 'banana', 'north')).toContain('"banana" is not a version')
    expect(versionFault('banana', '1.0.0', 'north')).toContain('"banana" is not a version')
  })

  test('make a sentence of bounded length out of anything', () => {
    assert(property(string({ maxLength: 5000 }), string({ maxLength: 5000 }), (a, b) => { expect((versionFault(a, b) ?? '').length).toBeLessThan(1000) }), { numRuns })
  })
})
