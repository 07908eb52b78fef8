/** One stream of wanted state under a clock and a rack of the test's own. */
import { describe, expect, test } from 'vitest'
import type { Entry, Key } from '../../core/plugin.ts'
import type { Frames } from '../../core/rpc/frames.ts'
import { feedPart, openStream, positionText, type Stream } from '../../core/state/stream.ts'
import { manualClock } from '../kit/clock.ts'
import { until } from '../kit/wait.ts'

function scene (from = '', joined: readonly Key[] | undefined = undefined) {
  const clock = manualClock()
  const abort = new AbortController()
  const truth = new Map<string, unknown>()
  const self = {
    clock, truth, abort, position: 'p1', sent: [] as Frames['wanted'][], asked: [] as (number | 'all')[], stands: [] as [string, string | undefined][], lost: undefined as string | undefined,
    fail: undefined as string | undefined, hold: undefined as Promise<void> | undefined,
    stream: undefined as unknown as Stream,
    ack (error?: string) {
      const last = self.sent.at(-1)
      self.stream.acknowledged({ t: 'ack', plugin: 'p', position: error === undefined ? last?.to ?? '' : last?.from ?? '', ...(error === undefined ? {} : { error }) })
    }
  }
  self.stream = openStream({
    plugin: 'p', from, clock, signal: abort.signal,
    position: () => self.position,
    join: async () => joined,
    async wanted (keys) {
      self.asked.push(keys?.length ?? 'all')
      await self.hold
      if (self.fail !== undefined) throw new TypeError(self.fail)
      return [...truth].filter(([id]) => keys === undefined || keys.some(key => key.id === id)).map(([id, value]): Entry => ({ kind: 'k', id, value }))
    },
    send: frame => { self.sent.push(frame) },
    stands: (position, error) => { self.stands.push([position, error]) },
    lost: reason => { self.lost = reason }
  })
  return self
}
const key = (id: string): Key => ({ kind: 'k', id })
const sent = (at: ReturnType<typeof scene>, count: number) => until(() => at.sent.length === count, { what: `${count} frames` })

describe('a stream', () => {
  test('sends the whole first, then one change at a time with what came meanwhile together', async () => {
    const at = scene()
    at.truth.set('a', 1)
    await sent(at, 1)
    expect(at.sent[0]).toMatchObject({ whole: true, from: '', to: 'p1' })
    at.truth.set('a', 2).set('b', 2)
    at.stream.mark([key('a')])
    at.stream.mark([key('b')])
    at.stream.mark([key('a')])
    at.position = 'p2'
    expect(at.sent).toHaveLength(1)
    at.ack()
    await sent(at, 2)
    expect(at.sent[1]).toMatchObject({ whole: false, from: 'p1', to: 'p2', put: [{ id: 'a', value: 2 }, { id: 'b', value: 2 }] })
    at.abort.abort()
  })

  test('claims the position from before it read the values, never one from after', async () => {
    const at = scene()
    const gate = Promise.withResolvers<void>()
    at.hold = gate.promise
    at.position = 'p2'
    at.stream.mark([key('late')])
    gate.resolve()
    await sent(at, 1)
    expect(at.sent[0]?.to).toBe('p1')
    at.truth.set('late', 1)
    at.ack()
    await sent(at, 2)
    expect(at.sent[1]).toMatchObject({ from: 'p1', to: 'p2', put: [{ id: 'late' }] })
    at.abort.abort()
  })

  test('joins a position the feed still knows, and moves it on though nothing changed', async () => {
    const at = scene('p0', [key('x')])
    await sent(at, 1)
    expect(at.sent[0]).toMatchObject({ whole: false, from: 'p0', put: [], remove: [key('x')] })
    at.ack()
    await until(() => at.stands.length === 1)
    at.position = 'p5'
    at.stream.advance()
    await sent(at, 2)
    expect(at.sent[1]).toMatchObject({ from: 'p1', to: 'p5', put: [], remove: [] })
    at.abort.abort()
  })

  test('a sweep sends only what differs', async () => {
    const at = scene()
    at.truth.set('a', 1).set('b', 1)
    await sent(at, 1)
    at.ack()
    await until(() => at.stands.length === 1)
    at.truth.set('b', 2).delete('a')
    at.position = 'p2'
    at.stream.mark(undefined)
    await sent(at, 2)
    expect(at.sent[1]).toMatchObject({ whole: false, put: [{ id: 'b', value: 2 }], remove: [key('a')] })
    at.abort.abort()
  })

  test('owes what was refused, and brings it with the next change', async () => {
    const at = scene()
    await sent(at, 1)
    at.ack()
    await until(() => at.stands.length === 1)
    at.truth.set('bad', 1)
    at.position = 'p2'
    at.stream.mark([key('bad')])
    await sent(at, 2)
    at.ack('I will not')
    await until(() => at.stands.at(-1)?.[1] === 'I will not')
    at.truth.set('bad', 2).set('good', 1)
    at.position = 'p3'
    at.stream.mark([key('good')])
    await at.clock.advance(300)
    await sent(at, 3)
    expect(at.sent[2]).toMatchObject({ from: 'p1', to: 'p3', put: [{ id: 'bad', value: 2 }, { id: 'good' }] })
    at.abort.abort()
  })

  test('tries a failed computation again with a growing pause', async () => {
    const at = scene()
    at.fail = 'database down'
    await until(() => at.stands.length === 1)
    expect(at.stands[0]).toEqual(['', 'database down'])
    const tries = at.asked.length
    await at.clock.advance(5000)
    expect(at.asked.length).toBeGreaterThan(tries)
    expect(at.asked.length).toBeLessThan(tries + 5)
    at.fail = undefined
    await at.clock.advance(30_000)
    await sent(at, 1)
    at.abort.abort()
  })

  test('gives the link up when the rack does not answer within a minute', async () => {
    const at = scene()
    await sent(at, 1)
    await at.clock.advance(61_000)
    expect(at.lost).toContain('no acknowledgement')
    at.abort.abort()
  })

  test('sends the whole to a rack that stands elsewhere than it said', async () => {
    const at = scene()
    await sent(at, 1)
    at.stream.acknowledged({ t: 'ack', plugin: 'p', position: 'p77' })
    await until(() => at.stands.length === 1)
    await at.clock.advance(3000)
    await sent(at, 2)
    expect(at.sent[1]?.whole).toBe(true)
    at.abort.abort()
  })
})

test('a position belongs to one database', () => {
  expect(feedPart('db1', positionText('db1', 'x/y'))).toBe('x/y')
  expect(feedPart('db2', positionText('db1', 'x/y'))).toBeUndefined()
  expect(feedPart('db', positionText('db1', 'x'))).toBeUndefined()
})
