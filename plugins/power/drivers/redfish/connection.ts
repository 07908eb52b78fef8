/** HTTP(S) to one BMC: one kept connection, JSON both ways, bounded in time and size, its certificate checked before anything is said. */
import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { isIP } from 'node:net'
import { BedplateError, reasonOf } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'
import { object, type Json } from './system.ts'

export type Headers = Readonly<Record<string, string>>
export interface Answer { readonly status: number, readonly headers: IncomingHttpHeaders, readonly body: Json, readonly etag: string | undefined }
export interface Connection {
  readonly url: URL
  send(method: string, path: string, headers: Headers, body?: unknown, when?: 'even when aborted'): Promise<Answer>
  close(): void
}

const largest = 1_048_576 // bytes of an answer; a ComputerSystem has a few thousand

const failed = (reason: string, cause?: unknown) => new BedplateError('POWER_FAILED', { action: 'action', reason }, cause)

/** Prepares; nothing is sent yet. `tls`: `verify`, `insecure` or `sha256:<fingerprint>`. */
export function connect (url: URL, tls: string, { pace, signal }: Options): Connection {
  const secure = url.protocol === 'https:'
  const agent = secure ? secureAgent(url.hostname, tls) : new HttpAgent({ keepAlive: true, maxSockets: 1 })
  const send = (method: string, path: string, headers: Headers, body: unknown, limit: AbortSignal): Promise<Answer> => new Promise((resolve, reject) => {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const give = (error: unknown): void => { reject(explained(error, url, pace.request, signal)) }
    const request = (secure ? httpsRequest : httpRequest)(new URL(path, url), {
      method, agent, signal: limit, headers: { accept: 'application/json', 'odata-version': '4.0', ...headers, ...(content === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }) }
    }, response => {
      const parts: Buffer[] = []
      let size = 0
      response.on('data', (part: Buffer) => {
        size += part.length
        if (size > largest) response.destroy(failed(`${url.host} sent more than ${largest} bytes`))
        else parts.push(part)
      })
      response.on('error', give)
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed(Buffer.concat(parts)), etag: response.headers.etag }) })
    })
    request.on('error', give)
    request.end(content)
  })
  return {
    url,
    send: (method, path, headers, body, when) => send(method, path, headers, body, when === undefined ? AbortSignal.any([signal, AbortSignal.timeout(pace.request)]) : AbortSignal.timeout(Math.min(2_000, pace.request))),
    close: () => { agent.destroy() }
  }
}

/** JSON, or nothing: some BMCs answer with a page or an empty body, and the status tells enough. */
function parsed (content: Buffer): Json {
  try { return object(JSON.parse(content.toString('utf8'))) } catch { return {} }
}

function secureAgent (host: string, tls: string): HttpsAgent {
  if (!tls.startsWith('sha256:')) return new HttpsAgent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: tls !== 'insecure' })
  const pinned = tls.slice(7).replaceAll(':', '').toUpperCase()
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 })
  // Handed over only after the fingerprint was compared, so that no byte of a request, and no password, goes to another certificate's holder.
  agent.createConnection = (options, callback) => {
    const name = isIP(host.replace(/^\[|\]$/g, '')) ? {} : { servername: host }
    const socket: TLSSocket = tlsConnect({ ...options as ConnectionOptions, ...name, rejectUnauthorized: false })
    socket.once('error', error => { callback?.(error, socket) })
    socket.once('secureConnect', () => {
      const found = socket.getPeerCertificate().fingerprint256?.replaceAll(':', '') ?? 'none'
      if (found === pinned) callback?.(null, socket)
      else socket.destroy(new BedplateError('POWER_REFUSED', { reason: `its certificate has the fingerprint sha256:${found.toLowerCase()}, not the pinned one` }))
    })
    return undefined
  }
  return agent
}

const untrusted = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_)/

/** What went wrong below HTTP, in words that help. A certificate nobody vouches for is fatal: trying again cannot help. */
function explained (error: unknown, url: URL, limit: number, signal: AbortSignal): BedplateError {
  if (error instanceof BedplateError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (untrusted.test(code)) return new BedplateError('POWER_REFUSED', { reason: `its certificate is not trusted (${code}). Set tls to sha256:<fingerprint>, or to insecure` }, error)
  if (signal.aborted) return failed(`the time for it was over before ${url.host} answered`, error)
  if (code === 'ABORT_ERR' || (error instanceof Error && error.name === 'TimeoutError')) return failed(`${url.host} did not answer within ${limit / 1000} s`, error)
  return failed(`${url.host} cannot be reached: ${reasonOf(error)}`, error)
}
