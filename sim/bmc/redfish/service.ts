/** The Redfish service's socket: HTTP or HTTPS, and the faults a network and a bad server have. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { reasonOf } from '../../../core/errors.ts'
import { lost, parseFault, takes, type Faults } from '../faults.ts'
import type { Model } from '../model.ts'
import { object, type Json } from './answer.ts'
import { decide, written } from './decide.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createTree } from './tree.ts'

export interface Tls { readonly key: string, readonly cert: string }
export interface RedfishService {
  readonly host: string, readonly port: number
  readonly server: Server
  readonly sessions: Sessions
  close(): Promise<void>
}
const largestBody = 1_048_576

/** Resolves once it listens; rejects with what the socket says (EADDRINUSE and the like). */
export async function startRedfish (model: Model, host: string, port: number, tls: Tls | undefined): Promise<RedfishService> {
  const { faults } = model
  const sessions = createSessions(model.profile.sessions)
  const tree = createTree(model, sessions)

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await read(request)
    const method = request.method ?? ''
    const path = (request.url ?? '').replace(/[?#].*$/, '').replace(/(.)\/+$/, '$1')
    if (path === faultsPath) { switchFaults(faults, method, body, response); return }
    model.heard(`${method} ${path}${wanted(body)}`)
    if (takes(faults, 'hangsUp') || lost(faults)) { request.socket.destroy(); return }
    if (faults.slow > 0) await new Promise(resolve => { setTimeout(resolve, faults.slow).unref() })
    const token = request.headers['x-auth-token']
    const made = decide(model, tree, sessions, { method, path, body, token: typeof token === 'string' ? token : undefined, authorization: request.headers.authorization, ifMatch: request.headers['if-match'] })
    if (made.lost === true || lost(faults)) { request.socket.destroy(); return }
    const { body: content, headers } = written(model, made)
    response.writeHead(made.status, { ...content === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }, 'odata-version': '4.0', 'cache-control': 'no-cache', ...headers })
    if (content === undefined || method === 'HEAD') response.end()
    else response.end(faults.garbage ? '<html>sorry' : JSON.stringify(content))
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => { answer(request, response).catch(() => response.destroy()) }
  const server = tls === undefined ? createServer(listener) : createSecure(tls, listener)
  await new Promise<void>((resolve, reject) => { server.once('error', reject); server.listen(port, host, () => { server.off('error', reject); resolve() }) })
  return {
    host, port: (server.address() as AddressInfo).port, server, sessions,
    close: () => new Promise(resolve => { server.close(() => { resolve() }); server.closeAllConnections() })
  }
}

/** Where the simulator's own faults are seen and changed by whoever is there: no BMC has this. It is not subject to them. */
export const faultsPath = '/bedplate/faults'
function switchFaults (faults: Faults, method: string, body: Json | undefined, response: ServerResponse): void {
  const send = (status: number, content: unknown): void => { response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(content)}\n`) }
  try {
    if (method === 'PATCH' || method === 'POST') {
      // all or nothing: what is wrong with one leaves the others as they were
      if (body === undefined) { send(400, { reason: 'The body is no JSON object.' }); return }
      Object.assign(faults, ...Object.entries(body).map(([name, value]) => parseFault(`${name}=${String(value)}`)))
    }
    send(200, faults)
  } catch (error) { send(400, { reason: reasonOf(error) }) }
}

/** The JSON object in the body; nothing for none, undefined for what is none. */
async function read (request: IncomingMessage): Promise<Json | undefined> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > largestBody) { request.socket.destroy(); return undefined }
    parts.push(part)
  }
  if (size === 0) return {}
  try {
    const value: unknown = JSON.parse(Buffer.concat(parts).toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? object(value) : undefined
  } catch { return undefined }
}

/** What a request asks for, for the log; never a password. */
function wanted (body: Json | undefined): string {
  if (typeof body?.ResetType === 'string') return ` ${body.ResetType}`
  if (body?.Boot !== undefined) {
    const { BootSourceOverrideTarget: target = '', BootSourceOverrideMode: mode = '' } = object(body.Boot)
    return ` ${[target, mode].filter(Boolean).join(' ')}`.trimEnd()
  }
  return typeof body?.Image === 'string' ? ` ${body.Image}` : ''
}
