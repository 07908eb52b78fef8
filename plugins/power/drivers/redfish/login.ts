/** Being let in by a BMC: by a session (DSP0266 clause 13.3.4), by HTTP Basic where it has no session to give, or by nothing where no user is named. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Clock } from '../../../../core/plugin.ts'
import type { Answer, Connection, Headers } from '../../connection/connection.ts'
import { pathOf, text } from '../../connection/json.ts'
import type { Entry } from './pool.ts'
import { rootFrom, usual } from './root.ts'
import { badLogin, explanation, forNow, noSessionLeft } from './said.ts'

export interface Credentials { readonly address: string, readonly user?: string, readonly password?: string, readonly tls?: string }
export interface Access {
  readonly by: 'session' | 'basic' | 'nothing'
  readonly headers: Headers
  readonly session?: string // path of the session, to give it back
  readonly crowded?: true // Basic only because all sessions were in use
  readonly until?: number // on the monotonic clock: then it is tried anew
}

const crowdedFor = 300_000 // ms for which a BMC without a free session is not asked for one again

/** Looks what the service is, unless that is known, and logs in. `limit` in ms for each exchange. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
export async function login (entry: Entry, { user, password = '' }: Credentials, limit: number, clock: Clock): Promise<Access> {
  const { connection } = entry
  if (entry.root === undefined) {
    const welcome = await connection.send('GET', usual.root, {}, undefined, { limit }) // open to all by DSP0266, but not on every BMC
    const hidden = welcome.status === 401 || welcome.status === 403
    if (!hidden) refuse(welcome, 'GET', usual.root)
    if (!hidden && Object.keys(welcome.body).length === 0) throw new BedplateError('POWER_FAILED', { action: 'action', reason: `GET ${usual.root} was answered with no JSON object: is it a Redfish service?` })
    entry.root = rootFrom(welcome.body, !hidden)
  }
  if (user === undefined) return { by: 'nothing', headers: {} }
  const basic: Access = { by: 'basic', headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` } }
  const { sessions } = entry.root
  if (sessions === undefined) return basic
  const answer = await connection.send('POST', sessions, {}, { UserName: user, Password: password }, { limit })
  if (answer.status >= 400 && noSessionLeft(answer.body)) return { ...basic, crowded: true, until: clock.monotonic() + crowdedFor }
  if (answer.status >= 400 && badLogin(answer.body)) throw new BedplateError('POWER_AUTHENTICATION', { reason: `HTTP ${answer.status}${explanation(answer.body)}` })
  if (answer.status === 404 || answer.status === 405 || answer.status === 501) return basic
  refuse(answer, 'POST', sessions)
  const token = text(answer.headers['x-auth-token'])
  if (token === undefined) return basic
  const session = pathOf(answer.headers.location) ?? pathOf(answer.body['@odata.id'])
  return { by: 'session', headers: { 'x-auth-token': token }, ...(session === undefined ? {} : { session }) }
}

/** Gives a session back. That it fails does not matter: it would end by itself. */
export async function logout (connection: Connection, { session, headers }: Access, limit: number): Promise<void> {
  if (session !== undefined) await connection.send('DELETE', session, headers, undefined, { limit }).catch(() => {})
}

/** Throws what a status of 300 and above means. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
export function refuse ({ status, headers, body }: Answer, method: string, path: string): void {
  if (status >= 200 && status < 300) return
  if (status >= 300 && status < 400) throw new BedplateError('POWER_REFUSED', { reason: `${method} ${path} was redirected to ${text(headers.location)?.slice(0, 200) ?? 'nowhere'}, which is not followed: correct the address` })
  const said = explanation(body)
  const reason = `${method} ${path} was answered with HTTP ${status}${said}`
  if (forNow(body) || status >= 500 || status === 408 || status === 409 || status === 425 || status === 429) throw new BedplateError('POWER_FAILED', { action: 'action', reason })
  if (status === 401 || status === 403) throw new BedplateError('POWER_AUTHENTICATION', { reason: `HTTP ${status}${said}` })
  throw new BedplateError('POWER_REFUSED', { reason })
}
