/** A certificate a BMC has signed itself (RFC 5280), written by hand in DER: X.509 is the only thing of it that Node does not make. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'

export interface Certificate { readonly key: string, readonly cert: string, /** SHA-256 of it, hex. */ readonly fingerprint: string }

function der (tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...contents: readonly Uint8Array[]) => der(0x30, ...contents)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const ecdsaSha256 = sequence(oid('2a8648ce3d040302'))
const commonName = oid('550403')
const subjectAltName = oid('551d11')
const time = (date: Date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+/g, '')}`))
const addressBytes = (host: string): Buffer => {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number))
  const [head = '', tail = ''] = host.split('::')
  const words = (text: string) => text === '' ? [] : text.split(':').map(word => parseInt(word, 16))
  const middle = host.includes('::') ? Array<number>(8 - words(head).length - words(tail).length).fill(0) : []
  const bytes = Buffer.alloc(16)
  ;[...words(head), ...middle, ...words(tail)].forEach((word, index) => bytes.writeUInt16BE(word, index * 2))
  return bytes
}

/** For this host, valid for ten years: a P-256 key, signed by itself. */
export function selfSigned (host: string, name = 'bmc'): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from(name)))))
  const begin = new Date(Date.now() - 86_400_000)
  const end = new Date(Date.now() + 10 * 365 * 86_400_000)
  const serial = randomBytes(8)
  serial[0] = (serial[0] ?? 0) & 0x7f | 0x40 // positive, and no leading zero
  const names = sequence(isIPv4(host) || isIPv6(host) ? der(0x87, addressBytes(host)) : der(0x82, Buffer.from(host)))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), der(0x02, serial), ecdsaSha256, subject, sequence(time(begin), time(end)), subject,
    publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, sequence(sequence(subjectAltName, der(0x04, names))))
  )
  const whole = sequence(body, ecdsaSha256, der(0x03, Buffer.from([0]), sign('sha256', body, privateKey)))
  const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`, fingerprint: createHash('sha256').update(whole).digest('hex') }
}
