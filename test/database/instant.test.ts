/** Points in time from PostgreSQL's text, as its client library reads them. */
import fc from 'fast-check'
import { types } from 'pg'
import { expect, it } from 'vitest'
import { instant } from '../../core/database/instant.ts'

const usual = types.getTypeParser(types.builtins.TIMESTAMPTZ)
const two = (number: number) => String(number).padStart(2, '0')

it('is the same as the library reads, with and without a fraction', () => {
  fc.assert(fc.property(fc.date({ min: new Date('1000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }), fc.integer({ min: 0, max: 6 }), fc.nat(999_999), (date, places, micro) => {
    const fraction = places === 0 ? '' : `.${String(micro).padStart(6, '0').slice(0, places)}`
    const text = `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}${fraction}+00`
    expect([text, instant(text)]).toEqual([text, usual(text)])
  }), { numRuns: 1000 })
})
it('what looks otherwise is left to the library', () => {
  for (const text of ['infinity', '-infinity', '2026-01-02 03:04:05+02', '2026-01-02 03:04:05.5-03:30', '0044-03-15 12:00:00+00 BC', '10000-01-01 00:00:00+00']) expect([text, instant(text)]).toEqual([text, usual(text)])
})
