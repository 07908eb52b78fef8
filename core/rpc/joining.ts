/** A controller's side of enrolment and of leaving: proves the region by the token's fingerprint first, and only then shows it the secret. */
import { X509Certificate, createHash } from 'node:crypto'
import { request } from 'node:https'
import { connect } from 'node:tls'
import { isIP } from 'node:net'
import type { Static, TSchema } from 'typebox'
import { BedplateError, errorCodes, reasonOf, type ErrorCode } from '../errors.ts'
import type { Role } from '../plugin.ts'
import { check } from './check.ts'
import { hasRole, makeRequest } from './certificate.ts'
import { EnrolAnswer, LeaveAnswer, type LeaveRequest } from './enrol-schema.ts'
import type { Identity, IdentityStore } from './identity.ts'
import { parseToken } from './token.ts'

const patience = 10_000 // ms
const pem = (der: Buffer): string => `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`
const serverName = (host: string) => isIP(host) === 0 ? { servername: host } : {}

/** Why a peer is not one of our regions; undefined when it is. Host names do not matter: the certificate must carry the role. */
export const notRegion = (certificate: X509Certificate | undefined): Error | undefined =>
  certificate !== undefined && hasRole(certificate, 'region') ? undefined : new BedplateError('ENROLMENT_REFUSED', { reason: 'the peer\'s certificate does not name a region' })

/** Asks a region's port for its chain and gives the authority with that fingerprint. Nothing secret is sent. */
export function fetchAuthority (host: string, port: number, sha256: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ...serverName(host) }, () => {
      let link = socket.getPeerCertificate(true)
      const seen = new Set<string>()
      while (link?.raw !== undefined && !seen.has(link.fingerprint256)) {
        seen.add(link.fingerprint256)
        if (createHash('sha256').update(link.raw).digest('hex') === sha256) { socket.destroy(); resolve(pem(link.raw)); return }
        link = link.issuerCertificate
      }
      socket.destroy()
      reject(new BedplateError('ENROLMENT_REFUSED', { reason: `${host}:${port} is not a region of the installation this token is for: its authority has another fingerprint. The secret was not sent. Check the region's address, or make a token there` }))
    })
    socket.setTimeout(patience, () => { socket.destroy(new BedplateError('LINK_DOWN', { controller: `${host}:${port}` })) })
    socket.once('error', reject)
  })
}

export interface Wish {
  readonly url: string, readonly token: string, readonly controller: string, readonly hostname: string, readonly version?: string
  /** Without: all that the token allows. */
  readonly roles?: readonly Role[]
  readonly databaseHosts?: readonly string[]
  readonly store: IdentityStore
}

/** Enrols at one region; nothing but the key is stored yet. Throws ENROLMENT_REFUSED when the token is no good; anything else may pass. */
export async function askEnrolment (o: Wish): Promise<EnrolAnswer> {
  const token = parseToken(o.token)
  const [host, port] = hostPort(o.url)
  const authority = await fetchAuthority(host, port, token.authoritySha256)
  const csr = await makeRequest(await o.store.key(), o.controller)
  const body = { token: { id: token.id, secret: token.secret }, csr, hostname: o.hostname, roles: o.roles, version: o.version, databaseHosts: o.databaseHosts }
  return await ask(o.url, '/enrol', authority, undefined, body, EnrolAnswer)
}

/** Enrols at one region and stores what it answers. Throws as `askEnrolment`. */
export async function enrol (o: Wish): Promise<EnrolAnswer> {
  const given = await askEnrolment(o)
  await o.store.save(given.certificate, given.authority)
  await o.store.saveRegions(given.regions, [])
  return given
}

/** Tells a region that this controller goes, or asks whether it may. Throws the region's refusal (CONFLICT), or what kept it from being asked. */
export const askLeave = (url: string, identity: Identity, request: Static<typeof LeaveRequest>): Promise<LeaveAnswer> => ask(url, '/leave', identity.authority, identity, request, LeaveAnswer)

const hostPort = (url: string): [string, number] => {
  const { hostname, port } = new URL(url)
  return [hostname.replace(/^\[|\]$/g, ''), Number(port)]
}

/** One question over TLS to a region of that authority. Throws the region's own error, UNAVAILABLE, or LINK_DOWN. */
async function ask<T extends TSchema> (url: string, path: string, authority: string, identity: Identity | undefined, question: object, schema: T): Promise<Static<T>> {
  const { status, text } = await post(hostPort(url), path, authority, identity, JSON.stringify(question))
  let answer: unknown
  try { answer = JSON.parse(text) } catch { answer = undefined }
  if (status !== 200) {
    const { code, details, message } = (answer ?? {}) as { code?: string, details?: Record<string, unknown>, message?: string }
    throw new BedplateError(code !== undefined && Object.hasOwn(errorCodes, code) ? code as ErrorCode : 'UNAVAILABLE', details ?? { reason: message ?? `the region answered ${status}` })
  }
  const fault = check(schema, answer)
  if (fault !== undefined) throw new BedplateError('UNAVAILABLE', { reason: `the region's answer is not valid: ${fault}` })
  return answer as Static<T>
}

function post ([host, port]: readonly [string, number], path: string, ca: string, identity: Identity | undefined, body: string): Promise<{ status: number, text: string }> {
  return new Promise((resolve, reject) => {
    const call = request({
      host, port, path, method: 'POST', ca, agent: false, ...serverName(host), timeout: patience, minVersion: 'TLSv1.3',
      ...identity === undefined ? {} : { key: identity.key, cert: identity.certificate },
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      checkServerIdentity: (_host, certificate) => notRegion(certificate.raw === undefined ? undefined : new X509Certificate(certificate.raw))
    }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }) })
      response.on('error', reject)
    })
    call.on('timeout', () => { call.destroy(new BedplateError('LINK_DOWN', { controller: `${host}:${port}` })) })
    call.on('error', error => { reject(error instanceof BedplateError ? error : new BedplateError('UNAVAILABLE', { reason: reasonOf(error) }, error)) })
    call.end(body)
  })
}
