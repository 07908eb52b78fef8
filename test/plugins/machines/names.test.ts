/** MAC addresses in every common form, ids and hostnames. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { parseMac } from '../../../plugins/machines/mac.ts'
import { hostnamePattern, newHostname, newId } from '../../../plugins/machines/names.ts'

const octets = fc.uint8Array({ minLength: 6, maxLength: 6 }).filter(bytes => ((bytes[0] ?? 1) & 1) === 0 && bytes.some(byte => byte !== 0))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const cut = (text: string, size: number, separator: string): string => text.match(new RegExp(`.{${size}}`, 'g'))?.join(separator) ?? ''

test('one address is the same in every form it is written in', () => {
  fc.assert(fc.property(octets, fc.boolean(), (bytes, upper) => {
    const plain = upper ? hex(bytes).toUpperCase() : hex(bytes)
    const expected = cut(hex(bytes), 2, ':')
    for (const text of [plain, cut(plain, 2, ':'), cut(plain, 2, '-'), cut(plain, 4, '.'), cut(plain, 6, '-'), ` ${cut(plain, 2, ':')}\n`]) expect(parseMac(text)).toBe(expected)
  }), { numRuns: 200 })
})

test('anything else is refused with a code', () => {
  for (const text of ['', '52:54:00:12:34', '52:54:00:12:34:56:78', '52:54:00:12:34:5g', '5254.0012.345', '52:54:00:12:34:56:', '525400-12345', '01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00', '52 54 00 12 34 56']) {
    expect(() => parseMac(text), text).toThrow(BedplateError)
  }
  fc.assert(fc.property(fc.string(), text => {
    try { expect(parseMac(text)).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/) } catch (error) { expect(error).toBeInstanceOf(BedplateError) }
  }), { numRuns: 500 })
})

test('ids are short and hold no letter that is mistaken for another', () => {
  for (let n = 0; n < 200; n++) expect(newId()).toMatch(/^[23456789abcdefghkmnpqrstwxyz]{6}$/)
})

test('hostnames are two words, then with a number, and always a DNS label', () => {
  for (let n = 0; n < 200; n++) expect(newHostname()).toMatch(/^[a-z]+-[a-z]+$/)
  expect(newHostname(5)).toMatch(/^[a-z]+-[a-z]+-\d+$/)
  for (let attempt = 0; attempt < 12; attempt++) expect(newHostname(attempt)).toMatch(new RegExp(hostnamePattern))
})
