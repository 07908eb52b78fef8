/** The copy that travels within one process is what the text would have carried. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copyOf } from '../../core/rpc/copy.ts'
import { copyFrame, decodeFrame, encodeFrame, frameLimit } from '../../core/rpc/frames.ts'

const throughText = (value: unknown): unknown => JSON.parse(JSON.stringify(value) ?? 'null')

describe('a copy', () => {
  test('is what JSON would carry, whatever the value', () => {
    const odd = fc.anything({ withDate: true, withMap: true, withSet: true, withTypedArray: true, withSparseArray: true, withBoxedValues: true, withNullPrototype: true })
    fc.assert(fc.property(odd, value => {
      const copy = copyOf(value)
      expect(copy === undefined ? null : copy).toStrictEqual(throughText(value))
    }), { numRuns: 2000 })
  })
  test.each<readonly [string, unknown]>([
    ['a date', { at: new Date(0) }], ['bytes', Buffer.from('ab')], ['what is undefined', { a: undefined, b: [undefined] }], ['numbers that are none', [Number.NaN, Infinity, -0]],
    ['a key that names the prototype', JSON.parse('{"__proto__":{"a":1}}')], ['functions', { f () {}, g: [() => {}] }], ['something with toJSON', { toJSON: () => ({ x: 1 }) }]
  ])('%s', (_, value) => { expect(copyOf(value)).toStrictEqual(throughText(value)) })
  test('shares nothing with what it was made of', () => {
    const inner = { list: [1] }
    const copy = copyOf({ inner }) as { inner: { list: number[] } }
    inner.list.push(2)
    expect(copy).toEqual({ inner: { list: [1] } })
  })
  test('of what JSON cannot say is refused in the same words', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    for (const result of [10n, cycle]) {
      expect(() => encodeFrame({ t: 'answer', id: 3, result })).toThrowError(/cannot be written as JSON/)
      expect(() => copyFrame({ t: 'answer', id: 3, result })).toThrowError(/cannot be written as JSON/)
    }
  })
  test('of a frame is held to the same limit', () => {
    for (const length of [frameLimit - 100, frameLimit + 1]) {
      const frame = { t: 'answer', id: 3, result: 'x'.repeat(length) } as const
      const refused = (make: () => unknown): boolean => { try { make(); return false } catch { return true } }
      expect(refused(() => copyFrame(frame))).toBe(refused(() => encodeFrame(frame)))
    }
  })
  test('of a frame is read as its text is', () => {
    const frame = { t: 'call', id: 1, plugin: 'p', method: 'm', params: { a: [1, null, 'x'], b: undefined }, timeout: 10 } as const
    expect(decodeFrame(copyFrame(frame).copy)).toEqual(decodeFrame(encodeFrame(frame)))
    expect(() => decodeFrame({ t: 'nothing of ours' })).toThrowError(/no known kind/)
    expect(() => decodeFrame({ ...frame, id: -1 })).toThrowError(/call: /)
  })
})
