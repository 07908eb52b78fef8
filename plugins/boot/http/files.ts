/** The answers to HTTP requests for files: whole or in part, by content hash, streamed. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { parseRange } from './range.ts'

/** Told once, when the answer has left or the client has. */
export type Sent = (bytes: number, failure: string | null) => void

const pieceBytes = 1 << 18

/**
 * Answers with the file at `path`. `etag` is quoted by this function; a file named by its content (`immutable`) may be
 * cached for ever. A HEAD gets the same headers and no body. Conditions (If-None-Match, If-Range) are honoured.
 */
export async function sendFile (request: FastifyRequest, reply: FastifyReply, path: string, about: { readonly etag?: string, readonly immutable: boolean }, sent?: Sent): Promise<FastifyReply> {
  const { size, mtimeMs } = await stat(path)
  const etag = `"${about.etag ?? `${size.toString(16)}-${Math.round(mtimeMs).toString(16)}`}"`
  void reply.header('etag', etag).header('accept-ranges', 'bytes').header('cache-control', about.immutable ? 'public, max-age=31536000, immutable' : 'no-cache').type('application/octet-stream')
  if (request.headers['if-none-match']?.split(',').some(tag => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*')) return reply.code(304).send()
  const condition = request.headers['if-range']
  const part = condition === undefined || condition === etag ? parseRange(request.headers.range, size) : 'whole'
  if (part === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${size}`).header('content-length', 0).send('')
  const [from, to] = part === 'whole' ? [0, size - 1] : [part.from, part.to]
  if (part !== 'whole') void reply.code(206).header('content-range', `bytes ${from}-${to}/${size}`)
  void reply.header('content-length', to - from + 1)
  if (request.method === 'HEAD' || size === 0) return reply.send(request.method === 'HEAD' ? undefined : '')
  const stream = createReadStream(path, { start: from, end: to, highWaterMark: pieceBytes })
  reply.raw.once('close', () => {
    const whole = reply.raw.writableFinished
    sent?.(whole ? to - from + 1 : stream.bytesRead, whole ? null : 'the client closed the connection')
  })
  return reply.send(stream)
}
