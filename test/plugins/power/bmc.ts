/** A Redfish service for tests, over HTTP or HTTPS, with the faults real ones have. It powers nothing. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Faults {
  busy: number // so many requests are answered 503
  lies: boolean // accepts a reset, does nothing
  slow: number // ms before each answer
  closed: boolean // even the service root asks for a login
  noSessions: boolean // 404 for the session collection
  needsEtag: boolean // 428 without If-Match
  changing: number // so many times the system changes between GET and PATCH
  takes: number // reads of the system until a reset shows
  garbage: boolean // answers that are no JSON
  hangsUp: number // so many connections are cut in mid-request
  dieAfterReset: boolean // carries the reset out, but the answer gets lost
}
export interface Bmc {
  readonly url: string, readonly server: Server, readonly faults: Faults
  readonly log: string[] // method and path, with what a reset or boot override asked for
  state: 'On' | 'Off'
  switches: number // how often the state really changed
  override: string | null // device of the next boot
  booted: (string | null)[] // devices of the boots there were
  systems: string[]
  allow: string[]
  readonly sessions: Map<string, string>
  close(): Promise<void>
}

export const account = { user: 'root', password: 'calvin/&?%é' }
const root = '/redfish/v1'
const none: Faults = { busy: 0, lies: false, slow: 0, closed: false, noSessions: false, needsEtag: false, changing: 0, takes: 0, garbage: false, hangsUp: 0, dieAfterReset: false }

export async function startBmc (tls?: { readonly key: string, readonly cert: string }): Promise<Bmc> {
  let pending: { state: 'On' | 'Off', reads: number } | undefined
  let generation = 0
  const etag = () => `"${createHash('sha1').update(`${generation} ${bmc.override}`).digest('hex').slice(0, 8)}"`
  const send = (response: ServerResponse, status: number, body?: unknown, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body === undefined ? undefined : bmc.faults.garbage ? '<html>sorry' : JSON.stringify(body))
  }
  const fail = (response: ServerResponse, status: number, message: string): void => { send(response, status, { error: { message, '@Message.ExtendedInfo': [{ Message: message }] } }) }
  const become = (state: 'On' | 'Off'): void => {
    if (state === bmc.state) return
    bmc.state = state
    bmc.switches++
    if (state === 'On') { bmc.booted.push(bmc.override); bmc.override = null }
  }

  async function answer (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as Record<string, any>
    const path = (request.url ?? '').replace(/(.)\/$/, '$1')
    bmc.log.push(`${request.method} ${path}${body.ResetType ? ` ${body.ResetType}` : ''}${body.Boot ? ` ${body.Boot.BootSourceOverrideTarget} ${body.Boot.BootSourceOverrideMode ?? ''}`.trimEnd() : ''}`)
    if (bmc.faults.hangsUp > 0) { bmc.faults.hangsUp--; request.socket.destroy(); return }
    if (bmc.faults.slow > 0) await new Promise(resolve => { setTimeout(resolve, bmc.faults.slow).unref() })
    if (bmc.faults.busy > 0) { bmc.faults.busy--; fail(response, 503, 'Try later.'); return }
    const system = bmc.systems.find(one => path === one || path.startsWith(`${one}/`))
    if (path === root && bmc.faults.closed) { fail(response, 401, 'Log in.'); return }
    if (path === root) { send(response, 200, { Systems: { '@odata.id': `${root}/Systems` }, Links: { Sessions: { '@odata.id': `${root}/SessionService/Sessions` } } }); return }
    if (path === `${root}/SessionService/Sessions` && request.method === 'POST') {
      if (bmc.faults.noSessions) { fail(response, 404, 'No such thing.'); return }
      if (body.UserName !== account.user || body.Password !== account.password) { fail(response, 401, `Wrong password ${body.Password}`); return }
      const [token, id] = [randomBytes(12).toString('hex'), randomBytes(4).toString('hex')]
      bmc.sessions.set(token, id)
      send(response, 201, { '@odata.id': `${root}/SessionService/Sessions/${id}` }, { 'x-auth-token': token, location: `${root}/SessionService/Sessions/${id}` })
      return
    }
    const token = request.headers['x-auth-token']
    const basic = `Basic ${Buffer.from(`${account.user}:${account.password}`).toString('base64')}`
    if (!(typeof token === 'string' && bmc.sessions.has(token)) && !(request.headers.authorization === basic && bmc.faults.noSessions)) { fail(response, 401, 'Log in.'); return }
    if (request.method === 'DELETE') { for (const [key, id] of bmc.sessions) if (path.endsWith(`/${id}`)) bmc.sessions.delete(key); send(response, 204); return }
    if (path === `${root}/Systems`) { send(response, 200, { Members: bmc.systems.map(id => ({ '@odata.id': id })) }); return }
    if (system === undefined) { fail(response, 404, 'No such thing.'); return }
    if (request.method === 'GET' && path === system) {
      if (pending !== undefined && pending.reads-- <= 0) { become(pending.state); pending = undefined }
      send(response, 200, {
        '@odata.id': system, PowerState: pending === undefined ? bmc.state : pending.state === 'On' ? 'PoweringOn' : 'PoweringOff', Boot: { BootSourceOverrideMode: 'UEFI' },
        Actions: { '#ComputerSystem.Reset': { target: `${system}/Actions/ComputerSystem.Reset`, 'ResetType@Redfish.AllowableValues': bmc.allow } }
      }, { etag: etag() })
      if (bmc.faults.changing > 0) { bmc.faults.changing--; generation++ }
      return
    }
    if (request.method === 'PATCH' && path === system) {
      const given = request.headers['if-match']
      if (given === undefined && bmc.faults.needsEtag) { fail(response, 428, 'If-Match is required.'); return }
      if (given !== undefined && given !== etag()) { fail(response, 412, 'Changed.'); return }
      bmc.override = body.Boot.BootSourceOverrideTarget
      send(response, 200, {})
      return
    }
    if (request.method === 'POST' && path === `${system}/Actions/ComputerSystem.Reset`) {
      if (!bmc.allow.includes(body.ResetType)) { fail(response, 400, `ResetType ${body.ResetType} is not supported.`); return }
      const state = body.ResetType === 'On' ? 'On' : 'Off'
      if (bmc.faults.takes > 0) pending = { state, reads: bmc.faults.takes }
      else if (!bmc.faults.lies) become(state)
      if (bmc.faults.dieAfterReset) { bmc.faults.dieAfterReset = false; request.socket.destroy(); return }
      send(response, 204)
      return
    }
    fail(response, 405, 'Not that way.')
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => { answer(request, response).catch(() => response.destroy()) }
  const server = tls === undefined ? createServer(listener) : createSecure(tls, listener)
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const bmc: Bmc = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`, server, faults: { ...none }, log: [], state: 'Off', switches: 0, override: null, booted: [],
    systems: [`${root}/Systems/1`], allow: ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart'], sessions: new Map(),
    close: () => new Promise(resolve => { server.close(() => { resolve() }); server.closeAllConnections() })
  }
  return bmc
}

/** As `redfish+http://user:password@…`. */
export const addressOf = (bmc: Bmc, { user, password } = account): string => `redfish+${bmc.url.replace('//', `//${user}:${encodeURIComponent(password)}@`)}/redfish/v1/Systems/1`
