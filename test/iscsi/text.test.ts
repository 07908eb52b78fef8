import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatBinary, formatText, parseBinary, parseNumber, parseText, TextError } from '../../iscsi/text.ts'

const key = fc.stringMatching(/^[A-Z][A-Za-z0-9]{0,30}$/)
const value = fc.stringMatching(/^[\x21-\x7e]{0,60}$/)

describe('text', () => {
  it('is read as it was written', () => { fc.assert(fc.property(fc.array(fc.tuple(key, value)), pairs => { expect(parseText(formatText(pairs))).toEqual(pairs) })) })
  it('may end without its last zero, and be padded with more', () => {
    expect(parseText(Buffer.from('A=1\0B=2'))).toEqual([['A', '1'], ['B', '2']])
    expect(parseText(Buffer.from('A=1\0\0\0\0'))).toEqual([['A', '1']])
  })
  it.each([
    ['without a value', 'Name\0', /no value/],
    ['that begins with no capital', 'name=x\0', /no key/],
    ['that is empty', '=x\0', /no key/],
    ['of 64 bytes', `${'A'.repeat(64)}=x\0`, /no key/],
    ['whose value is too long', `A=${'x'.repeat(9000)}\0`, /too long/],
    ['among too many', 'A=1\0'.repeat(257), /too many/]
  ])('refuses a key %s', (_, text, reason) => { expect(() => parseText(Buffer.from(text))).toThrow(reason) })
  it('throws TextError for nothing but what is wrong with it, whatever it is given', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
      try { parseText(bytes) } catch (error) { expect(error).toBeInstanceOf(TextError) }
    }))
  })
})

describe('values', () => {
  it.each([['0', 0], ['8192', 8192], ['0x1F', 31], ['0X10', 16], ['', undefined], ['-1', undefined], ['1.5', undefined], ['0x', undefined], ['12 ', undefined], ['9'.repeat(20), undefined]])('the number %j is %s', (text, number) => { expect(parseNumber(text)).toBe(number) })
  it('binary ones are read in both forms', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), bytes => {
      expect(parseBinary(formatBinary(bytes), 64)).toEqual(Buffer.from(bytes))
      expect(parseBinary(`0b${Buffer.from(bytes).toString('base64')}`, 64)).toEqual(Buffer.from(bytes))
    }))
    expect(parseBinary('0xabc', 8)).toEqual(Buffer.from('0abc', 'hex'))
  })
  it.each(['', '0x', '0xgg', '0b', '0b=', 'abcd', '0babc', `0x${'00'.repeat(9)}`, `0b${Buffer.alloc(9).toString('base64')}`])('%j is no binary value of at most 8 bytes', text => { expect(parseBinary(text, 8)).toBeUndefined() })
})
