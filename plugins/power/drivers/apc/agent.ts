/** One SNMP agent (RFC 1157, 1905, 3414): integers read and written, bounded in time, its refusals told apart. */
import { createSocket, type Socket, type SocketType } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { AuthProtocols, createSession, createV3Session, ErrorStatus, isVarbindError, ObjectType, PrivProtocols, SecurityLevel, Version1, Version2c, type Session, type Varbind } from 'net-snmp'
import { BedplateError, reasonOf } from '../../../../core/errors.ts'
import type { Options } from '../../driver.ts'

/** How to be let in. With a `user` it is version 3, and the passwords that are there say how much is protected. */
export interface Access {
  readonly host: string, readonly port: number
  readonly version?: '1' | '2c' | '3', readonly community?: string
  readonly user?: string, readonly authProtocol?: AuthName, readonly authPassword?: string, readonly privProtocol?: PrivName, readonly privPassword?: string
}
export interface Agent {
  /** The integer at this OID; undefined where there is none. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
  get(oid: string): Promise<number | undefined>
  /** POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED. */
  set(oid: string, value: number): Promise<void>
}

export const authProtocols = { md5: AuthProtocols.md5, sha: AuthProtocols.sha, sha224: AuthProtocols.sha224, sha256: AuthProtocols.sha256, sha384: AuthProtocols.sha384, sha512: AuthProtocols.sha512 } as const
export const privProtocols = { des: PrivProtocols.des, aes: PrivProtocols.aes, aes256b: PrivProtocols.aes256b, aes256r: PrivProtocols.aes256r } as const
export type AuthName = keyof typeof authProtocols
export type PrivName = keyof typeof privProtocols

const attempts = 3 // datagrams for one question: each waits for a third of the time an exchange may take
const failed = (reason: string, cause?: unknown) => new BedplateError('POWER_FAILED', { action: 'action', reason }, cause)

/** Asks and tells one agent; its socket is closed at the end. POWER_PARAMETERS_INVALID for credentials that are incomplete. */
export async function withAgent<T> (access: Access, { pace, signal }: Options, work: (agent: Agent) => Promise<T>): Promise<T> {
  if (signal.aborted) throw failed(`the time for it was over before ${access.host} was asked`)
  const { address, family } = await lookup(access.host).catch((error: unknown) => { throw failed(`${access.host} cannot be found: ${reasonOf(error)}`, error) })
  const session = sessionFor(access, address, { port: access.port, transport: family === 6 ? 'udp6' : 'udp4', retries: attempts - 1, timeout: Math.max(1, Math.floor(pace.request / attempts)), dgramModule: asking(signal) })
  session.on('error', () => {}) // a datagram that is no answer; the question waits on, and runs out of time
  let open = true
  const stop = (): void => { // its socket must not be closed twice
    if (open) session.close()
    open = false
  }
  signal.addEventListener('abort', stop)
  const exchange = async (send: (done: (error: Error | null, varbinds?: Varbind[]) => void) => void): Promise<Varbind> => {
    const varbind = await new Promise<Varbind | undefined>((resolve, reject) => { send((error, varbinds) => { if (error) reject(error); else resolve(varbinds?.[0]) }) }).catch((error: unknown) => {
      throw signal.aborted ? failed(`the time for it was over before ${access.host} answered`, error) : explained(error, access, pace.request)
    })
    if (varbind === undefined) throw failed(`${access.host} answered with nothing`)
    return varbind
  }
  try {
    return await work({
      async get (oid) {
        const varbind = await exchange(done => { session.get([oid], done) }).catch((error: unknown) => { if (error instanceof BedplateError && error.details.status === noSuchName) return undefined; throw error })
        if (varbind === undefined || isVarbindError(varbind)) return undefined
        if (typeof varbind.value !== 'number') throw new BedplateError('POWER_REFUSED', { reason: `at ${oid} it has something else than a number` })
        return varbind.value
      },
      async set (oid, value) {
        await exchange(done => { session.set([{ oid, type: ObjectType.Integer, value }], done) })
      }
    })
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/**
 * Sockets that ask the signal before each datagram: net-snmp sends some by itself, a question again when its timer fires, or after a report of version 3, and the signal may know that it is over before it tells.
 * A repetition keeps its number that way, so that a late answer to the first is one.
 */
const asking = (signal: AbortSignal) => ({
  createSocket (type: SocketType): Socket {
    const socket = createSocket(type)
    const send = socket.send.bind(socket)
    const gated = (data: Buffer, offset: number, length: number, port: number, address: string, done: (error: Error | null, bytes: number) => void): void => {
      if (signal.aborted) done(failed('the time for it was over'), 0)
      else send(data, offset, length, port, address, done)
    }
    return Object.defineProperty(socket, 'send', { value: gated })
  }
})

function sessionFor ({ version, community, user, authProtocol = 'sha', authPassword, privProtocol = 'aes', privPassword }: Access, address: string, options: { readonly port: number, readonly transport: 'udp4' | 'udp6', readonly retries: number, readonly timeout: number, readonly dgramModule: unknown }): Session {
  const incomplete = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'apc', reason })
  if (user === undefined) {
    if (community === undefined) throw incomplete('there is neither a community nor a user name')
    return createSession(address, community, { ...options, version: version === '1' ? Version1 : Version2c })
  }
  if (privPassword !== undefined && authPassword === undefined) throw incomplete('a privacy password needs an authentication password beside it')
  return createV3Session(address, {
    name: user, level: privPassword !== undefined ? SecurityLevel.authPriv : authPassword !== undefined ? SecurityLevel.authNoPriv : SecurityLevel.noAuthNoPriv,
    ...(authPassword === undefined ? {} : { authProtocol: authProtocols[authProtocol], authKey: authPassword }),
    ...(privPassword === undefined ? {} : { privProtocol: privProtocols[privProtocol], privKey: privPassword })
  }, options)
}

const noSuchName = ErrorStatus.NoSuchName
const mayNot: ReadonlySet<number> = new Set([ErrorStatus.NoAccess, ErrorStatus.AuthorizationError])
const passes: ReadonlySet<number> = new Set([ErrorStatus.TooBig, ErrorStatus.GeneralError, ErrorStatus.ResourceUnavailable, ErrorStatus.CommitFailed, ErrorStatus.UndoFailed])

/** An agent's error status, or its silence, in words that help. A wrong community is silence: SNMP before version 3 says nothing to strangers. */
function explained (error: unknown, { host, user, privPassword }: Access, limit: number): BedplateError {
  const name = error instanceof Error ? error.name : ''
  if (name === 'RequestTimedOutError') return failed(`${host} did not answer within ${limit / 1000} s${user === undefined ? '; it does not answer to a wrong community either' : privPassword === undefined ? '' : '; it may not answer to a wrong privacy password either'}`, error)
  if (name === 'ResponseInvalidError' && error instanceof Error && 'code' in error) return /unknown user|wrong digest|decryption|security level|authentication/i.test(error.message) ? new BedplateError('POWER_AUTHENTICATION', { reason: `SNMP: ${error.message}` }, error) : failed(`${host} answered wrongly: ${error.message}`, error)
  const status = error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined
  if (status === undefined) return failed(`${host} cannot be asked: ${reasonOf(error)}`, error)
  const said = ErrorStatus[status] ?? `error ${status}`
  if (mayNot.has(status)) return new BedplateError('POWER_AUTHENTICATION', { reason: `SNMP ${said}: they do not allow it; switching needs the right to write` }, error)
  return new BedplateError(passes.has(status) ? 'POWER_FAILED' : 'POWER_REFUSED', { action: 'action', reason: `SNMP ${said}`, status }, error)
}
