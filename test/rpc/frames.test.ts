/** The frame codec: what goes in comes out, and nothing that comes in does harm. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../core/errors.ts'
import { decodeFrame, encodeFrame, frameLimit, type Frame } from '../../core/rpc/frames.ts'
import { fromWire, toWire } from '../../core/rpc/methods.ts'
import { parseToken } from '../../core/rpc/token.ts'
import { pause, regionUrl } from '../../core/rpc/target.ts'

const name = fc.string({ minLength: 1, maxLength: 20 })
const count = fc.nat()
const json = fc.jsonValue().map(value => JSON.parse(JSON.stringify(value)) as unknown) // -0 is not JSON
const key = { kind: name, id: name }
const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ t: fc.constant('hello' as const), protocol: count, controller: name, roles: fc.subarray(['region' as const, 'rack' as const]), version: fc.string({ maxLength: 20 }), epoch: name }, { requiredKeys: ['t', 'protocol', 'controller', 'roles', 'version'] }),
  fc.record({ t: fc.constant('call' as const), id: count, plugin: name, method: name, params: json, timeout: count }, { requiredKeys: ['t', 'id', 'plugin', 'method', 'timeout'] }),
  fc.record({ t: fc.constant('answer' as const), id: count, result: json }, { requiredKeys: ['t', 'id'] }),
  fc.record({ t: fc.constant('answer' as const), id: count, error: fc.record({ code: name, message: fc.string(), details: fc.dictionary(name, json).map(value => ({ ...value })) }) }),
  fc.record({ t: fc.constant('cancel' as const), id: count }),
  fc.record({ t: fc.constant('subscribe' as const), positions: fc.dictionary(name, fc.string()).map(value => ({ ...value })) }),
  fc.record({ t: fc.constant('wanted' as const), plugin: name, from: fc.string(), to: fc.string(), whole: fc.boolean(), more: fc.boolean(), put: fc.array(fc.record({ ...key, value: json })), remove: fc.array(fc.record(key)) }, { requiredKeys: ['t', 'plugin', 'from', 'to', 'whole', 'put', 'remove'] }),
  fc.record({ t: fc.constant('ack' as const), plugin: name, position: fc.string(), error: fc.string() }, { requiredKeys: ['t', 'plugin', 'position'] }),
  fc.record({ t: fc.constant('facts' as const), epoch: name, first: count, items: fc.array(fc.record({ seq: count, plugin: name, kind: name, at: fc.string({ maxLength: 30 }), body: json })) }),
  fc.record({ t: fc.constant('stored' as const), epoch: name, through: count }),
  fc.record({ t: fc.constantFrom('ping' as const, 'pong' as const), n: count }),
  fc.record({ t: fc.constant('regions' as const), regions: fc.array(fc.record({ controller: name, urls: fc.array(fc.string()) })), removed: fc.array(name) }, { requiredKeys: ['t', 'regions'] })
)
const refuses = (text: string) => { try { return decodeFrame(text) } catch (error) { expect(error).toBeInstanceOf(BedplateError); expect((error as BedplateError).code).toBe('FRAME_INVALID'); return undefined } }

describe('frames', () => {
  test('come out as they went in', () => {
    fc.assert(fc.property(frame, one => { expect(decodeFrame(encodeFrame(one))).toEqual(JSON.parse(JSON.stringify(one))) }), { numRuns: 500 })
  })

  test('any text is a frame or FRAME_INVALID', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.string().map(text => `{"t":${text}`)), text => { refuses(text) }), { numRuns: 500 })
  })

  test('a damaged frame is a frame or FRAME_INVALID', () => {
    fc.assert(fc.property(frame, fc.nat(), fc.string({ maxLength: 3 }), (one, at, put) => {
      const text = encodeFrame(one)
      const cut = at % text.length
      refuses(text.slice(0, cut) + put + text.slice(cut + 1))
    }), { numRuns: 500 })
  })

  test('a frame with one part of another kind is FRAME_INVALID or a frame', () => {
    fc.assert(fc.property(frame, json, fc.nat(), (one, value, at) => {
      const keys = Object.keys(one)
      const broken = { ...one, [keys[at % keys.length] ?? 't']: value }
      refuses(JSON.stringify(broken))
    }), { numRuns: 500 })
  })

  test('names from Object.prototype are no kinds of frame, and no keys do harm', () => {
    for (const t of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) expect(refuses(JSON.stringify({ t }))).toBeUndefined()
    refuses('{"t":"subscribe","positions":{"__proto__":"x"}}')
    refuses(`{"t":"call","id":1,"plugin":"p","method":"m","timeout":1,"params":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })

  test('a name holds no NUL, which the database could not store', () => {
    expect(refuses(JSON.stringify({ t: 'facts', epoch: 'a\0', first: 0, items: [] }))).toBeUndefined()
    expect(refuses(JSON.stringify({ t: 'hello', protocol: 1, controller: 'a', roles: [], version: '\0' }))).toBeUndefined()
    expect(refuses(JSON.stringify({ t: 'hello', protocol: 1, controller: 'a', roles: [], version: '' }))).toBeDefined()
  })

  test('a broken call tells its id, so that it can be answered', () => {
    expect(() => decodeFrame('{"t":"call","id":7,"plugin":"p"}')).toThrowError(expect.objectContaining({ code: 'FRAME_INVALID', details: expect.objectContaining({ id: 7 }) }))
  })

  test('what is over the limit is refused at both ends', () => {
    const big = { t: 'answer' as const, id: 3, result: 'é'.repeat(frameLimit / 2) }
    expect(() => encodeFrame(big)).toThrowError(expect.objectContaining({ code: 'FRAME_INVALID', details: expect.objectContaining({ id: 3 }) }))
    expect(() => decodeFrame('x'.repeat(frameLimit + 1))).toThrowError(/larger/)
    expect(() => encodeFrame({ t: 'answer', id: 3, result: 10n })).toThrowError(/cannot be written as JSON/)
  })
})

test('errors keep code and details; an unknown code keeps its sentence', () => {
  const error = new BedplateError('NOT_FOUND', { what: 'machine', id: 'x' })
  expect(fromWire(toWire(error, 'p.m', 'a'), 'p.m', 'b')).toMatchObject({ code: 'NOT_FOUND', message: error.message, details: error.details })
  expect(fromWire({ code: 'FROM_THE_FUTURE', message: 'so it is', details: {} }, 'p.m', 'b')).toMatchObject({ code: 'CALL_FAILED', message: expect.stringContaining('so it is') })
  expect(fromWire({ code: 'toString', message: 'x', details: {} }, 'p.m', 'b').code).toBe('CALL_FAILED')
  expect(toWire(new BedplateError('CONFLICT', { reason: 'r', big: 10n }), 'p.m', 'a')).toMatchObject({ code: 'CONFLICT', details: {} })
  expect(toWire('just a text', 'p.m', 'a')).toMatchObject({ code: 'CALL_FAILED', details: { reason: 'just a text' } })
})

test('any text is a token or ENROLMENT_REFUSED', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map(text => `bp1.${text}`)), text => {
    try { parseToken(text) } catch (error) { expect((error as BedplateError).code).toBe('ENROLMENT_REFUSED') }
  }), { numRuns: 200 })
})

test('region addresses in every usual form, or a plain refusal', () => {
  expect(['region', ' region:5251 ', '10.0.0.1', 'https://r.example:443', 'wss://r:1/', '::1', '[fd00::1]:99'].map(regionUrl)).toEqual(
    ['wss://region:5250', 'wss://region:5251', 'wss://10.0.0.1:5250', 'wss://r.example:443', 'wss://r:1', 'wss://[::1]:5250', 'wss://[fd00::1]:99'])
  for (const wrong of ['', 'a b', 'host:99999', 'user@host', 'host/path']) expect(() => regionUrl(wrong)).toThrowError(expect.objectContaining({ code: 'INVALID_REQUEST' }))
  fc.assert(fc.property(fc.string(), text => { try { regionUrl(text) } catch (error) { expect(error).toBeInstanceOf(BedplateError) } }), { numRuns: 300 })
})

test('retries begin within a second and never wait more than five', () => {
  fc.assert(fc.property(fc.nat(100), fc.double({ min: 0, max: 0.999, noNaN: true }), (n, random) => {
    expect(pause(0, random)).toBeLessThan(1000)
    expect(pause(n, random)).toBeLessThanOrEqual(5000)
    expect(pause(n, random)).toBeGreaterThan(100)
  }), { numRuns: 200 })
})
