/** GET /events: committed changes as server-sent events, resumable, at least once. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ServerResponse } from 'node:http'
import { Type } from 'typebox'
import type { Clock } from '../clock.ts'
import type { Change } from '../database/database.ts'
import { BedplateError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { DatabaseHandle } from '../database/pool.ts'

type Feed = DatabaseHandle['feed']
interface Batch { readonly changes: readonly Change[], readonly position: string, readonly truncated: boolean }

export interface Events {
  readonly routes: FastifyPluginAsyncTypebox
  /** Ends every stream; clients come back with their position. */
  end(): void
}

const mostStreams = 1_000
const perWrite = 200 // events

/**
 * `heartbeat` in ms, default 15,000: a comment that keeps proxies from closing, and tells us of readers that vanished.
 * `patience` in ms, default 15,000: how long a reader may take to make room before it is let go.
 */
export function createEvents ({ feed, clock, log, heartbeat = 15_000, patience = 15_000 }: { feed: Feed, clock: Clock, log: Logger, heartbeat?: number, patience?: number }): Events {
  const streams = new Set<{ take(batch: Batch): void, close(): void }>()
  let position = ''
  let turn = 0 // counts the batches handed out
  let pumping: Promise<void> | undefined
  let again = false
  let unsubscribe: (() => void) | undefined

  /** Reads what is new once for all streams. The feed's own batches carry no position, so they serve as the hint. */
  function pump (): void {
    again = true
    pumping ??= (async () => {
      while (again && streams.size > 0) {
        again = false
        try {
          const batch = await feed.since(position)
          position = batch.position
          if (batch.changes.length === 0 && !batch.truncated) continue
          turn++
          for (const stream of [...streams]) stream.take(batch)
        } catch (error) {
          log.debug({ err: error }, 'events wait for the database')
          await clock.sleep(1_000)
          again = true
        }
      }
    })().finally(() => { pumping = undefined })
  }

  /** One reader. It holds one batch at most: what comes while that is being written is read from the log afterwards. */
  function open (response: ServerResponse, from: string, topics: readonly string[]): void {
    const gone = new AbortController()
    let at = from
    let upTo = -1 // the turn this reader has seen; another turn than the next one means it must read the log itself
    let busy = false
    let behind = false
    const wanted = (topic: string) => topics.length === 0 || topics.some(prefix => topic === prefix || topic.startsWith(`${prefix}.`))

    async function write (text: string): Promise<void> {
      if (gone.signal.aborted || response.write(text)) return
      const roomy = new AbortController()
      const onDrain = () => roomy.abort()
      response.once('drain', onDrain)
      await clock.sleep(patience, AbortSignal.any([roomy.signal, gone.signal]))
      response.off('drain', onDrain)
      if (roomy.signal.aborted || gone.signal.aborted) return
      log.warn('an event stream was closed: its reader is too slow')
      response.destroy()
    }
    async function send ({ changes, position, truncated }: Batch): Promise<void> {
      const blocks = changes.filter(change => wanted(change.topic)).map(change => `event: change\ndata: ${JSON.stringify(change)}\n`)
      if (truncated) blocks.push('event: gap\ndata: {}\n')
      for (let index = perWrite; index < blocks.length && !gone.signal.aborted; index += perWrite) await write(`${blocks.slice(index - perWrite, index).join('\n')}\n`)
      // Only the last one carries the id: a reader cut off within a batch gets the batch again.
      const last = blocks.slice(blocks.length === 0 ? 0 : Math.floor((blocks.length - 1) / perWrite) * perWrite)
      await write(`${last.join('\n')}id: ${position}\n\n`)
      at = position
    }
    async function follow (batch?: Batch): Promise<void> {
      busy = true
      try {
        if (batch !== undefined) await send(batch)
        while (behind && !gone.signal.aborted) {
          behind = false
          upTo = turn // before the read: what is handed out during it comes again rather than never
          await send(await feed.since(at))
        }
      } catch (error) {
        log.debug({ err: error }, 'an event stream ended early') // its reader comes back with its position
        response.destroy()
      } finally { busy = false }
    }
    const stream = {
      take (batch: Batch) {
        if (busy || turn !== upTo + 1) {
          behind = true
          if (!busy) void follow()
          return
        }
        upTo = turn
        void follow(batch)
      },
      close () { gone.abort(); response.end() }
    }
    streams.add(stream)
    unsubscribe ??= feed.subscribe(pump, pump)
    response.on('error', () => response.destroy())
    response.on('close', () => {
      gone.abort()
      streams.delete(stream)
      if (streams.size === 0) { unsubscribe?.(); unsubscribe = undefined }
    })
    response.write(': connected\n\n')
    behind = true
    void follow()
    void (async () => {
      for (;;) {
        await clock.sleep(heartbeat, gone.signal)
        if (gone.signal.aborted) return
        if (!busy) response.write(': still here\n\n')
      }
    })()
  }

  return {
    end () { for (const stream of [...streams]) stream.close() },
    routes: async app => {
      app.get('/events', {
        schema: {
          tags: ['core'],
          summary: 'Committed changes as server-sent events',
          description: 'Each `change` event holds `{seq, topic, id}`: read the named thing for its new state. A change may come twice: `seq` tells. After `gap`, read everything again. Send Last-Event-ID to go on where a stream broke.',
          produces: ['text/event-stream'],
          querystring: Type.Object({ topic: Type.Array(Type.String({ minLength: 1 }), { default: [], description: 'Only these topics, or those beginning with them (`machines`, `machines.machine`)' }) }),
          headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ description: 'Position to go on from' })) })
        }
      }, async (request, reply) => {
        if (streams.size >= mostStreams) throw new BedplateError('UNAVAILABLE', { reason: `this region already has ${mostStreams} event streams open` })
        const last = request.headers['last-event-id']
        const from = typeof last === 'string' && last !== '' ? last : undefined
        const now = from === undefined ? await feed.position() : (await feed.since(from)).position // refuses what is no position, with an answer
        if (streams.size === 0) position = now
        reply.hijack()
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no', 'x-request-id': request.id })
        open(reply.raw, from ?? now, request.query.topic)
      })
    }
  }
}
