/** Calls over several links: which is asked first, when a second is asked as well, and which errors are final. */
import fc from 'fast-check'
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { BedplateError, type ErrorCode } from '../../core/errors.ts'
import { createMetrics } from '../../core/metrics.ts'
import { method } from '../../core/plugin.ts'
import { createCaller, hedgeAfter, inOrder, patienceWith } from '../../core/rpc/calls.ts'
import type { Link } from '../../core/rpc/link.ts'
import { manualClock } from '../kit/clock.ts'

const Any = Type.Object({}, { additionalProperties: true })
const idempotent = method({ answeredBy: 'region', idempotent: true, timeout: 9000, params: Any, result: Any })
const plain = method({ answeredBy: 'region', timeout: 9000, params: Any, result: Any })

interface Peer { readonly link: Link, readonly calls: { readonly timeout: number, answer(result: unknown): void, fail(error: BedplateError): void, cancelled: boolean }[] }
interface Shape { readonly fault?: string, readonly silence?: number, readonly busy?: number, readonly answerTime?: number }

function peer (controller: string, shape: Shape = {}): Peer & { up: boolean, silence: number } {
  const calls: Peer['calls'] = []
  const self = {
    up: true, silence: shape.silence ?? 0, calls,
    link: {
      peer: { controller }, get up () { return self.up }, fault: shape.fault, busy: shape.busy ?? 0, answerTime: shape.answerTime, silence: () => self.silence,
      call: (_plugin: string, _name: string, _params: unknown, { timeout, signal }: { timeout: number, signal?: AbortSignal }) => new Promise((resolve, reject) => {
        const call = { timeout, cancelled: false, answer: resolve, fail: reject }
        calls.push(call)
        signal?.addEventListener('abort', () => { call.cancelled = true; reject(new BedplateError('UNAVAILABLE', { reason: 'it was cancelled' })) })
      })
    } as object as Link
  }
  return self
}
function setup (...peers: Peer[]) {
  const clock = manualClock()
  const metrics = createMetrics()
  const caller = createCaller({ clock, metrics, links: () => peers.map(one => one.link).filter(link => link.up) })
  return { clock, metrics, call: (of: typeof plain, options = {}) => caller('probe', 'echo', of, {}, options) }
}
const broken = (code: ErrorCode = 'LINK_DOWN') => new BedplateError(code, { controller: 'x' })

describe('the order', () => {
  const shape = fc.record({ fault: fc.option(fc.constant('no database'), { nil: undefined }), silence: fc.constantFrom(0, 500, 1001, 3000), busy: fc.nat(3), answerTime: fc.option(fc.nat(50), { nil: undefined }) })

  test('has every link once, and no link without fault behind one with it, no living behind a silent one', () => {
    fc.assert(fc.property(fc.array(shape, { maxLength: 8 }), shapes => {
      const links = shapes.map((one, index) => peer(`r${index}`, one as Shape).link)
      const sorted = inOrder(links, undefined)
      expect(new Set(sorted)).toEqual(new Set(links))
      for (const [index, link] of sorted.entries()) {
        const next = sorted[index + 1]
        if (next === undefined) continue
        const key = (one: Link) => [one.fault === undefined ? 0 : 1, one.silence() > 1000 ? 1 : 0, one.busy] as const
        expect(key(link) <= key(next) || key(link).join() <= key(next).join()).toBe(true)
      }
    }), { numRuns: 300 })
  })

  test('begins with the region of this process, unless it is not well', () => {
    const order = (fault?: string) => inOrder([peer('busy', { busy: 1 }).link, peer('free').link, peer('here', { busy: 9, ...(fault === undefined ? {} : { fault }) }).link], 'here').map(link => link.peer.controller)
    expect(order()).toEqual(['here', 'free', 'busy'])
    expect(order('no database')).toEqual(['free', 'busy', 'here'])
  })
})

describe('an idempotent call', () => {
  test('goes over a second link when the first is slow; the first good answer wins and the other is cancelled', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const result = call(idempotent)
    await clock.advance(hedgeAfter(9000) - 1)
    expect([a.calls.length, b.calls.length]).toEqual([1, 0])
    await clock.advance(1)
    expect(b.calls).toMatchObject([{ timeout: 7500 }])
    b.calls[0]?.answer({ from: 'b' })
    expect(await result).toEqual({ from: 'b' })
    expect(a.calls[0]?.cancelled).toBe(true)
  })

  test('is answered by the first after all when that is faster', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const result = call(idempotent)
    await clock.advance(2000)
    a.calls[0]?.answer({ from: 'a' })
    expect(await result).toEqual({ from: 'a' })
    expect(b.calls[0]?.cancelled).toBe(true)
  })

  test('that usually takes long is not asked for twice, unless the link falls silent', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const first = call(idempotent)
    await clock.advance(1000)
    a.calls[0]?.answer({})
    await first
    const second = call(idempotent)
    await clock.advance(2900)
    expect(b.calls).toEqual([])
    a.silence = 1001
    await clock.advance(100)
    expect(b.calls).toHaveLength(1)
    b.calls[0]?.answer({})
    await second
    expect([patienceWith(9000, undefined), patienceWith(9000, 10), patienceWith(9000, 800), patienceWith(9000, 60_000)]).toEqual([1500, 1500, 2400, 3000])
  })

  test('waits a third of a short timeout', () => { expect([hedgeAfter(300), hedgeAfter(3000), hedgeAfter(60_000)]).toEqual([100, 1000, 1500]) })

  test('asks no third region while two that live work on it, but does when one of them falls silent', async () => {
    const peers = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 }), peer('c', { answerTime: 3 })] as const
    const { clock, call } = setup(...peers)
    const result = call(idempotent)
    await clock.advance(5000)
    expect(peers.map(one => one.calls.length)).toEqual([1, 1, 0])
    peers[0].silence = 1001
    await clock.advance(1500)
    expect(peers.map(one => one.calls.length)).toEqual([1, 1, 1])
    peers[2].calls[0]?.answer({})
    await result
  })

  test.each(['LINK_DOWN', 'DATABASE_UNREACHABLE', 'TRANSACTION_UNKNOWN'] as const)('moves on at once over %s', async code => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const result = call(idempotent)
    a.calls[0]?.fail(broken(code))
    await clock.advance(0)
    b.calls[0]?.answer({ from: 'b' })
    expect(await result).toEqual({ from: 'b' })
  })

  test('passes over a link that is silent', async () => {
    const [a, b] = [peer('a', { answerTime: 1, silence: 1001 }), peer('b', { answerTime: 2 })]
    const { call } = setup(a, b)
    const result = call(idempotent)
    b.calls[0]?.answer({})
    await result
    expect(a.calls).toEqual([])
  })

  test('ends with the handler\'s own error', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const refused = expect(call(idempotent)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await clock.advance(1600)
    b.calls[0]?.fail(broken('NOT_FOUND'))
    await refused
    expect(a.calls[0]?.cancelled).toBe(true)
  })

  test('fails with the last trouble when every region had some, and with LINK_DOWN when there is none', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const refused = expect(call(idempotent)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
    a.calls[0]?.fail(broken())
    await clock.advance(0)
    b.calls[0]?.fail(broken('DATABASE_UNREACHABLE'))
    await refused
    await expect(setup().call(idempotent)).rejects.toMatchObject({ code: 'LINK_DOWN', details: { controller: 'any region' } })
  })

  test('that its caller gives up asks nobody else', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call } = setup(a, b)
    const abort = new AbortController()
    const refused = expect(call(idempotent, { signal: abort.signal })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    abort.abort()
    await refused
    await clock.advance(10_000)
    expect([a.calls.length, b.calls.length]).toEqual([1, 0])
    expect(clock.sleepers).toBe(0)
  })

  test('whose result is not valid is not repeated', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { call } = setup(a, b)
    const refused = expect(call(idempotent)).rejects.toMatchObject({ code: 'CALL_FAILED' })
    a.calls[0]?.answer(7)
    await refused
    expect(b.calls).toEqual([])
  })
})

describe('a call that is not idempotent', () => {
  test('is made once, and says where it may have been done when the link breaks', async () => {
    const [a, b] = [peer('a', { answerTime: 1 }), peer('b', { answerTime: 2 })]
    const { clock, call, metrics } = setup(a, b)
    const refused = expect(call(plain)).rejects.toMatchObject({ code: 'CALL_UNKNOWN', details: { controller: 'a', method: 'probe.echo' } })
    await clock.advance(8000)
    a.up = false
    a.calls[0]?.fail(broken())
    await refused
    expect(b.calls).toEqual([])
    expect(await metrics.registry.metrics()).toContain('bedplate_calls_total{plugin="probe",method="echo",outcome="CALL_UNKNOWN"} 1')
  })

  test('hands on a LINK_DOWN of the handler, whose own call found no link', async () => {
    const a = peer('a')
    const { call } = setup(a)
    const refused = expect(call(plain)).rejects.toMatchObject({ code: 'LINK_DOWN' })
    a.calls[0]?.fail(broken())
    await refused
  })
})
