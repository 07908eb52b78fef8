/** The region's TLS port: links at /link for controllers with a certificate, enrolment at /enrol for those with a token. */
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Static } from 'typebox'
import { WebSocketServer } from 'ws'
import { BedplateError, reasonOf } from '../errors.ts'
import { listenAt, nameOf, remedyFor } from '../listening.ts'
import type { Logger } from '../log.ts'
import { controllerOf, hasRole } from './certificate.ts'
import { check } from './check.ts'
import { LeaveRequest } from './enrol-schema.ts'
import { frameLimit } from './frames.ts'
import type { Identity } from './identity.ts'
import { socketWire, type Wire } from './wire.ts'

export interface ListenerOptions {
  readonly host: string, readonly port: number, readonly log: Logger
  readonly identity: Identity
  /** Says why this controller gets no link, or nothing. */
  readonly refuse: (controller: string) => Promise<string | undefined>
  readonly accept: (wire: Wire, controller: string) => void
  readonly enrol: (body: unknown) => Promise<unknown>
  /** A controller goes; its certificate says which. */
  readonly leave: (controller: string, request: Static<typeof LeaveRequest>) => Promise<unknown>
}

export interface Listener {
  readonly port: number
  renewed(identity: Identity): void
  close(): Promise<void>
}

const bodyLimit = 64 * 1024 // bytes
const context = (identity: Identity) => ({ key: identity.key, cert: identity.certificate + identity.authority, ca: identity.authority, minVersion: 'TLSv1.3' as const })

/** Opens the port. Rejects with START_FAILED when it cannot be bound. */
export async function listen (o: ListenerOptions): Promise<Listener> {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: frameLimit, perMessageDeflate: false })
  // A controller that enrols has no certificate yet, so the demand for one is made at /link.
  const server = createServer({ ...context(o.identity), requestCert: true, rejectUnauthorized: false, handshakeTimeout: 10_000, headersTimeout: 10_000, requestTimeout: 15_000 })
  const open = new Set<Duplex>()
  server.on('connection', (socket: Duplex) => { open.add(socket); socket.once('close', () => { open.delete(socket) }); socket.on('error', () => {}) })
  server.on('secureConnection', socket => { socket.on('error', () => {}) })
  server.on('tlsClientError', (error, socket) => { o.log.debug({ address: socket.remoteAddress, reason: error.message }, 'a TLS handshake failed') })
  server.on('clientError', (_error, socket) => { socket.destroy() })
  server.on('request', (request, response) => { void answer(request, response, o) })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {})
    const turnAway = (status: string, reason: string) => { socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`) }
    const tls = request.socket as TLSSocket
    const certificate = tls.authorized ? tls.getPeerX509Certificate() : undefined
    const controller = certificate === undefined || !hasRole(certificate, 'rack') ? undefined : controllerOf(certificate)
    if (request.url !== '/link') { turnAway('404 Not Found', 'there is only /link here'); return }
    if (controller === undefined) { turnAway('401 Unauthorized', 'a link needs a certificate of this region\'s authority that names a rack'); return }
    o.refuse(controller).then(why => {
      if (why !== undefined) { turnAway('403 Forbidden', why); return }
      if (socket.destroyed) return
      sockets.handleUpgrade(request, socket, head, websocket => { o.accept(socketWire(websocket, tls.remoteAddress ?? 'a rack', tls), controller) })
    }, (error: unknown) => { turnAway('503 Service Unavailable', reasonOf(error)) })
  })
  await bind(server, { host: o.host, port: o.port })
  return {
    port: (server.address() as AddressInfo).port,
    renewed (identity) { server.setSecureContext(context(identity)) },
    close: () => new Promise(resolve => {
      server.close(() => { resolve() })
      for (const socket of open) socket.destroy()
    })
  }
}

async function bind (server: Server, where: { readonly host: string, readonly port: number }): Promise<void> {
  await listenAt(server, where).catch((error: unknown) => { throw new BedplateError('START_FAILED', { what: `The controller port ${nameOf(where)}`, reason: remedyFor(error, where) }, error) })
  server.on('error', () => {}) // an accept that failed costs that connection
}

/** The body of a request. Throws INVALID_REQUEST for one that is too large; the rest of it is then let pass unread, so that the answer gets through. */
const bodyOf = (request: IncomingMessage): Promise<string> => new Promise((resolve, reject) => {
  const chunks: Buffer[] = []
  let size = 0
  request.on('data', (chunk: Buffer) => {
    if ((size += chunk.length) <= bodyLimit) chunks.push(chunk)
    else reject(new BedplateError('INVALID_REQUEST', { reason: 'the body is too large' }))
  })
  request.on('end', () => { resolve(Buffer.concat(chunks).toString('utf8')) })
  request.on('error', reject)
  request.on('close', () => { reject(new BedplateError('INVALID_REQUEST', { reason: 'the body ended early' })) })
})

async function answer (request: IncomingMessage, response: ServerResponse, { enrol, leave, log }: ListenerOptions): Promise<void> {
  const socket = request.socket as TLSSocket
  const address = socket.remoteAddress
  const say = (status: number, body: unknown) => { if (!response.headersSent) response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' }).end(JSON.stringify(body)) }
  const what = request.method === 'POST' ? request.url : undefined
  try {
    if (what !== '/enrol' && what !== '/leave') { say(404, { code: 'NOT_FOUND', message: 'There are only POST /enrol and POST /leave here.', details: {} }); return }
    const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
    const text = await bodyOf(request)
    let body: unknown
    try { body = JSON.parse(text) } catch { throw new BedplateError('INVALID_REQUEST', { reason: 'the body is not JSON' }) }
    if (what === '/enrol') { say(200, await enrol(body)); return }
    const controller = certificate === undefined ? undefined : controllerOf(certificate)
    if (controller === undefined) throw new BedplateError('ENROLMENT_REFUSED', { reason: 'only a controller with a certificate of this installation can leave it' })
    const fault = check(LeaveRequest, body)
    if (fault !== undefined) throw new BedplateError('INVALID_REQUEST', { reason: fault })
    say(200, await leave(controller, body as Static<typeof LeaveRequest>))
  } catch (thrown) {
    const error = thrown instanceof BedplateError ? thrown : new BedplateError('UNAVAILABLE', { reason: reasonOf(thrown) }, thrown)
    log.warn({ address, code: error.code, reason: error.message }, what === '/leave' ? 'a controller may not leave' : 'an enrolment was refused')
    say(error.status, { code: error.code, message: error.message, details: error.details })
  }
}
