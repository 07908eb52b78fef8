/** Certificates of the region's own authority: made, issued, requested and read. No clock, disk or socket: time is handed in. */
import 'reflect-metadata' // the certificate library's container needs it, before the library itself
import { X509Certificate, createHash, createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { isIP } from 'node:net'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Role } from '../plugin.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 86_400_000 // ms
const skew = 3_600_000 // ms a certificate is back-dated, for clocks that are behind
export const certificateLife = 365 * day
// The authority stays for good, and is made at the first start: on a machine whose clock may be anywhere until it has found its time server.
const authorityLife = { from: new Date(Date.UTC(2020, 0, 1)), to: new Date('9999-12-31T23:59:59Z') } // the end: RFC 5280, 4.1.2.5, "no well-defined date"
export const noSooner = Date.UTC(2026, 0, 1) // a clock that says less is wrong

export interface Authority { readonly certificate: string, readonly key: string } // PEM
export const controllerIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/ // it stands in certificates and file names

/** A new private key, PKCS #8 PEM. */
export const makeKey = (): string => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

async function keyPair (pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(pem)
  const privateKey = await webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, true, ['sign'])
  const publicKey = await webcrypto.subtle.importKey('spki', createPublicKey(key).export({ type: 'spki', format: 'der' }), algorithm, true, ['verify'])
  return { privateKey, publicKey }
}

const serial = (): string => Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex').replace(/^./, '4') // positive, never 0

/** A new self-signed authority. */
export async function makeAuthority (): Promise<Authority> {
  const key = makeKey()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(), name: 'CN=Bedplate authority', keys: await keyPair(key), signingAlgorithm: algorithm,
    notBefore: authorityLife.from, notAfter: authorityLife.to,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true)]
  })
  return { certificate: `${certificate.toString('pem')}\n`, key }
}

/** A signing request for the key, naming the controller. */
export async function makeRequest (key: string, controller: string): Promise<string> {
  return (await x509.Pkcs10CertificateRequestGenerator.create({ name: `CN=${controller}`, keys: await keyPair(key), signingAlgorithm: algorithm })).toString('pem')
}

/** The name and key in a signing request. Throws ENROLMENT_REFUSED when it is none or its signature is wrong. */
export async function readRequest (pem: string): Promise<{ readonly controller: string, readonly request: x509.Pkcs10CertificateRequest }> {
  const refuse = (reason: string, cause?: unknown) => new BedplateError('ENROLMENT_REFUSED', { reason }, cause)
  try {
    const request = new x509.Pkcs10CertificateRequest(pem)
    const controller = request.subjectName.getField('CN')[0] ?? ''
    if (!await request.verify()) throw refuse('the signature of the signing request is wrong')
    if (!controllerIdPattern.test(controller)) throw refuse('the controller\'s id may hold letters, digits, ".", "_" and "-" only')
    return { controller, request }
  } catch (error) {
    throw error instanceof BedplateError ? error : refuse(`the signing request cannot be read (${reasonOf(error)})`, error)
  }
}

/** A certificate for one controller: its roles as URIs `bedplate:<role>:<id>`, and its IP addresses. Host names are left out: racks look at the role, nobody at names. */
export async function issue (authority: Authority, request: x509.Pkcs10CertificateRequest, subject: { readonly controller: string, readonly roles: readonly Role[], readonly addresses: readonly string[] }, now: number, life = certificateLife): Promise<string> {
  const names: x509.JsonGeneralNames = [
    ...subject.roles.map(role => ({ type: 'url' as const, value: `bedplate:${role}:${subject.controller}` })),
    ...subject.addresses.filter(address => isIP(address) !== 0).map(address => ({ type: 'ip' as const, value: address }))
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(), subject: `CN=${subject.controller}`, issuer: new x509.X509Certificate(authority.certificate).subject,
    publicKey: await request.publicKey.export(algorithm, ['verify']), signingKey: (await keyPair(authority.key)).privateKey, signingAlgorithm: algorithm,
    notBefore: new Date(now - skew), notAfter: new Date(now + life),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
      new x509.SubjectAlternativeNameExtension(names)
    ]
  })
  return `${certificate.toString('pem')}\n`
}

/** A certificate for a server that machines ask at these IP addresses. No role stands in it, and a client cannot show it, so that it opens no link. INVALID_REQUEST for a key that is none on P-256, or no address. */
export async function issueServer (authority: Authority, { name, publicKey, addresses }: { readonly name: string, readonly publicKey: string, readonly addresses: readonly string[] }, now: number, life = certificateLife): Promise<string> {
  const wrong = addresses.find(address => isIP(address) === 0)
  if (addresses.length === 0 || wrong !== undefined) throw new BedplateError('INVALID_REQUEST', { reason: wrong === undefined ? 'a server certificate needs an IP address' : `"${wrong}" is no IP address` })
  let key: webcrypto.CryptoKey
  try {
    key = await webcrypto.subtle.importKey('spki', createPublicKey(publicKey).export({ type: 'spki', format: 'der' }), algorithm, true, ['verify'])
  } catch (error) {
    throw new BedplateError('INVALID_REQUEST', { reason: `the public key is none on P-256 (${reasonOf(error)})` }, error)
  }
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(), subject: `CN=${name}`, issuer: new x509.X509Certificate(authority.certificate).subject,
    publicKey: key, signingKey: (await keyPair(authority.key)).privateKey, signingAlgorithm: algorithm, notBefore: new Date(now - skew), notAfter: new Date(now + life),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true), new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']),
      new x509.SubjectAlternativeNameExtension(addresses.map(value => ({ type: 'ip' as const, value })))
    ]
  })
  return `${certificate.toString('pem')}\n`
}

/** The controller a certificate names; undefined when it names none. */
export const controllerOf = (certificate: X509Certificate): string | undefined => /^CN=(.+)$/m.exec(certificate.subject)?.[1]

/** True when the certificate says its controller has the role. Says nothing about who signed it. */
export function hasRole (certificate: X509Certificate, role: Role): boolean {
  const id = controllerOf(certificate)
  return id !== undefined && controllerIdPattern.test(id) && (certificate.subjectAltName ?? '').split(', ').includes(`URI:bedplate:${role}:${id}`)
}

/** True when two thirds of the certificate's life are over, or it has not begun: the clock was ahead when it was made. */
export function isOld (certificate: X509Certificate, now: number): boolean {
  const from = certificate.validFromDate.getTime()
  return now < from || now > from + (certificate.validToDate.getTime() - from) * 2 / 3
}

/** SHA-256 of a certificate (PEM), as hex. */
export const fingerprint = (pem: string): string => createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')
