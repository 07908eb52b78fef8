/** Conditional requests and ranges, row by row as RFC 9110 has them. */
import { describe, expect, test } from 'vitest'
import { verdictOf } from '../../../../plugins/boot/http/conditions.ts'
import type { Asked, Verdict } from '../../../../plugins/boot/http/conditions.ts'

const [mine, other] = ['"mine"', '"other"']
const size = 100
const ask = (headers: Asked['headers'], method = 'GET') => verdictOf({ method, headers }, mine, size)
const whole: Verdict = { status: 200 }
const [current, failed, beyond]: Verdict[] = [{ status: 304 }, { status: 412 }, { status: 416 }]
const part: Verdict = { status: 206, from: 10, to: 19 }
const range = 'bytes=10-19'

describe('13.1.1 If-Match', () => {
  test.each([[mine, whole], ['*', whole], [` ${other} , ${mine} `, whole], [other, failed], [`W/${mine}`, failed], ['', failed], ['mine', failed]])('%j', (tags, verdict) => { expect(ask({ 'if-match': tags })).toEqual(verdict) })
})

describe('13.1.2 If-None-Match', () => {
  test.each([[mine, current], [`W/${mine}`, current], ['*', current], [`${other},${mine}`, current], [`${other}, W/"x" , ${mine}`, current], ['"a,b", "mine"', current], [other, whole], ['"*"', whole], ['mine', whole], ['', whole]])('%j', (tags, verdict) => {
    expect(ask({ 'if-none-match': tags })).toEqual(verdict)
    expect(ask({ 'if-none-match': tags }, 'HEAD')).toEqual(verdict)
  })
})

describe('13.2.2 precedence', () => {
  test('If-Match comes first, then If-None-Match, then Range', () => {
    expect(ask({ 'if-match': other, 'if-none-match': mine, range })).toEqual(failed)
    expect(ask({ 'if-match': mine, 'if-none-match': mine, range })).toEqual(current)
    expect(ask({ 'if-match': mine, 'if-none-match': other, range })).toEqual(part)
  })
})

describe('13.1.5 If-Range', () => {
  test.each([[mine, part], [other, whole], [`W/${mine}`, whole], ['Mon, 23 Nov 2026 10:00:00 GMT', whole], ['', whole]])('%j', (tag, verdict) => { expect(ask({ 'if-range': tag, range })).toEqual(verdict) })
  test('without a Range it means nothing', () => { expect(ask({ 'if-range': other })).toEqual(whole) })
  test('one that does not match asks for the whole, also beyond its end', () => {
    expect(ask({ 'if-range': other, range: 'bytes=500-' })).toEqual(whole)
    expect(ask({ 'if-range': mine, range: 'bytes=500-' })).toEqual(beyond)
  })
})

describe('14.2 Range', () => {
  test('is defined for GET alone', () => {
    expect(ask({ range }, 'HEAD')).toEqual(whole)
    expect(ask({ range: 'bytes=500-' }, 'HEAD')).toEqual(whole)
    expect(ask({ range })).toEqual(part)
  })
  test.each([['bytes=500-', beyond], ['bytes=100-', beyond], ['bytes=-0', beyond], ['bytes=99-', { status: 206, from: 99, to: 99 }], ['bytes=-1', { status: 206, from: 99, to: 99 }], ['bytes=0-0,50-60', whole], ['seconds=1-2', whole], ['bytes 1-2', whole]] as const)('%j', (asked, verdict) => { expect(ask({ range: asked })).toEqual(verdict) })
})
