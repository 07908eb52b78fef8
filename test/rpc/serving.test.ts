/** Certificates for what racks serve to machines: good for that, and for nothing else. */
import { X509Certificate, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { createServer, connect } from 'node:tls'
import type { AddressInfo } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { beforeAll, expect, test } from 'vitest'
import { certificateLife, hasRole, issue, issueServer, makeAuthority, makeKey, makeRequest, readRequest } from '../../core/rpc/certificate.ts'
import type { Authority } from '../../core/rpc/certificate.ts'

const key = makeKey()
const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string
const now = Date.now()
let authority: Authority
let certificate: string
beforeAll(async () => {
  authority = await makeAuthority()
  certificate = await issueServer(authority, { name: 'boot.rack-1', publicKey, addresses: ['127.0.0.1', '10.0.0.2', 'fd00::2'] }, now)
})

test('it names the addresses, and no role', () => {
  const read = new X509Certificate(certificate)
  expect(['127.0.0.1', '10.0.0.2', 'fd00::2', '10.0.0.3'].map(address => read.checkIP(address) !== undefined)).toEqual([true, true, true, false])
  expect(read.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true)
  expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true)
  expect([hasRole(read, 'rack'), hasRole(read, 'region'), read.ca, read.subject]).toEqual([false, false, false, 'CN=boot.rack-1'])
  expect(read.validToDate.getTime()).toBe(Math.floor((now + certificateLife) / 1000) * 1000)
})

/** What both ends think of each other. */
async function meet (server: { readonly cert: string }, client: ConnectionOptions): Promise<{ readonly trusted: boolean, readonly why: string, readonly admitted: boolean }> {
  const listening = createServer({ key, cert: server.cert, ca: authority.certificate, requestCert: true, rejectUnauthorized: false })
  const met = new Promise<boolean>(resolve => { listening.on('secureConnection', (socket: TLSSocket) => { socket.on('error', () => {}); resolve(socket.authorized); socket.end() }) })
  await new Promise<void>(resolve => { listening.listen(0, '127.0.0.1', resolve) })
  const socket = connect({ port: (listening.address() as AddressInfo).port, host: '127.0.0.1', ca: authority.certificate, rejectUnauthorized: false, ...client })
  await new Promise<void>((resolve, reject) => { socket.once('secureConnect', resolve); socket.once('error', reject) })
  const result = { trusted: socket.authorized, why: String(socket.authorizationError ?? ''), admitted: await met }
  socket.destroy()
  await new Promise<void>(resolve => { listening.close(() => { resolve() }) })
  return result
}

test('a client that has the authority trusts it, with TLS 1.2 as firmware speaks it', async () => {
  expect(await meet({ cert: certificate }, { maxVersion: 'TLSv1.2' })).toEqual({ trusted: true, why: '', admitted: false })
})
test('at an address it does not name it is not trusted', async () => {
  const elsewhere = await issueServer(authority, { name: 'boot.rack-1', publicKey, addresses: ['10.0.0.2'] }, now)
  expect(await meet({ cert: elsewhere }, {})).toMatchObject({ trusted: false, why: expect.stringContaining('ALTNAME') })
})
test('shown by a client it admits nobody; a controller\'s own does', async () => {
  expect((await meet({ cert: certificate }, { key, cert: certificate })).admitted).toBe(false)
  const { request } = await readRequest(await makeRequest(key, 'rack-1'))
  const own = await issue(authority, request, { controller: 'rack-1', roles: ['rack'], addresses: [] }, now)
  expect((await meet({ cert: certificate }, { key, cert: own })).admitted).toBe(true)
})
test.each([
  ['no address', { publicKey, addresses: [] }], ['a name', { publicKey, addresses: ['rack.example'] }], ['nonsense', { publicKey: 'x', addresses: ['10.0.0.2'] }],
  ['RSA', { publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }) as string, addresses: ['10.0.0.2'] }]
])('%s gets none', async (_what, request) => {
  await expect(issueServer(authority, { name: 'boot.rack-1', ...request }, now)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
})
