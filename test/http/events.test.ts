/** The event stream: what is committed arrives, at least once, also after a break; slow readers are let go. */
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createApp } from '../../core/http/app.ts'
import { createEvents } from '../../core/http/events.ts'
import { createListener } from '../../core/http/listener.ts'
import { createLogger } from '../../core/log.ts'
import { startDaemon } from '../kit/daemon.ts'
import type { Daemon } from '../kit/daemon.ts'
import { until } from '../kit/wait.ts'
import { things } from './toy.ts'

interface Event { readonly event: string, readonly id: string | undefined, readonly data: { seq: string, topic: string, id: string } }
interface Stream { readonly status: number | undefined, readonly events: Event[], readonly comments: string[], readonly ended: boolean, last(): string | undefined, close(): void }

let daemon: Daemon
const open: Stream[] = []
beforeAll(async () => { daemon = await startDaemon({ plugins: [things({ count: 0 })] }) })
afterEach(() => { for (const stream of open.splice(0)) stream.close() })
afterAll(() => daemon?.stop())

const change = async (...ids: readonly string[]): Promise<void> => { await daemon.kernel.db?.tx(async tx => { for (const id of ids) await tx.changed('things.thing', id) }) }

/** Reads a stream as a browser's EventSource would. */
async function listen (query = '', headers: Record<string, string> = {}): Promise<Stream> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => { get(`${daemon.url}/api/v1/events${query}`, { headers: { authorization: `Bearer ${daemon.token}`, ...headers } }, resolve).on('error', reject) })
  const events: Event[] = []
  const comments: string[] = []
  let text = ''
  let ended = false
  let last: string | undefined
  answer.setEncoding('utf8')
  answer.on('data', (part: string) => {
    text += part
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const field = (name: string) => lines.find(line => line.startsWith(`${name}: `))?.slice(name.length + 2)
      last = field('id') ?? last
      if (field('event') !== undefined) events.push({ event: field('event') ?? '', id: field('id'), data: JSON.parse(field('data') ?? '{}') as Event['data'] })
      comments.push(...lines.filter(line => line.startsWith(':')))
    }
  })
  answer.on('error', () => {})
  answer.on('close', () => { ended = true })
  const stream = { status: answer.statusCode, events, comments, get ended () { return ended }, last: () => last, close: () => answer.destroy() }
  open.push(stream)
  if (answer.statusCode === 200) await until(() => comments.includes(': connected'))
  return stream
}
const ids = (stream: Stream): string[] => stream.events.map(({ data }) => data.id)

describe('events', () => {
  test('a committed change arrives at every reader with topic, id and sequence', async () => {
    const [one, two] = [await listen(), await listen()]
    await change('a')
    await until(() => one.events.length === 1 && two.events.length === 1)
    expect(one.events).toMatchObject([{ event: 'change', data: { topic: 'things.thing', id: 'a', seq: expect.stringMatching(/^\d+$/) } }])
    expect(one.last()).toBeTruthy()
  })

  test('what is rolled back never arrives', async () => {
    const stream = await listen()
    await daemon.kernel.db?.tx(async tx => { await tx.changed('things.thing', 'ghost'); throw new RangeError('no') }).catch(() => {})
    await change('real')
    await until(() => stream.events.length > 0)
    expect(ids(stream)).toEqual(['real'])
  })

  test('a reader that comes back with its last position gets what it missed', async () => {
    const first = await listen()
    await change('seen')
    await until(() => ids(first).includes('seen'))
    first.close()
    await change('missed-1')
    await change('missed-2', 'missed-3')
    const second = await listen('', { 'last-event-id': first.last() ?? '' })
    await until(() => second.events.length >= 3)
    await change('later')
    await until(() => ids(second).includes('later'))
    expect(new Set(ids(second))).toEqual(new Set(['missed-1', 'missed-2', 'missed-3', 'later']))
  })

  test('within a batch only the last event moves the position', async () => {
    const stream = await listen()
    await change('x', 'y', 'z')
    await until(() => stream.events.length === 3)
    expect(ids(stream)).toEqual(['x', 'y', 'z'])
    expect(new Set(stream.events.map(({ data }) => data.seq)).size).toBe(3)
    expect(stream.events.map(({ id }) => id !== undefined)).toEqual([false, false, true])
  })

  test('nothing is lost between a break and the catching up, whatever is committed meanwhile', async () => {
    const first = await listen()
    await change('start')
    await until(() => ids(first).includes('start'))
    first.close()
    let position = first.last() ?? ''
    const seen = new Set<string>()
    let over = false
    let last = -1
    const writing = (async () => { while (!over) { await change(`n${last + 1}`, `m${last + 1}`); last++ } })()
    for (let round = 0; round < 5; round++) {
      const stream = await listen('', { 'last-event-id': position })
      await until(() => stream.events.length > 0)
      stream.close()
      for (const id of ids(stream)) seen.add(id)
      position = stream.last() ?? position
    }
    over = true
    await writing
    const rest = await listen('', { 'last-event-id': position })
    await until(() => { for (const id of ids(rest)) seen.add(id); return seen.has(`m${last}`) })
    for (let number = 0; number <= last; number++) for (const id of [`n${number}`, `m${number}`]) expect(seen, id).toContain(id)
  })

  test('topics filter by name and by prefix', async () => {
    const [all, exact, prefix, other] = [await listen(), await listen('?topic=things.thing'), await listen('?topic=things&topic=machines'), await listen('?topic=thing&topic=machines')]
    await change('a')
    await until(() => all.events.length === 1 && exact.events.length === 1 && prefix.events.length === 1)
    await until(() => other.last()) // its position moves on all the same
    expect(other.events).toEqual([])
  })

  test('a position that is older than the log is told as a gap, and one that is none is refused', async () => {
    const first = await listen()
    await change('a')
    await until(() => ids(first).includes('a'))
    const position = await until(() => first.last())
    expect((await listen('', { 'last-event-id': 'rubbish' })).status).toBe(400)
    await change('b')
    const [before] = await daemon.db?.query<{ xid: string }>('select xid::text from core.change_horizon') ?? []
    await daemon.db?.query('update core.change_horizon set xid = pg_current_xact_id()')
    const late = await listen('', { 'last-event-id': position })
    await until(() => late.events.some(({ event }) => event === 'gap'))
    expect(late.last()).not.toBe(position)
    // Or the next test has gaps, too, while a transaction that is older is open in any database of the server.
    await daemon.db?.query('update core.change_horizon set xid = $1::xid8', [before?.xid])
  })

  test('a reader that does not read is closed, and the others are served; silence is filled with comments', async () => {
    const db = daemon.kernel.db
    if (db === undefined) return expect.unreachable()
    const log = createLogger('silent')
    const warned = vi.spyOn(log, 'warn')
    const events = createEvents({ feed: db.feed, clock: systemClock, log, heartbeat: 50, patience: 2_000 }) // the one that reads shares this process, and may be late itself
    const app = createApp(log)
    await app.register(events.routes)
    await app.ready()
    const listener = createListener({ name: 'events', app, where: { host: '127.0.0.1', port: 0 }, log, onStop: () => events.end() })
    await listener.start(new AbortController().signal)
    const { port } = listener.address() as AddressInfo
    const well = await new Promise<IncomingMessage>((resolve, reject) => { get({ port, path: '/events' }, resolve).on('error', reject) })
    let text = ''
    well.on('data', part => { text += String(part) })
    const socket = connect(port, '127.0.0.1')
    let closed = false
    socket.on('close', () => { closed = true })
    socket.on('error', () => { closed = true })
    socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n')
    await new Promise(resolve => socket.once('readable', resolve)) // nothing reads from here on
    for (let round = 0; round < 6; round++) await change(...Array.from({ length: 1000 }, (_, number) => `${number}-${'x'.repeat(2000)}`))
    await until(() => warned.mock.calls.length > 0, { timeout: 15_000, what: 'the slow reader to be let go' })
    await until(() => (text.match(/^event: change/gm)?.length ?? 0) >= 6000, { timeout: 15_000, what: 'the other reader to have everything' })
    socket.resume()
    await until(() => closed)
    const length = text.length
    await until(() => text.slice(length).includes(': still here'))
    expect(well.closed).toBe(false)
    await listener.stop()
    await app.close()
  }, 40_000)

  test('a stop of the controller ends the streams instead of waiting for them', async () => {
    const own = await startDaemon({ plugins: [] })
    const answer = await new Promise<IncomingMessage>((resolve, reject) => { get(`${own.url}/api/v1/events`, { headers: { authorization: `Bearer ${own.token}` } }, resolve).on('error', reject) })
    answer.resume()
    const ended = new Promise(resolve => answer.on('close', resolve))
    await own.stop()
    await ended
    expect(answer.complete).toBe(true) // ended, not cut off when the patience of the stop was over
  })
})
