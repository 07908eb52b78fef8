/** HTTP Digest authentication, the client's side (RFC 7616; without `qop` as RFC 2069 had it). Pure. */
import { createHash } from 'node:crypto'

export interface Challenge { readonly realm: string, readonly nonce: string, readonly algorithm: Algorithm, readonly qop: 'auth' | undefined, readonly opaque: string | undefined }
export interface Attempt { readonly user: string, readonly password: string, readonly method: string, readonly uri: string, readonly count: number /* how often the nonce was used, from 1 */, readonly cnonce: string }
type Algorithm = 'MD5' | 'SHA-256'
const hashes = { MD5: 'md5', 'SHA-256': 'sha256' } as const

/** The strongest challenge of a WWW-Authenticate header that can be answered; undefined when there is none (only Basic, an unknown algorithm, only auth-int). */
export function challengeIn (header: string | undefined): Challenge | undefined {
  const found: Challenge[] = []
  for (const part of (header ?? '').split(/(?:^|,)\s*(?=digest\s)/i)) {
    if (!/^digest\s/i.test(part)) continue
    const values = Object.fromEntries([...part.slice(7).matchAll(/([a-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)].map(([, name = '', quoted, bare]) => [name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '']))
    const algorithm = ((values.algorithm ?? 'MD5').toUpperCase())
    const qops = values.qop?.split(',').map(one => one.trim().toLowerCase())
    if (values.realm === undefined || values.nonce === undefined || !(algorithm === 'MD5' || algorithm === 'SHA-256') || (qops !== undefined && !qops.includes('auth'))) continue
    found.push({ realm: values.realm, nonce: values.nonce, algorithm, qop: qops === undefined ? undefined : 'auth', opaque: values.opaque })
  }
  return found.find(({ algorithm }) => algorithm === 'SHA-256') ?? found[0]
}

/** The Authorization header that answers the challenge (section 3.4). */
export function authorization ({ realm, nonce, algorithm, qop, opaque }: Challenge, { user, password, method, uri, count, cnonce }: Attempt): string {
  const hash = (text: string): string => createHash(hashes[algorithm]).update(text).digest('hex')
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`
  const nc = count.toString(16).padStart(8, '0')
  const secret = hash(`${user}:${realm}:${password}`)
  const request = hash(`${method}:${uri}`)
  const response = hash(qop === undefined ? `${secret}:${nonce}:${request}` : `${secret}:${nonce}:${nc}:${cnonce}:${qop}:${request}`)
  return `Digest ${[
    `username=${quoted(user)}`, `realm=${quoted(realm)}`, `nonce=${quoted(nonce)}`, `uri=${quoted(uri)}`, `algorithm=${algorithm}`, `response="${response}"`,
    ...(qop === undefined ? [] : [`qop=${qop}`, `nc=${nc}`, `cnonce=${quoted(cnonce)}`]), ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`])
  ].join(', ')}`
}
