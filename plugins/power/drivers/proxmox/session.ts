/** A Proxmox VE cluster's API (https://host:8006/api2/json): logged in by token, or by a ticket that is kept; its refusals told apart. */
import { createHash } from 'node:crypto'
import { BedplateError } from '../../../../core/errors.ts'
import type { Clock } from '../../../../core/plugin.ts'
import type { Options } from '../../driver.ts'
import type { Kept } from '../../kept.ts'
import { createRecent, type Recent } from '../../recent.ts'
import { connect, type Answer, type Connection, type Headers } from '../../connection/connection.ts'
import { object, text } from '../../connection/json.ts'

export interface Access { readonly address: string, readonly tls?: string, readonly user?: string, readonly password?: string, readonly token?: string }
export interface Api {
  /** What is under `data`. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** Where machines were found, by number: they move between nodes. */
  readonly nodes: Map<number, string>
}

interface Login { readonly connection: Connection, ticket: Promise<Headers> | undefined, readonly nodes: Map<number, string> }

/** The connections and tickets there are. */
export const loginsIn = (kept: Kept, clock: Clock): Recent<Login> => kept.of('proxmox', () => createRecent<Login>(clock, ({ connection }) => { connection.close() }))
const keyOf = (access: Access): string => createHash('sha256').update(JSON.stringify([access.address, access.tls, access.user, access.password, access.token])).digest('hex')

/** The API as these credentials see it. A ticket lasts two hours; one that is refused is asked for anew, once. */
export function apiOf (access: Access, { kept, clock, pace, signal }: Options): Api {
  const logins = loginsIn(kept, clock)
  const key = keyOf(access)
  const nodes = new Map<number, string>()
  const make = (): Login => ({ connection: connect(new URL(access.address), access.tls ?? 'verify'), ticket: undefined, nodes })
  const sendOver = (login: Login) => (method: string, path: string, headers: Headers, body?: unknown) => login.connection.send(method, `/api2/json${path}`, headers, body, { signal, limit: pace.request })
  const authorization = async (login: Login): Promise<Headers> => {
    if (access.token !== undefined) return { authorization: `PVEAPIToken=${access.token}` }
    const asked = login.ticket ??= ticket(sendOver(login), access)
    return await asked.catch((error: unknown) => { if (login.ticket === asked) login.ticket = undefined; throw error })
  }
  return {
    nodes: logins.at(key, make).nodes,
    ask: async (method, path, body) => await logins.use(key, make, async login => {
      const send = sendOver(login)
      const first = await send(method, path, await authorization(login), body)
      if (first.status !== 401 || access.token !== undefined) return dataOf(first, method, path)
      login.ticket = undefined
      return dataOf(await send(method, path, await authorization(login), body), method, path)
    })
  }
}

/** Logs in (POST /access/ticket). The second token keeps browsers from being misused; every change must bring it. POWER_AUTHENTICATION. */
async function ticket (send: (method: string, path: string, headers: Headers, body?: unknown) => Promise<Answer>, { user, password }: Access): Promise<Headers> {
  if (user === undefined) throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'proxmox', reason: 'there is neither a token nor a user name' })
  const data = object(dataOf(await send('POST', '/access/ticket', {}, { username: user, password: password ?? '' }), 'POST', '/access/ticket'))
  const given = text(data.ticket)
  const prevention = text(data.CSRFPreventionToken)
  if (given === undefined || given.startsWith('PVE:!tfa!')) throw new BedplateError('POWER_AUTHENTICATION', { reason: 'it wants a second factor; make an API token for Bedplate' })
  return { cookie: `PVEAuthCookie=${encodeURIComponent(given)}`, ...(prevention === undefined ? {} : { csrfpreventiontoken: prevention }) }
}

function dataOf ({ status, body }: Answer, method: string, path: string): unknown {
  if (status < 300) return body.data
  const faults = Object.entries(object(body.errors)).map(([name, fault]) => `${name}: ${String(fault)}`)
  const said = [text(body.message)?.trim(), ...faults].filter(Boolean).join('; ').slice(0, 300)
  const words = said === '' ? '' : `: ${said}`
  if (status === 401) throw new BedplateError('POWER_AUTHENTICATION', { reason: `HTTP 401${words}` })
  if (status === 403) throw new BedplateError('POWER_AUTHENTICATION', { reason: `HTTP 403${words || ': they do not allow it'}. It takes VM.Audit, VM.PowerMgmt and VM.Config.Options` })
  const reason = `${method} ${path} was answered with HTTP ${status}${words}`
  // Most faults are a 500, also passing ones; 595 and 596 are nodes it could not reach itself.
  if (status >= 500 && status !== 501) throw new BedplateError('POWER_FAILED', { action: 'action', reason, status, gone: /does not exist/i.test(said) })
  throw new BedplateError('POWER_REFUSED', { reason })
}
