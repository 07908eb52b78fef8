/** Files that come from several places: regions that die, racks that have damaged ones, and what becomes of those who wait. Real files; the sources are functions, or a real HTTP server. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { createCache } from '../../../plugins/images/cache.ts'
import { chunkBytes } from '../../../plugins/images/manifest.ts'
import { peersOf } from '../../../plugins/images/neighbours.ts'
import { createPeer, readContentRange } from '../../../plugins/images/peers.ts'
import { pullFile } from '../../../plugins/images/pull.ts'
import type { Source } from '../../../plugins/images/pull.ts'
import { manualClock } from '../../kit/clock.ts'
import { quiet } from '../../kit/parts.ts'
import { until } from '../../kit/wait.ts'
import { setupRack, sha256 } from './rig.ts'

const file = randomBytes(3 * chunkBytes + 123)
const name = sha256(file)
let directory: string
let servers: Server[]
beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'bedplate-sources-')); servers = [] })
afterEach(async () => {
  for (const server of servers) { server.closeAllConnections(); await new Promise<void>(resolve => { server.close(() => { resolve() }) }) }
  await rm(directory, { recursive: true })
})
const signal = () => new AbortController().signal
const held = async () => (await readdir(directory)).sort()

/** A source that has these bytes, in pieces of 1 MiB, and remembers what it was asked for. */
function source (title: string, bytes: Buffer, before: (offset: number) => void | Promise<void> = () => {}): Source & { readonly asked: number[] } {
  const asked: number[] = []
  return { name: title, asked, async fetch (_sha256, offset) { asked.push(offset); await before(offset); return { data: bytes.subarray(offset, offset + chunkBytes), size: bytes.length } } }
}
const gone = () => { throw new BedplateError('LINK_DOWN', { controller: 'region' }) }
const damaged = Buffer.from(file)
damaged[chunkBytes + 7]! ^= 1
const pull = (...sources: Source[]) => pullFile({ directory, sha256: name, sources, signal: signal() })

describe('where a file comes from', () => {
  test('the first that has it', async () => {
    const [region, rack] = [source('a region', file), source('rack 2', file)]
    expect(await pull(region, rack)).toBe(file.length)
    expect((await readFile(join(directory, name))).equals(file)).toBe(true)
    expect(rack.asked).toEqual([])
  })
  test('a source that dies halfway: the next one goes on at that byte, and keeps being asked', async () => {
    const region = source('a region', file, offset => { if (offset >= 2 * chunkBytes) gone() })
    const rack = source('rack 2', file)
    await pull(region, rack)
    expect([region.asked, rack.asked]).toEqual([[0, chunkBytes, 2 * chunkBytes], [2 * chunkBytes, 3 * chunkBytes]])
  })
  test('all of them fail: the region\'s reason is told, and what came is kept for the next try', async () => {
    const region = source('a region', file, offset => { if (offset > 0) gone() })
    const rack = source('rack 2', file, () => { throw new BedplateError('UNAVAILABLE', { reason: 'rack 2: it fell silent' }) })
    await expect(pull(region, rack)).rejects.toMatchObject({ code: 'LINK_DOWN' })
    expect(await held()).toEqual([`${name}.part`])
    await pull(source('a region', file))
    expect(await held()).toEqual([name])
  })
})

describe('a source with a damaged file', () => {
  test('never gives it a name; the whole is pulled anew from the others', async () => {
    const passed: string[] = []
    const [rack, region] = [source('rack 2', damaged), source('a region', file)]
    await pullFile({ directory, sha256: name, sources: [rack, region], signal: signal(), passed: one => { passed.push(one.name) } })
    expect((await readFile(join(directory, name))).equals(file)).toBe(true)
    expect(passed).toEqual(['rack 2'])
    expect(region.asked[0]).toBe(0)
  })
  test('gave only some of the bytes: nobody who gave any is believed, the third one is', async () => {
    const [rack, region, third] = [source('rack 2', damaged, offset => { if (offset > chunkBytes) gone() }), source('a region', file), source('rack 3', file)]
    await pull(rack, region, third)
    expect(third.asked).toEqual([0, chunkBytes, 2 * chunkBytes, 3 * chunkBytes])
    expect((await readFile(join(directory, name))).equals(file)).toBe(true)
  })
  test('alone: FILE_CORRUPT, and nothing stays', async () => {
    await expect(pull(source('rack 2', damaged))).rejects.toMatchObject({ code: 'FILE_CORRUPT' })
    expect(await held()).toEqual([])
  })
  test.each([['another length', Buffer.concat([file, file])], ['an end too early', file.subarray(0, chunkBytes)]])('that says %s is passed over before it costs a byte, where the length is known', async (_what, bytes) => {
    const [rack, region] = [source('rack 2', bytes), source('a region', file)]
    await pullFile({ directory, sha256: name, size: file.length, sources: [rack, region], signal: signal() })
    expect(rack.asked).toEqual([0])
  })
})

describe('who waits', () => {
  const cacheOf = (...sources: Source[]) => createCache({ directory, sources: () => sources, clock: manualClock(), log: quiet })
  test('two share one pull, also where its source dies, and see nothing of the file before it is whole', async () => {
    const halfway = Promise.withResolvers<void>()
    const region = source('a region', file, offset => { if (offset >= 2 * chunkBytes) gone() })
    const rack = source('rack 2', file, () => halfway.promise)
    const cache = cacheOf(region, rack)
    await cache.start(signal())
    const waiting = [cache.path(name), cache.path(name)]
    await until(() => rack.asked.length === 1)
    expect([cache.has(name), await held()]).toEqual([false, [`${name}.part`]])
    halfway.resolve()
    const paths = await Promise.all(waiting)
    expect((await readFile(paths[0]!)).equals(file)).toBe(true)
    expect([paths[0] === paths[1], rack.asked.filter(offset => offset === 2 * chunkBytes).length]).toEqual([true, 1])
    await cache.stop()
  })
  test('a part left by a crash has no name: it is neither served nor counted, and is gone on with', async () => {
    await writeFile(join(directory, `${name}.part`), file.subarray(0, chunkBytes))
    const region = source('a region', file)
    const cache = cacheOf(region)
    await cache.start(signal())
    expect(cache.has(name)).toBe(false)
    expect((await readFile(await cache.path(name))).equals(file)).toBe(true)
    expect(region.asked).toEqual([chunkBytes, 2 * chunkBytes, 3 * chunkBytes])
    await cache.stop()
  })
})

describe('another rack', () => {
  const serve = async (answer: RequestListener): Promise<number> => {
    const server = createServer(answer)
    servers.push(server)
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    return (server.address() as AddressInfo).port
  }
  /** As boot serves files: parts of one, and 504 where it is not whole. */
  const rackOf = (bytes: Buffer | undefined, seen: string[] = []): RequestListener => (request, response) => {
    seen.push(`${request.url} ${request.headers.range} ${request.headers['cache-control']}`)
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1])
    if (bytes === undefined) response.writeHead(504).end()
    else if (from >= bytes.length) response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    else { const to = Math.min(bytes.length, from + (4 << 20)); response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}`, 'content-length': to - from }).end(bytes.subarray(from, to)) }
  }
  test('gives a file that no region gives, and is asked for what it has whole only', async () => {
    const seen: string[] = []
    const port = await serve(rackOf(file, seen))
    const rack = setupRack(async () => gone(), directory, { clock: manualClock(), cacheDirectory: directory, peerPort: port })
    await rack.service.start(signal())
    rack.running.apply!({ put: [{ kind: 'peer', id: 'rack-2', value: { addresses: ['127.0.0.1'] } }], remove: [] }, true)
    expect((await readFile(await rack.files.path(name))).equals(file)).toBe(true)
    expect(seen[0]).toBe(`/boot/files/${name}/rack bytes=0-4194303 only-if-cached`)
    rack.running.apply!({ put: [], remove: [{ kind: 'peer', id: 'rack-2' }] }, false)
    await expect(rack.files.path('e'.repeat(64))).rejects.toMatchObject({ code: 'LINK_DOWN' })
    await rack.service.stop()
  })
  test.each<[string, RequestListener, RegExp]>([
    ['that lacks it', rackOf(undefined), /does not have the file/],
    ['that gives the whole for a part', (_request, response) => { response.writeHead(200).end('all of it') }, /it answered 200/],
    ['that gives another part', (_request, response) => { response.writeHead(206, { 'content-range': 'bytes 5-6/7' }).end('56') }, /it answered 206 to a request for bytes from 0/],
    ['that never ends', (_request, response) => { response.writeHead(206, { 'content-range': 'bytes 0-4194303/99999999' }); const more = () => { while (response.write(Buffer.alloc(1 << 20))); response.once('drain', more) }; more() }, /sends more than it was asked for/],
    ['that hangs up', (request, response) => { response.writeHead(206, { 'content-range': 'bytes 0-99/100', 'content-length': 100 }); response.write('x'); request.socket.destroySoon() }, /rack-2/],
    ['that is no HTTP', request => { request.socket.end('what?\r\n\r\n') }, /rack-2/]
  ])('one %s is an error that names it', async (_what, answer, reason) => {
    const peer = createPeer('rack-2', '127.0.0.1', await serve(answer))
    await expect(peer.fetch(name, 0, signal())).rejects.toThrow(reason)
    peer.close()
  })
  test('nobody there is an error that names it', async () => {
    const peer = createPeer('rack-2', '127.0.0.1', 1)
    await expect(peer.fetch(name, 0, signal())).rejects.toThrow(/rack-2.*ECONNREFUSED/)
    peer.close()
  })
  test('past the end it says how long the file is', async () => {
    const peer = createPeer('rack-2', '127.0.0.1', await serve(rackOf(file)))
    expect(await peer.fetch(name, file.length, signal())).toEqual({ data: new Uint8Array(0), size: file.length })
    peer.close()
  })
  test.each([['bytes 0-9/10', { from: 0, size: 10 }], ['bytes */10', { from: null, size: 10 }], ['bytes 0-9/*', undefined], ['', undefined], [undefined, undefined], ['bytes 0-9', undefined]])('%j reads as %j', (text, range) => { expect(readContentRange(text)).toEqual(range) })
})

test('a rack\'s neighbours are those it shares a VLAN with, at their addresses there', () => {
  const at = (rack: string, vlanId: string, address: string) => ({ rack, vlanId, address })
  expect(peersOf('a', [at('a', '1', '10.0.0.1'), at('b', '1', '10.0.0.2'), at('b', '2', '10.2.0.2'), at('c', '2', '10.2.0.3'), at('b', '1', 'fd00::2'), at('d', '1', '10.0.0.1')])).toEqual([{ id: 'b', addresses: ['10.0.0.2', 'fd00::2'] }])
  expect(peersOf('x', [at('a', '1', '10.0.0.1')])).toEqual([])
})
