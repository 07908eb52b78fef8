/** A self-signed certificate, as a BMC has one. */
import 'reflect-metadata'
import { X509CertificateGenerator } from '@peculiar/x509'
import { createHash } from 'node:crypto'

export async function certificate (): Promise<{ readonly key: string, readonly cert: string, readonly fingerprint: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await X509CertificateGenerator.createSelfSigned({ serialNumber: '01', name: 'CN=bmc', notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000), signingAlgorithm: algorithm, keys }, crypto)
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return { key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`, cert: made.toString('pem'), fingerprint: createHash('sha256').update(Buffer.from(made.rawData)).digest('hex') }
}
