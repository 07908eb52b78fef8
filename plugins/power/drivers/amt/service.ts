/** One AMT's WS-Management service (POST /wsman): logged in by digest, whose nonce is used again; its faults told apart. */
import { randomBytes, randomUUID } from 'node:crypto'
import { BedplateError } from '../../../../core/errors.ts'
import type { Clock } from '../../../../core/plugin.ts'
import type { Options } from '../../driver.ts'
import type { Kept } from '../../kept.ts'
import { createRecent, type Recent } from '../../recent.ts'
import { connect, type Answer, type Connection } from '../../connection/connection.ts'
import { text, type Json } from '../../connection/json.ts'
import { authorization, challengeIn, type Challenge } from './digest.ts'
import { envelope, read, type Message } from './wsman.ts'
import { brief } from '../../redact.ts'

export interface Access { readonly address: string, readonly user?: string, readonly password?: string, readonly tls?: string }
/** Sends a message and gives what is in the answer's body, by the element's name. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
export type Exchange = (message: Message) => Promise<Json>

const path = '/wsman'
interface Known { readonly connection: Connection, challenge: Challenge | undefined, count: number }

/** Connections, and the challenges that were given on them. */
export const servicesIn = (kept: Kept, clock: Clock): Recent<Known> => kept.of('amt', () => createRecent<Known>(clock, ({ connection }) => { connection.close() }))

export function exchangeWith ({ address, user = 'admin', password = '', tls = 'verify' }: Access, { kept, clock, pace, signal }: Options): Exchange {
  const services = servicesIn(kept, clock)
  const make = (): Known => ({ connection: connect(new URL(address), tls), challenge: undefined, count: 0 })
  const post = (known: Known, content: string, given: string | undefined) => known.connection.send('POST', path, { accept: 'application/soap+xml', 'content-type': 'application/soap+xml;charset=UTF-8', ...(given === undefined ? {} : { authorization: given }) }, content, { signal, limit: pace.request })
  const answerTo = (known: Known, challenge: Challenge): string => authorization(challenge, { user, password, method: 'POST', uri: path, count: ++known.count, cnonce: randomBytes(8).toString('hex') })

  return async message => await services.use(`${tls} ${address}`, make, async known => {
    const content = envelope(message, `uuid:${randomUUID()}`, pace.request)
    const before = known.challenge
    let answer = await post(known, content, before === undefined ? undefined : answerTo(known, before))
    if (answer.status === 401) { // the first time, and when the nonce has grown old; whether the password is wrong is told by the second answer
      const challenge = challengeIn(text(answer.headers['www-authenticate']))
      if (challenge === undefined) throw new BedplateError('POWER_AUTHENTICATION', { reason: 'it asks for no digest that is known (MD5, SHA-256)' })
      known.challenge = challenge
      known.count = 0
      answer = await post(known, content, answerTo(known, challenge))
    }
    if (answer.status === 401) {
      known.challenge = undefined
      throw new BedplateError('POWER_AUTHENTICATION', { reason: 'HTTP 401' })
    }
    return bodyOf(answer, message)
  })
}

const denied = new Set(['AccessDenied', 'FailedAuthentication'])
/** Faults of a service that is at its limits; all others are about what was asked. */
const passing = new Set(['InternalError', 'TimedOut', 'QuotaLimit', 'Concurrency', 'EndpointUnavailable', 'Receiver'])

function bodyOf ({ status, content }: Answer, { action }: Message): Json {
  const what = action.slice(action.lastIndexOf('/') + 1)
  const reply = read(content)
  if (reply?.fault !== undefined) {
    const { code, reason } = reply.fault
    const said = `${code}${reason === '' ? '' : ` (${brief(reason)})`}`
    if (denied.has(code)) throw new BedplateError('POWER_AUTHENTICATION', { reason: `${what}: ${said}` })
    if (passing.has(code)) throw new BedplateError('POWER_FAILED', { action: 'action', reason: `${what} was answered with ${said}` })
    throw new BedplateError('POWER_REFUSED', { reason: `${what} was answered with ${said}` })
  }
  if (status === 403) throw new BedplateError('POWER_AUTHENTICATION', { reason: `HTTP 403 to ${what}` })
  if (status < 300 && reply !== undefined) return reply.body
  throw new BedplateError(status >= 400 && status < 500 && status !== 408 && status !== 429 ? 'POWER_REFUSED' : 'POWER_FAILED', { action: 'action', reason: `${what} was answered with HTTP ${status}${reply === undefined ? ', and no SOAP' : ''}` })
}
