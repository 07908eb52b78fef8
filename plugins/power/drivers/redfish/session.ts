/** A logged-in exchange with one Redfish service: a session if it has them, else HTTP Basic; logged out at the end. */
import { BedplateError } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'
import { connect, type Answer, type Connection, type Headers } from './connection.ts'
import { object, text } from './system.ts'

export interface Credentials { readonly address: string, readonly user?: string, readonly password?: string, readonly tls?: string }
interface RequestOptions { readonly body?: unknown, readonly ifMatch?: string, readonly allow?: readonly number[] }

export interface Redfish {
  readonly root: { readonly systems: string }
  readonly system: string | undefined // the one the address names
  /** Statuses of 400 and above are thrown, but for those in `allow`. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
}

/** Runs `work` logged in. The session is given back whatever happens, so that a BMC with few of them never runs out. */
export async function withRedfish<T> (parameters: Credentials, options: Options, work: (bmc: Redfish) => Promise<T>): Promise<T> {
  const url = new URL(parameters.address)
  const connection = connect(url, parameters.tls ?? 'verify', options)
  let session: { readonly token: string, readonly location: string | undefined } | undefined
  try {
    const welcome = await checked(connection, 'GET', '/redfish/v1/', {}, { allow: [401, 403] }) // open to all by DSP0266, but not on every BMC
    const service = object(welcome.body)
    session = await login(connection, welcome.status >= 400 ? '/redfish/v1/SessionService/Sessions' : text(object(object(service.Links).Sessions)['@odata.id']), parameters)
    const headers: Headers = session ? { 'x-auth-token': session.token } : basic(parameters)
    return await work({
      root: { systems: text(object(service.Systems)['@odata.id']) ?? '/redfish/v1/Systems' },
      system: /^\/redfish\/v1\/Systems\/[^/]+$/i.test(url.pathname) ? url.pathname : undefined,
      request: (method, path, more = {}) => checked(connection, method, path, headers, more)
    })
  } finally {
    if (session?.location !== undefined) await connection.send('DELETE', session.location, { 'x-auth-token': session.token }, undefined, 'even when aborted').catch(() => {}) // it would expire anyway
    connection.close()
  }
}

const basic = ({ user = '', password = '' }: Credentials): Headers => user === '' ? {} : { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }

/** Opens a session, or gives undefined where there are none (then Basic serves). POWER_AUTHENTICATION when the BMC knows us not. */
async function login (connection: Connection, sessions: string | undefined, { user, password }: Credentials) {
  if (user === undefined || sessions === undefined) return undefined
  const answer = await checked(connection, 'POST', sessions, {}, { body: { UserName: user, Password: password ?? '' }, allow: [404, 405, 501] })
  const token = answer.headers['x-auth-token']
  if (answer.status >= 400 || typeof token !== 'string') return undefined
  const location = text(answer.headers.location) ?? text(answer.body['@odata.id'])
  return { token, location: location === undefined ? undefined : new URL(location, connection.url).pathname }
}

async function checked (connection: Connection, method: string, path: string, headers: Headers, { body, ifMatch, allow = [] }: RequestOptions): Promise<Answer> {
  const answer = await connection.send(method, path, { ...headers, ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }) }, body)
  const { status } = answer
  if (status < 300 || allow.includes(status)) return answer
  const said = explanation(answer)
  if (status === 401 || status === 403) throw new BedplateError('POWER_AUTHENTICATION', { reason: `HTTP ${status}${said}` })
  const reason = `${method} ${path} was answered with HTTP ${status}${said}`
  if (status >= 500 || status === 409 || status === 408 || status === 429) throw new BedplateError('POWER_FAILED', { action: 'action', reason })
  throw new BedplateError('POWER_REFUSED', { reason })
}

/** The BMC's own words, if it has any: the first message of its extended info. */
function explanation ({ body }: Answer): string {
  const error = object(body.error)
  const info = error['@Message.ExtendedInfo']
  const said = text(object(Array.isArray(info) ? info[0] : undefined).Message) ?? text(error.message)
  return said === undefined ? '' : `: ${said.slice(0, 300)}`
}
