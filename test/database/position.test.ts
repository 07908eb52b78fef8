/** Positions in the change log: read back as written, and nothing else is taken for one. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasCode } from '../../core/errors.ts'
import { horizonOf, parsePosition } from '../../core/database/position.ts'

const xid = fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn }).map(String)

test('a position reads back as it was written', () => {
  fc.assert(fc.property(fc.nat(0xffff_fff), xid, xid, fc.array(xid, { maxLength: 20 }), (line, xmin, xmax, running) => {
    const timeline = line.toString(16).toUpperCase().padStart(8, '0')
    expect(parsePosition(`${timeline}/${xmin}:${xmax}:${running.join(',')}`)).toEqual({ timeline, snapshot: { xmin, xmax, running } })
  }), { numRuns: 300 })
})

test('the horizon is the lowest transaction not yet seen', () => {
  expect(horizonOf({ xmin: '5', xmax: '9', running: ['7', '5'] })).toBe('5')
  expect(horizonOf({ xmin: '9', xmax: '9', running: [] })).toBe('9')
  expect(horizonOf({ xmin: '99', xmax: '100', running: ['99'] })).toBe('99') // by number, not by text
})

test.each(['', '0', '00000001', '00000001/', '00000001/1:2', '00000001/1:2:3,', '00000001/0:2:', '00000001/1:2:x', '0000000g/1:2:', '00000001/1:99999999999999999999:', "00000001/1:2:'; drop table core.change"])('%j is refused', text => {
  expect(() => parsePosition(text)).toThrow(expect.toSatisfy(error => hasCode(error, 'INVALID_REQUEST')))
})

test('hostile text is refused with a code, never with a crash', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9A-F]{8}\/[0-9:,]*$/)), text => {
    try { parsePosition(text) } catch (error) { expect(hasCode(error, 'INVALID_REQUEST')).toBe(true) }
  }), { numRuns: 1000 })
})
