/** The answers to HTTP requests for files: whole or in part, by content hash. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BedplateError } from '../../../core/errors.ts'
import { sendBody } from './body.ts'
import { verdictOf } from './conditions.ts'
import { createDigests } from './digest.ts'
import { createHandles } from './handles.ts'
import type { Opened } from './handles.ts'
import { sendPieces } from './pieces.ts'
import type { Part } from './pieces.ts'
import type { Calls } from './sendfile.ts'
import { turn } from './turn.ts'

/** Told once, when the answer has left or the client has. */
export type Sent = (bytes: number, failure: string | null) => void

export interface Sender {
  /**
   * Answers with the file at `path`. `sha256`: what it is named by, if it is; then it may be cached for ever. A HEAD gets the same headers and no body.
   * NOT_FOUND when there is no such file, UNAVAILABLE when as many are being sent as may be.
   */
  send(request: FastifyRequest, reply: FastifyReply, path: string, about?: { readonly sha256?: string, readonly sent?: Sent }): Promise<FastifyReply>
  /** Answers with these parts, `size` bytes together, as a body made for whoever asks: neither by range nor by tag. UNAVAILABLE when as many are being sent as may be. */
  join(request: FastifyRequest, reply: FastifyReply, body: { readonly parts: readonly Part[], readonly size: number }, sent: Sent): Promise<FastifyReply>
  /** Bodies on their way. */
  readonly sending: number
}
export interface SenderOptions {
  /** undefined: every byte goes through this process. */
  readonly calls: () => Promise<Calls | undefined>
  /** ms a client may take nothing before it is given up. */
  readonly patience?: number
  /** Bodies at once: each holds two descriptors. */
  readonly most?: number
}

export const immutable = 'public, max-age=31536000, immutable'

export function createSender ({ calls, patience = 60_000, most = 2_000 }: SenderOptions): Sender {
  const digests = createDigests()
  const handles = createHandles()
  let sending = 0

  async function answer (request: FastifyRequest, reply: FastifyReply, path: string, { file, about }: Opened, { sha256, sent }: { readonly sha256?: string, readonly sent?: Sent }): Promise<FastifyReply> {
    const { size } = about
    const etag = `"${sha256 ?? await digests.of(path, file, about)}"`
    void reply.header('etag', etag).header('accept-ranges', 'bytes').header('cache-control', sha256 === undefined ? 'no-cache' : immutable)
    const verdict = verdictOf(request, etag, size)
    if (verdict.status === 304) return reply.code(304).send()
    void reply.code(verdict.status).type('application/octet-stream')
    if (verdict.status === 416) void reply.header('content-range', `bytes */${size}`)
    if (verdict.status === 412 || verdict.status === 416) return reply.header('content-length', 0).send('')
    const [from, to] = verdict.status === 206 ? [verdict.from, verdict.to] : [0, size - 1]
    if (verdict.status === 206) void reply.header('content-range', `bytes ${from}-${to}/${size}`)
    void reply.header('content-length', to - from + 1)
    if (request.method === 'HEAD') return reply.send()
    if (size === 0) return reply.send('')
    const way = await calls()
    reply.hijack()
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string>)
    const { bytes, failure = null } = await sendBody(reply.raw, { file, from, to, calls: way, patience })
    sent?.(bytes, failure)
    return reply
  }

  /** Has `work` done when the answer's turn has come, in a place among the bodies on their way. */
  async function placed (request: FastifyRequest, reply: FastifyReply, sent: Sent | undefined, work: () => Promise<FastifyReply>): Promise<FastifyReply> {
    if (!await turn(request.raw.socket, reply.raw)) { sent?.(0, 'the client closed the connection'); return reply.hijack() }
    if (sending >= most) throw new BedplateError('UNAVAILABLE', { reason: `${most} files are being sent already` })
    sending++
    try { return await work() } finally { sending-- }
  }

  return {
    get sending () { return sending },
    send: (request, reply, path, about = {}) => placed(request, reply, about.sent, () =>
      handles.lend(path, about.sha256 !== undefined, opened => answer(request, reply, path, opened, about))), // what is named by its content never changes
    join: (request, reply, { parts, size }, sent) => placed(request, reply, sent, async () => {
      reply.hijack()
      reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>)
      const { bytes, failure = null } = await sendPieces(reply.raw, { parts, size, patience })
      sent(bytes, failure)
      return reply
    })
  }
}
