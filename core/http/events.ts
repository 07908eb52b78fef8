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

const mostWaiting = 1024 * 1024 // bytes a reader may be behind before it is cut off
const mostStreams = 1_000

/** `heartbeat` in ms, default 15,000: a comment that keeps proxies from closing, and tells us of readers that vanished. */
export function createEvents ({ feed, clock, log, heartbeat = 15_000 }: { feed: Feed, clock: Clock, log: Logger, heartbeat?: number }): Events {
  const streams = new Set<{ take(batch: Batch): void, close(): void }>()
  let position = ''
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
          if (batch.changes.length > 0 || batch.truncated) for (const stream of [...streams]) stream.take(batch)
        } catch (error) {
          log.debug({ err: error }, 'events wait for the database')
          await clock.sleep(1_000)
          again = true
        }
      }
    })().finally(() => { pumping = undefined })
  }

  function open (response: ServerResponse, from: string | undefined, topics: readonly string[]): void {
    let caughtUp = false
    let waiting: Batch[] = []
    const gone = new AbortController()
    const wanted = (topic: string) => topics.length === 0 || topics.some(prefix => topic === prefix || topic.startsWith(`${prefix}.`))
    const write = (text: string) => {
      if (gone.signal.aborted) return
      response.write(text)
      if (response.writableLength > mostWaiting) { log.warn('an event stream was closed: its reader is too slow'); response.destroy() }
    }
    const send = ({ changes, position, truncated }: Batch) => {
      const shown = changes.filter(change => wanted(change.topic))
      // Only the last one carries the id: a reader cut off within a batch gets the batch again.
      const blocks = shown.map(change => `event: change\ndata: ${JSON.stringify(change)}\n`)
      if (truncated) blocks.push('event: gap\ndata: {}\n')
      write(blocks.length === 0 ? `id: ${position}\n\n` : `${blocks.join('\n')}id: ${position}\n\n`)
    }
    const stream = {
      take (batch: Batch) { if (caughtUp) send(batch); else waiting.push(batch) },
      close () { gone.abort(); response.end() }
    }
    streams.add(stream)
    unsubscribe ??= feed.subscribe(pump)
    response.on('close', () => {
      gone.abort()
      streams.delete(stream)
      if (streams.size === 0) { unsubscribe?.(); unsubscribe = undefined }
    })
    response.on('error', () => response.destroy())
    write(': connected\n\n')
    void (async () => {
      if (from !== undefined) {
        for (let at = from; !gone.signal.aborted;) {
          const batch = await feed.since(at)
          send(batch)
          if (batch.truncated || batch.changes.length === 0) break
          at = batch.position
        }
      }
      caughtUp = true
      for (const batch of waiting.splice(0)) send(batch)
      waiting = []
      while (!gone.signal.aborted) {
        await clock.sleep(heartbeat, gone.signal)
        write(': still here\n\n')
      }
    })().catch((error: unknown) => { log.debug({ err: error }, 'an event stream ended early'); response.destroy() })
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
