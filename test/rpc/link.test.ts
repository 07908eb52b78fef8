/** A link under hostile and odd peers: every frame from outside costs an answer or a drop. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { protocol, type Frame, type Hello } from '../../core/rpc/frames.ts'
import { createLink, type Link, type LinkOptions } from '../../core/rpc/link.ts'
import { wirePair } from '../../core/rpc/loopback.ts'
import type { Wire } from '../../core/rpc/wire.ts'
import { manualClock } from '../kit/clock.ts'
import { until } from '../kit/wait.ts'

const hello = (controller: string, extra: Partial<Hello> = {}): Hello => ({ t: 'hello', protocol, controller, roles: ['rack'], version: '1.0.0', ...extra })
interface Raw { readonly wire: Wire, readonly heard: Frame[], reason: string | undefined, send(frame: unknown): void }
function raw (wire: Wire): Raw {
  const self: Raw = { wire, heard: [], reason: undefined, send: frame => { wire.send(typeof frame === 'string' ? frame : JSON.stringify(frame)) } }
  wire.listen(message => { self.heard.push(message as Frame) }, reason => { self.reason = reason })
  return self
}
function against (options: Partial<LinkOptions> = {}): { link: Link, peer: Raw, dropped: string[], received: Frame[] } {
  const [near, far] = wirePair('test')
  const dropped: string[] = []
  const received: Frame[] = []
  const link = createLink({ wire: near, self: hello('me'), clock: systemClock, answer: async call => call.params, receive: frame => { received.push(frame) }, dropped: reason => { dropped.push(reason) }, ...options })
  return { link, peer: raw(far), dropped, received }
}
const end = (link: Link) => { link.close('over'); return link.closed }

describe('a link', () => {
  test('comes up when both said hello, and tells its peer', async () => {
    const { link, peer } = against()
    expect(link.up).toBe(false)
    peer.send(hello('you'))
    await link.ready
    expect(link.peer.controller).toBe('you')
    expect(await until(() => peer.heard[0])).toEqual(hello('me'))
    await end(link)
    await until(() => peer.reason === 'over')
  })

  test('that is second says nothing to a peer it does not want', async () => {
    const { link, peer } = against({ second: true, refuse: other => `no ${other.controller} here` })
    peer.send(hello('you'))
    await expect(link.ready).rejects.toMatchObject({ code: 'LINK_DOWN' })
    expect(await link.closed).toBe('no you here')
    expect(peer.heard).toEqual([])
  })

  test('refuses another protocol version with a sentence', async () => {
    const { link, peer } = against()
    peer.send(hello('you', { protocol: 99 }))
    expect(await link.closed).toContain('upgrade the older one')
  })

  test.each([['1.1.9', true], ['0.9.0', false], ['1.2.0', false], ['2.0.0', false], ['', false]])('of version 1.0.0 takes a peer of version %j: %s', async (version, taken) => {
    const { link, peer } = against()
    peer.send(hello('you', { version }))
    if (taken) { await link.ready; await end(link); return }
    expect(await link.closed).toContain('this controller runs version 1.0.0 and you')
  })

  test('drops what comes before hello, and a second hello', async () => {
    const { link, peer, dropped, received } = against()
    peer.send({ t: 'ack', plugin: 'p', position: '' })
    peer.send(hello('you'))
    peer.send(hello('other'))
    await until(() => dropped.length === 2)
    expect([link.peer.controller, received.length]).toEqual(['you', 0])
    await end(link)
  })

  test('answers a malformed call, drops other nonsense, and closes after ten', async () => {
    const { link, peer, dropped } = against()
    peer.send(hello('you'))
    await link.ready
    peer.send({ t: 'call', id: 5 })
    await until(() => peer.heard.some(frame => frame.t === 'answer' && frame.id === 5 && frame.error?.code === 'FRAME_INVALID'))
    for (let n = 0; n < 8; n++) peer.send('{nonsense')
    peer.send({ t: 'call', id: 6, plugin: 'p', method: 'm', params: 'still here', timeout: 1000 })
    await until(() => peer.heard.some(frame => frame.t === 'answer' && frame.id === 6 && frame.result === 'still here'))
    peer.send('')
    expect(await link.closed).toBe('too many malformed frames')
    expect(dropped).toHaveLength(10)
  })

  test('survives any sequence of frames', async () => {
    const odd = fc.oneof(fc.json(), fc.string(), fc.constantFrom(hello('x'), { t: 'answer', id: 0 }, { t: 'answer', id: 1, error: { code: 'x', message: '', details: {} } }, { t: 'cancel', id: 9 }, { t: 'stored', epoch: 'e', through: 1 }, { t: 'ping', n: 1 }).map(one => JSON.stringify(one)))
    await fc.assert(fc.asyncProperty(fc.array(odd, { maxLength: 15 }), async texts => {
      const { link, peer } = against({ receive: () => { throw new TypeError('a receiver that throws') } })
      for (const text of texts) peer.send(text)
      peer.send(hello('you'))
      peer.send({ t: 'ping', n: 77 })
      await Promise.race([link.closed, until(() => peer.heard.some(frame => frame.t === 'pong' && frame.n === 77), { interval: 1 })])
      await end(link)
    }), { numRuns: 60 })
  })

  test('a peer that stays silent is gone after four seconds; a pause of this process is not held against it', async () => {
    const clock = manualClock()
    const { link, peer } = against({ clock })
    peer.send(hello('you'))
    await link.ready
    await clock.advance(1000)
    await clock.advance(1000)
    expect(link.up).toBe(true)
    peer.send({ t: 'pong', n: 0 })
    await until(() => peer.heard.some(frame => frame.t === 'ping'))
    for (let second = 0; second < 6 && link.up; second++) await clock.advance(1000)
    expect(await link.closed).toBe('silent for 4 s')
  })

  test('a peer that never says hello is turned away', async () => {
    const clock = manualClock()
    const { link } = against({ clock })
    for (let second = 0; second < 8 && !link.signal.aborted; second++) await clock.advance(1000)
    expect(await link.closed).toBe('no hello')
  })

  test('ends its calls both ways when it closes', async () => {
    let told = false
    const { link, peer } = against({ answer: (_call, _link, signal) => new Promise(() => { signal.addEventListener('abort', () => { told = true }) }) })
    peer.send(hello('you'))
    await link.ready
    const call = link.call('p', 'm', {}, { timeout: 60_000 })
    peer.send({ t: 'call', id: 1, plugin: 'p', method: 'm', timeout: 1000 })
    await until(() => peer.heard.some(frame => frame.t === 'call'))
    peer.wire.close('gone')
    await expect(call).rejects.toMatchObject({ code: 'LINK_DOWN' })
    await until(() => told)
    await expect(link.call('p', 'm', {}, { timeout: 1000 })).rejects.toMatchObject({ code: 'LINK_DOWN' })
  })

  test('a result that is no JSON, or too large, is an error for its caller alone', async () => {
    const { link, peer } = against({ answer: async call => call.method === 'big' ? 'x'.repeat(17 * 1024 * 1024) : { n: 1n } })
    peer.send(hello('you'))
    peer.send({ t: 'call', id: 1, plugin: 'p', method: 'big', timeout: 1000 })
    peer.send({ t: 'call', id: 2, plugin: 'p', method: 'odd', timeout: 1000 })
    for (const id of [1, 2]) await until(() => peer.heard.some(frame => frame.t === 'answer' && frame.id === id && frame.error?.code === 'FRAME_INVALID'))
    expect(link.up).toBe(true)
    await end(link)
  })

  test('a peer may not have more than 1,024 calls open', async () => {
    const { link, peer } = against({ answer: () => new Promise(() => {}) })
    peer.send(hello('you'))
    for (let id = 0; id < 1025; id++) peer.send({ t: 'call', id, plugin: 'p', method: 'm', timeout: 1000 })
    await until(() => peer.heard.some(frame => frame.t === 'answer' && frame.id === 1024 && frame.error?.code === 'UNAVAILABLE'))
    expect(peer.heard.filter(frame => frame.t === 'answer')).toHaveLength(1)
    await end(link)
  })
})
