/** The rack's HTTP routes, over real HTTP. */
import { randomBytes } from 'node:crypto'
import { get as httpGet } from 'node:http'
import { get as httpsGet } from 'node:https'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { issueServer, makeAuthority } from '../../../core/rpc/certificate.ts'
import { until } from '../../kit/wait.ts'
import { fakeFiles } from './fakes.ts'
import { folder, freePort, rackHalf } from './rig.ts'

const mac = '52:54:00:00:00:07'
const here = 'a'.repeat(64)
const coming = 'b'.repeat(64)
const big = 'c'.repeat(64)
const bytes = randomBytes(700_000)
const bootFiles = { kernel: { sha256: here, size: bytes.length }, initrd: { sha256: coming, size: 5 }, root: { sha256: big, size: 64 << 20 }, options: '' }
let content: Awaited<ReturnType<typeof folder>>
let rig: Awaited<ReturnType<typeof rackHalf>>
let files: ReturnType<typeof fakeFiles>
beforeAll(async () => { content = await folder({ kernel: bytes, initrd: Buffer.from('hello'), empty: Buffer.alloc(0), big: Buffer.alloc(64 << 20), 'snponly.efi': Buffer.from('MZ loader') }) })
afterAll(() => content.remove())
afterEach(() => rig.close())

async function start (): Promise<void> {
  files = fakeFiles({ [here]: join(content.path, 'kernel'), [big]: join(content.path, 'big') })
  rig = await rackHalf(files.store, { loaderDirectory: content.path })
  rig.running.apply!({ put: [
    { kind: 'machine', id: mac, value: { machine: '7', hostname: 'otter', purpose: 'commission', token: 'tok', files: bootFiles, reason: null } },
    { kind: 'unknown', id: 'arm64', value: bootFiles }
  ], remove: [] }, true)
}
const get = (path: string, headers: Record<string, string> = {}, method = 'GET') => fetch(`${rig.base}/boot${path}`, { headers, method })

describe('scripts', () => {
  test.each(['52:54:00:00:00:07', '52-54-00-00-00-07', '525400000007', '5254.0000.0007', '52%3A54%3A00%3A00%3A00%3A07'])('a known machine gets its script under %s, with this rack in it', async form => {
    await start()
    const response = await get(`/ipxe/${form}`)
    expect([response.status, response.headers.get('content-type'), response.headers.get('cache-control')]).toEqual([200, 'text/plain; charset=utf-8', 'no-store'])
    const script = await response.text()
    expect(script).toMatch(/^#!ipxe\n/)
    expect(script).toContain(`kernel ${rig.base}/boot/files/${here}/vmlinuz `)
    expect(script).toContain(`bedplate.url=${rig.base}/provision/tok `)
  })
  test('the rack is named as the machine reached it, not as a header claims', async () => {
    await start()
    const script = await new Promise<string>((resolve, reject) => {
      httpGet(`${rig.base}/boot/ipxe/${mac}`, { headers: { host: 'evil.example' } }, response => { let text = ''; response.on('data', part => { text += part }).on('end', () => resolve(text)) }).on('error', reject)
    })
    expect(script).not.toContain('evil')
  })
  test('an unknown machine is enlisted with the image of its architecture, and told to wait when there is none', async () => {
    await start()
    expect(await (await get('/ipxe/52:54:00:00:00:99?arch=arm64')).text()).toContain(`bedplate.url=${rig.base}/provision/enlist `)
    expect(await (await get('/ipxe/52:54:00:00:00:99?arch=i386&more=1')).text()).toContain('no image has been imported')
  })
  test('what is no MAC is refused', async () => {
    await start()
    expect((await get('/ipxe/hello')).status).toBe(400)
  })
  test('a script that was fetched is reported with the machine; a HEAD is not', async () => {
    await start()
    expect((await get(`/ipxe/${mac}`, {}, 'HEAD')).status).toBe(200)
    await (await get(`/ipxe/${mac}`)).text()
    await until(() => rig.reports.length === 1)
    expect(rig.reports[0]).toMatchObject({ machine: '7', mac, by: 'http', what: `/ipxe/${mac}`, address: '127.0.0.1', failure: null })
  })
  test('an order taken back is taken back at once', async () => {
    await start()
    rig.running.apply!({ put: [], remove: [{ kind: 'machine', id: mac }] }, false)
    expect(await (await get(`/ipxe/${mac}`)).text()).toContain('Nothing to boot yet')
  })
})

describe('files', () => {
  const read = async (response: Response) => Buffer.from(await response.arrayBuffer())

  test('a file comes whole, named by its content and cacheable for ever', async () => {
    await start()
    const response = await get(`/files/${here}/vmlinuz`)
    expect(Object.fromEntries(['content-length', 'etag', 'accept-ranges', 'cache-control'].map(name => [name, response.headers.get(name)]))).toEqual({
      'content-length': String(bytes.length), etag: `"${here}"`, 'accept-ranges': 'bytes', 'cache-control': 'public, max-age=31536000, immutable' })
    expect((await read(response)).equals(bytes)).toBe(true)
    await until(() => rig.reports.length === 1)
    expect(rig.reports[0]).toMatchObject({ what: `/files/${here}/vmlinuz`, bytes: bytes.length, failure: null })
  })
  test('a HEAD tells the same without the bytes', async () => {
    await start()
    const response = await get(`/files/${here}/vmlinuz`, {}, 'HEAD')
    expect([response.status, response.headers.get('content-length'), response.headers.get('etag'), await response.text()]).toEqual([200, String(bytes.length), `"${here}"`, ''])
  })
  test.each([['bytes=0-99', 0, 99], ['bytes=100-', 100, bytes.length - 1], ['bytes=-7', bytes.length - 7, bytes.length - 1], ['bytes=699999-9999999', 699_999, bytes.length - 1]])('the range %s comes alone', async (range, from, to) => {
    await start()
    const response = await get(`/files/${here}/vmlinuz`, { range })
    expect([response.status, response.headers.get('content-range'), response.headers.get('content-length')]).toEqual([206, `bytes ${from}-${to}/${bytes.length}`, String(to - from + 1)])
    expect((await read(response)).equals(bytes.subarray(from, to + 1))).toBe(true)
  })
  test('a download broken off goes on with If-Range on this rack or another', async () => {
    await start()
    const response = await get(`/files/${here}/vmlinuz`, { range: 'bytes=350000-', 'if-range': `"${here}"` })
    expect(Buffer.concat([bytes.subarray(0, 350_000), await read(response)]).equals(bytes)).toBe(true)
    const other = await get(`/files/${here}/vmlinuz`, { range: 'bytes=350000-', 'if-range': '"other"' })
    expect([other.status, (await read(other)).length]).toEqual([200, bytes.length])
  })
  test('a range past the end is 416 with the size', async () => {
    await start()
    const response = await get(`/files/${here}/vmlinuz`, { range: 'bytes=700000-' })
    expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */700000'])
  })
  test('who has it already is told so', async () => {
    await start()
    expect((await get(`/files/${here}/vmlinuz`, { 'if-none-match': `"x", "${here}"` })).status).toBe(304)
  })
  test('an empty file is a file', async () => {
    await start()
    files.arrive('d'.repeat(64), join(content.path, 'empty'))
    const response = await get(`/files/${'d'.repeat(64)}/x`)
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '0', ''])
  })
  test.each(['/files/abc/vmlinuz', `/files/${here.toUpperCase()}/x`, `/files/..%2f..%2fetc%2fpasswd/x`, `/files/${here}`, '/files/', '/loaders/..%2f..%2f..%2fetc%2fpasswd', '/loaders/../../../../etc/passwd', '/loaders/.', '/loaders/%2e%2e'])('%s reaches nothing', async path => {
    await start()
    expect([400, 404]).toContain((await get(path)).status)
  })
  test('the name behind the hash is decoration: it opens nothing', async () => {
    await start()
    expect((await read(await get(`/files/${here}/..%2f..%2fetc%2fpasswd`))).equals(bytes)).toBe(true)
  })
  test('a file that nothing here needs is not asked of the region', async () => {
    await start()
    expect((await get(`/files/${'e'.repeat(64)}/x`)).status).toBe(404)
    expect(files.asked).toEqual([])
  })
  test('a file still on its way is waited for', async () => {
    await start()
    const answer = get(`/files/${coming}/initrd.img`)
    await until(() => files.asked.length === 1)
    files.arrive(coming, join(content.path, 'initrd'))
    expect(await (await answer).text()).toBe('hello')
  })
  test('how long a file still on its way is, is told at once, and it is fetched meanwhile', async () => {
    await start()
    files.sizes.set(coming, 5)
    const response = await get(`/files/${coming}/initrd.img`, {}, 'HEAD')
    expect([response.status, response.headers.get('content-length'), response.headers.get('etag')]).toEqual([200, '5', `"${coming}"`])
    expect(files.asked).toEqual([coming])
    files.arrive(coming, join(content.path, 'initrd'))
    expect(await (await get(`/files/${coming}/initrd.img`)).text()).toBe('hello')
  })
  test('another rack gets what is here whole, and is not told to wait for the rest; it is no machine that boots', async () => {
    await start()
    const peer = { 'cache-control': 'only-if-cached' }
    expect((await get(`/files/${coming}/rack`, peer)).status).toBe(504)
    expect((await get(`/files/${'e'.repeat(64)}/rack`, peer)).status).toBe(504)
    expect(files.asked).toEqual([])
    const response = await get(`/files/${here}/rack`, { ...peer, range: 'bytes=10-19' })
    expect([response.status, (await read(response)).equals(bytes.subarray(10, 20))]).toEqual([206, true])
    await (await get(`/files/${here}/vmlinuz`)).arrayBuffer()
    await until(() => rig.reports.length > 0)
    expect(rig.reports.map(({ what }) => what)).toEqual([`/files/${here}/vmlinuz`])
  })
  test('a file that cannot be pulled is 503 with a reason and a time to come back', async () => {
    await start()
    const answer = get(`/files/${coming}/initrd.img`)
    await until(() => files.asked.length === 1)
    files.fail(coming, new BedplateError('LINK_DOWN', { controller: 'region' }))
    const response = await answer
    expect([response.status, Number(response.headers.get('retry-after'))]).toEqual([503, expect.any(Number)])
    expect(await response.json()).toMatchObject({ code: 'UNAVAILABLE', detail: expect.stringContaining('There is no link to region') })
  })
  test('a client that leaves while it waits is let go', async () => {
    await start()
    const leaving = new AbortController()
    const answer = fetch(`${rig.base}/boot/files/${coming}/initrd.img`, { signal: leaving.signal }).catch((error: unknown) => error)
    await until(() => files.asked.length === 1)
    leaving.abort()
    await answer
    await expect(files.store.path(coming)).rejects.toMatchObject({ code: 'UNAVAILABLE' }) // the fake gives up with its first asker
  })
  test('a client that leaves in the middle is reported with what it got', async () => {
    await start()
    const request = httpGet(`${rig.base}/boot/files/${big}/root.squashfs`, response => response.once('data', () => request.destroy()))
    request.on('error', () => {})
    await until(() => rig.reports.length === 1)
    expect(rig.reports[0]).toMatchObject({ failure: 'the client closed the connection' })
    expect(rig.reports[0]!.bytes).toBeLessThan(64 << 20)
  })
  test('forty clients at once get every byte', async () => {
    await start()
    const all = await Promise.all(Array.from({ length: 40 }, async () => read(await get(`/files/${here}/vmlinuz`))))
    expect(all.every(one => one.equals(bytes))).toBe(true)
  })
})

describe('loaders', () => {
  test('firmware that boots by HTTP finds them by name', async () => {
    await start()
    for (const service of rig.running.services) if (service.name === 'loaders') await service.start(new AbortController().signal)
    await until(async () => (await get('/loaders/snponly.efi')).status === 200)
    const response = await get('/loaders/snponly.efi')
    expect(await response.text()).toBe('MZ loader')
    expect(response.headers.get('cache-control')).toBe('no-cache')
    expect((await get('/loaders/nothing.efi')).status).toBe(404)
    for (const service of rig.running.services) await service.stop()
  })
})

describe('over TLS', () => {
  test('the same is served to who trusts the authority; a text names the plain port, which what reads it next can use', async () => {
    const authority = await makeAuthority()
    const httpsPort = await freePort()
    files = fakeFiles({ [big]: join(content.path, 'big') })
    rig = await rackHalf(files.store, {
      loaderDirectory: content.path, httpsPort, dataDirectory: content.path,
      certify: async ({ publicKey, addresses }) => ({ certificate: await issueServer(authority, { name: 'boot.rack', publicKey, addresses: [...addresses, '127.0.0.1'] }, Date.now()), authority: authority.certificate })
    })
    rig.running.apply!({ put: [{ kind: 'machine', id: mac, value: { machine: '7', hostname: 'otter', purpose: 'commission', token: 'tok', files: bootFiles, reason: null } }], remove: [] }, true)
    const https = rig.running.services.find(({ name }) => name === 'https')!
    await https.start(new AbortController().signal)
    try {
      await until(() => https.health().state === 'running')
      const secure = (path: string): Promise<{ readonly status: number | undefined, readonly body: Buffer }> => new Promise((resolve, reject) => {
        httpsGet({ host: '127.0.0.1', port: httpsPort, path: `/boot${path}`, ca: authority.certificate, agent: false }, response => { const parts: Buffer[] = []; response.on('data', (part: Buffer) => { parts.push(part) }).on('end', () => { resolve({ status: response.statusCode, body: Buffer.concat(parts) }) }) }).on('error', reject)
      })
      const file = await secure(`/files/${big}/root.squashfs`)
      expect([file.status, file.body.length, file.body.every(byte => byte === 0)]).toEqual([200, 64 << 20, true])
      expect((await secure(`/ipxe/${mac}`)).body.toString()).toContain(`kernel http://127.0.0.1:5248/boot/files/${here}/vmlinuz `)
      expect((await secure('/files/../../etc/passwd')).status).toBe(404)
      await until(() => rig.reports.some(({ what, bytes }) => what === `/files/${big}/root.squashfs` && bytes === 64 << 20))
    } finally { await https.stop() }
  })
})
