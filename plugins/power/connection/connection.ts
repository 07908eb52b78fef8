/** HTTP(S) to one BMC: few kept connections, JSON both ways, bounded in time and size, its certificate checked before anything is said. */
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { isIP, Socket } from 'node:net'
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { object, text, type Json } from './json.ts'

export type Headers = Readonly<Record<string, string>>
export interface Answer { readonly status: number, readonly headers: IncomingHttpHeaders, readonly body: Json, readonly content: string, readonly etag: string | undefined } // body: the content as JSON
/** `limit` in ms, for the whole exchange. */
export interface Bounds { readonly signal?: AbortSignal, readonly limit: number }
export interface Connection {
  readonly url: URL
  /** A body that is a string goes as it is, any other as JSON. Resolves with whatever status there is. Of redirects those of a GET within this host are followed, a slash too many or too few; no other host is told anything. POWER_REFUSED (a certificate that is not trusted, another host), POWER_FAILED. */
  send(method: string, path: string, headers: Headers, body: unknown, bounds: Bounds): Promise<Answer>
  close(): void
}

const largest = 4_194_304 // bytes of an answer; a ComputerSystem has a few thousand, a log of some thousand records a million
const usual = { keepAlive: true, maxSockets: 2, maxFreeSockets: 1 } // so that a slow look at the sensors keeps no power action waiting; BMCs take few connections

const failed = (reason: string, cause?: unknown) => new BedplateError('POWER_FAILED', { action: 'action', reason }, cause)

/** Prepares; nothing is sent yet. `tls`: `verify`, `insecure` or `sha256:<fingerprint>`. */
export function connect (url: URL, tls: string): Connection {
  const secure = url.protocol === 'https:'
  const greeting = new Set<Socket>() // in their handshake
  const agent = secure ? secureAgent(url.hostname, tls, greeting) : new HttpAgent(usual)
  const hangUp = (): void => { for (const socket of greeting) socket.destroy(failed('it was not waited for')) }
  let underway = 0
  /** `check` throws when nothing may be said any more; it is asked once the connection is there, which may take a while: a free one is waited for, another is greeted. */
  const once = (target: URL, method: string, headers: Headers, content: string | undefined, signal: AbortSignal, check: () => void, started: (request: ClientRequest) => void): Promise<Answer> => new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(target, {
      method, agent, signal, headers: { accept: 'application/json', 'odata-version': '4.0', ...(content === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }), ...headers }
    }, response => { collect(response, url).then(resolve, reject) })
    started(request)
    request.on('error', reject)
    signal.addEventListener('abort', () => { reject(signal.reason) }, { once: true }) // a request that has no connection yet tells nothing of its end
    request.once('socket', socket => {
      const go = (): void => {
        try { check() } catch (error) { reject(error); request.destroy(); return }
        request.end(content)
      }
      if (greeting.has(socket)) socket.once('secureConnect', go)
      else if (socket.connecting) socket.once('connect', go)
      else go()
    })
  })
  return {
    url,
    async send (method, path, headers, body, { signal, limit }) {
      let target = new URL(path, url)
      if (target.origin !== url.origin) throw new BedplateError('POWER_REFUSED', { reason: `it refers to another host (${target.host}), which is told nothing` })
      const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
      const late = AbortSignal.timeout(limit)
      const check = (): void => { if (signal?.aborted === true) throw signal.reason }
      underway++
      try { return await exchange() } finally { if (--underway === 0) hangUp() }

      async function exchange (): Promise<Answer> {
        for (let attempt = 1; ; attempt++) {
          let sent: ClientRequest | undefined
          try {
            check()
            const answer = await once(target, method, headers, content, signal === undefined ? late : AbortSignal.any([signal, late]), check, request => { sent = request })
            const next = method === 'GET' && answer.status > 300 && answer.status < 309 ? redirect(answer, target) : undefined
            if (next === undefined || attempt > 3) return answer
            target = next
          } catch (error) {
            // A BMC closes an idle connection when it likes, also in the moment it is used again; what only reads is then asked over a new one.
            if (method === 'GET' && attempt <= 3 && sent?.reusedSocket === true && error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) continue
            throw explained(error, url, limit, signal)
          }
        }
      }
    },
    close: () => { agent.destroy(); hangUp() }
  }
}

/** Where a redirect leads, when it stays on this host. */
function redirect ({ headers }: Answer, from: URL): URL | undefined {
  const to = text(headers.location)
  if (to === undefined || !URL.canParse(to, from.href)) return undefined
  const target = new URL(to, from)
  return target.origin === from.origin ? target : undefined
}

/** Reads an answer to its end. What is no JSON counts as nothing: some BMCs answer with a page or an empty body, and the status tells enough. */
async function collect (response: IncomingMessage, url: URL): Promise<Answer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length
    if (size > largest) throw failed(`${url.host} sent more than ${largest} bytes`) // leaving the loop destroys the answer, and the connection with it
    parts.push(part)
  }
  const content = Buffer.concat(parts).toString('utf8')
  let body: Json = {}
  try { body = object(JSON.parse(content)) } catch {}
  return { status: response.statusCode ?? 0, headers: response.headers, body, content, etag: text(response.headers.etag) }
}

/** `greeting`: holds connections while they are in their handshake, which a BMC may never end. */
function secureAgent (host: string, tls: string, greeting: Set<Socket>): HttpsAgent {
  const greet = (socket: Socket): void => {
    greeting.add(socket)
    for (const end of ['secureConnect', 'close']) socket.once(end, () => { greeting.delete(socket) })
  }
  if (!tls.startsWith('sha256:')) {
    const trusting = new HttpsAgent({ ...usual, rejectUnauthorized: tls !== 'insecure' })
    const create = trusting.createConnection.bind(trusting)
    trusting.createConnection = (options, callback) => {
      const socket = create(options, callback)
      if (socket instanceof Socket) greet(socket)
      return socket
    }
    return trusting
  }
  const pinned = tls.slice(7).replaceAll(':', '').toUpperCase()
  const agent = new HttpsAgent(usual)
  let resumable: Buffer | undefined // of a connection whose certificate was the pinned one
  // Handed over only after the fingerprint was compared, so that no byte of a request, and no password, goes to another certificate's holder.
  agent.createConnection = (options, callback) => {
    const name = isIP(host.replace(/^\[|\]$/g, '')) ? {} : { servername: host }
    const socket: TLSSocket = tlsConnect({ ...options as ConnectionOptions, ...name, ...(resumable === undefined ? {} : { session: resumable }), rejectUnauthorized: false })
    greet(socket)
    socket.once('error', error => { callback?.(error, socket) })
    let session: Buffer | undefined
    let trusted = false
    socket.on('session', next => { session = next; if (trusted) resumable = next })
    socket.once('secureConnect', () => {
      // A handshake takes a BMC's small processor a second; one that goes on from the last is quick, shows no certificate again, and is possible only for the holder of the one that was compared then.
      const found = socket.getPeerCertificate().fingerprint256?.replaceAll(':', '') ?? 'none'
      trusted = found === pinned || socket.isSessionReused()
      if (trusted) { resumable = session ?? resumable; callback?.(null, socket) } else socket.destroy(new BedplateError('POWER_REFUSED', { reason: `its certificate has the fingerprint sha256:${found.toLowerCase()}, not the pinned one` }))
    })
    return undefined
  }
  return agent
}

const untrusted = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_)/

/** What went wrong below HTTP, in words that help. A certificate nobody vouches for is fatal: trying again cannot help. */
function explained (error: unknown, url: URL, limit: number, signal: AbortSignal | undefined): BedplateError {
  if (error instanceof BedplateError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (untrusted.test(code)) return new BedplateError('POWER_REFUSED', { reason: `its certificate is not trusted (${code}). Set tls to sha256:<fingerprint>, or to insecure` }, error)
  if (signal?.aborted === true) return failed(`the time for it was over before ${url.host} answered`, error)
  if (code === 'ABORT_ERR' || (error instanceof Error && error.name === 'TimeoutError')) return failed(`${url.host} did not answer within ${limit / 1000} s`, error)
  return failed(`${url.host} cannot be reached: ${reasonOf(error)}`, error)
}
