/** HTTPS for firmware: a certificate of the region's authority for the rack's addresses, had when a region answers, kept, and renewed while it serves. Real TLS; the authority is the region's code. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BedplateError } from '../../../../core/errors.ts'
import { certificateLife, issueServer, makeAuthority } from '../../../../core/rpc/certificate.ts'
import { createShownStore, faultOf, isGood } from '../../../../plugins/boot/http/identity.ts'
import { createSecure } from '../../../../plugins/boot/http/secure.ts'
import type { Secure } from '../../../../plugins/boot/http/secure.ts'
import { manualClock } from '../../../kit/clock.ts'
import { serviceConformance } from '../../../kit/conformance/service.ts'
import { quiet } from '../../../kit/parts.ts'
import { until } from '../../../kit/wait.ts'
import { freePort } from '../../../kit/servers.ts' // for TCP; one that is free for UDP is often the near end of somebody's connection
import { connection } from './rig.ts'

let directory: string
beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'bedplate-https-')) })
afterEach(async () => {
  for (const secure of made.splice(0)) await secure.stop()
  await rm(directory, { recursive: true })
})
const made: Secure[] = []
const signal = new AbortController().signal

/** A rack and its region; what the rack knows and what the region says can be changed. */
async function rack (port?: number) {
  const clock = manualClock(Date.now())
  const world = { addresses: ['127.0.0.1'], authority: await makeAuthority(), region: true, asked: [] as (readonly string[])[] }
  const secure = createSecure({
    port: port ?? await freePort(), host: '127.0.0.1', store: createShownStore(directory), clock, log: quiet, addresses: () => world.addresses,
    async certify (publicKey, addresses) {
      world.asked.push(addresses)
      if (!world.region) throw new BedplateError('LINK_DOWN', { controller: 'region' })
      return { certificate: await issueServer(world.authority, { name: 'boot.rack', publicKey, addresses }, clock.now()), authority: world.authority.certificate }
    }
  })
  secure.handle((asked, response) => { response.end(`${asked.method} ${asked.url}`) })
  made.push(secure)
  return { secure, world, clock }
}
const get = (port: number, ca: string, agent = false): Promise<string> => new Promise((resolve, reject) => {
  request({ host: '127.0.0.1', port, ca, path: '/boot/x', maxVersion: 'TLSv1.2', agent }, response => { let text = ''; response.on('data', part => { text += part }).on('end', () => resolve(text)) }).on('error', reject).end()
})
const serialOf = (port: number): Promise<string> => new Promise((resolve, reject) => {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => { resolve(socket.getPeerCertificate().serialNumber); socket.destroy() })
  socket.on('error', reject)
})

describe('a rack with a region', () => {
  test('serves over TLS whoever trusts the authority, and is trusted by nobody else', async () => {
    const { secure, world } = await rack()
    await secure.start(signal)
    const port = await until(() => secure.port())
    expect(await get(port, world.authority.certificate)).toBe('GET /boot/x')
    await expect(get(port, (await makeAuthority()).certificate)).rejects.toThrow(/certificate/)
    expect(secure.health()).toEqual({ state: 'running' })
    expect((await stat(join(directory, 'key.pem'))).mode & 0o777).toBe(0o600)
  })
  test('an address that comes is in a new certificate, without a pause of the port', async () => {
    const { secure, world } = await rack()
    await secure.start(signal)
    const port = await until(() => secure.port())
    const before = await serialOf(port)
    world.addresses = ['127.0.0.1', '10.9.8.7']
    secure.look()
    await until(async () => await serialOf(port) !== before)
    expect(world.asked.at(-1)).toEqual(['127.0.0.1', '10.9.8.7'])
    expect(await get(port, world.authority.certificate)).toBe('GET /boot/x')
    world.addresses = ['127.0.0.1'] // one that goes costs nothing
    const asked = world.asked.length
    secure.look()
    await get(port, world.authority.certificate)
    expect(world.asked.length).toBe(asked)
  })
  test('two thirds through its life the certificate is renewed while it serves', async () => {
    const { secure, clock } = await rack()
    await secure.start(signal)
    const port = await until(() => secure.port())
    const before = await serialOf(port)
    await clock.pause(certificateLife * 0.7)
    await until(async () => { await clock.advance(10_000); return await serialOf(port) !== before })
  })
  test('an installation made anew has another authority: asked once after each start', async () => {
    const { secure, world } = await rack()
    await secure.start(signal)
    await until(() => secure.port())
    await secure.stop()
    world.authority = await makeAuthority()
    await secure.start(signal)
    const port = await until(() => secure.port())
    expect(await get(port, world.authority.certificate)).toBe('GET /boot/x')
  })
})

describe('a rack whose regions are gone', () => {
  test('serves with what it has kept, also after its own restart', async () => {
    const first = await rack()
    await first.secure.start(signal)
    await until(() => first.secure.port())
    await first.secure.stop()
    const second = await rack()
    second.world.region = false
    await second.secure.start(signal)
    const port = await until(() => second.secure.port())
    expect(await get(port, first.world.authority.certificate)).toBe('GET /boot/x')
    expect(second.secure.health()).toEqual({ state: 'running' })
  })
  test('and never had a certificate: it says so, and serves as soon as a region answers', async () => {
    const { secure, world, clock } = await rack()
    world.region = false
    await secure.start(signal)
    await until(() => secure.health().state === 'degraded' && JSON.stringify(secure.health()).includes('There is no link to region'))
    expect(secure.port()).toBeUndefined()
    world.region = true
    await until(async () => { await clock.advance(10_000); return secure.port() })
  })
  test('a damaged certificate on the disk is not shown', async () => {
    const first = await rack()
    await first.secure.start(signal)
    await until(() => first.secure.port())
    await first.secure.stop()
    await writeFile(join(directory, 'certificate.pem'), (await readFile(join(directory, 'certificate.pem'), 'utf8')).slice(0, 200))
    const second = await rack()
    second.world.region = false
    await second.secure.start(signal)
    await until(() => second.secure.health().state === 'degraded')
    expect(second.secure.port()).toBeUndefined()
  })
})

test('port 0: no service, and nothing asked', async () => {
  const { secure, world } = await rack(0)
  await secure.start(signal)
  expect(secure.health()).toMatchObject({ state: 'off' })
  expect(world.asked).toEqual([])
})
test('a rack without addresses waits for one', async () => {
  const { secure, world } = await rack()
  world.addresses = []
  await secure.start(signal)
  await until(() => secure.health().state === 'degraded')
  expect(world.asked).toEqual([])
  world.addresses = ['127.0.0.1']
  secure.look()
  await until(() => secure.port())
})
test('a client that says nothing, or no TLS, costs its own connection', async () => {
  const { secure, world } = await rack()
  await secure.start(signal)
  const port = await until(() => secure.port())
  const plain = await connection(port, 'GET / HTTP/1.1\r\n\r\n')
  const silent = await connection(port)
  await new Promise<void>(resolve => { plain.once('close', () => { resolve() }).resume() })
  expect(await get(port, world.authority.certificate)).toBe('GET /boot/x')
  silent.destroy()
})

describe('what may be shown', () => {
  test('at its addresses, by its key, in its time', async () => {
    const { secure, world, clock } = await rack()
    await secure.start(signal)
    await until(() => secure.port())
    const shown = (await createShownStore(directory).load())!
    const now = clock.now()
    expect(faultOf(shown, ['127.0.0.1'], now)).toBeUndefined()
    expect(faultOf(shown, ['127.0.0.1', '10.0.0.1'], now)).toBe('it does not name 10.0.0.1')
    expect(faultOf(shown, [], now + certificateLife * 0.7)).toContain('two thirds')
    expect(faultOf(shown, [], now - 86_400_000)).toContain('it is good from')
    expect(faultOf({ ...shown, authority: (await makeAuthority()).certificate }, [], now)).toBe('it is not of the authority beside it')
    expect(faultOf({ ...shown, key: world.authority.key }, [], now)).toBe('it belongs to another key')
    expect([isGood(shown, now), isGood(shown, now + certificateLife * 0.9), isGood(shown, now + certificateLife + 1000), isGood({ ...shown, certificate: '' }, now)]).toEqual([true, true, false, false])
  })
})

serviceConformance('https', { make: async () => ({ service: (await rack()).secure }) })
