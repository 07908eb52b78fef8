/** The TFTP server on real sockets: many at once, hostile ones, vanished ones, several addresses. */
import { randomBytes } from 'node:crypto'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { encode } from '../../../plugins/boot/tftp/packet.ts'
import { memoryContent } from '../../../plugins/boot/tftp/content.ts'
import { until } from '../../kit/wait.ts'
import { bareClient, folder, freePort, tftpServer } from './rig.ts'
import { download } from './client.ts'

const small = randomBytes(1000)
const even = randomBytes(512 * 20)
const large = randomBytes(2_000_003)
let files: Awaited<ReturnType<typeof folder>>
let closing: (() => Promise<unknown>)[] = []
beforeAll(async () => { files = await folder({ 'small.bin': small, 'even.bin': even, 'large.bin': large, 'empty.bin': Buffer.alloc(0), 'Case.EFI': small }) })
afterAll(() => files.remove())
afterEach(async () => { for (const close of closing.splice(0).reverse()) await close() })

const serve = async (options: Parameters<typeof tftpServer>[1] = {}) => {
  const rig = await tftpServer(files.path, options)
  closing.push(() => rig.server.stop())
  return rig
}
const client = async (address?: string) => {
  const one = await bareClient(address)
  closing.push(one.close)
  return one
}
const read = (name: string, options: Record<string, string> = {}, mode = 'octet') => encode({ op: 'read', name, mode, options: new Map(Object.entries(options)) })

describe('reading', () => {
  test.each([['small.bin', small], ['even.bin', even], ['large.bin', large], ['empty.bin', Buffer.alloc(0)]])('%s arrives as it is', async (name, bytes) => {
    const { port, served } = await serve()
    expect((await download(port, name)).equals(bytes)).toBe(true)
    expect((await download(port, name, { blksize: 1468, windowsize: 16, tsize: 0 })).equals(bytes)).toBe(true)
    await until(() => served.length === 2)
    expect(served).toMatchObject([{ name, bytes: bytes.length, failure: null, address: '127.0.0.1' }, { name, bytes: bytes.length, failure: null }])
  })

  test('over IPv6 too', async () => {
    const { port, served } = await serve()
    expect((await download(port, 'large.bin', { blksize: 1408 }, '::1')).equals(large)).toBe(true)
    await until(() => served[0]?.address === '::1')
  })

  test('a hundred transfers at once, every byte compared', async () => {
    const { port, served, server } = await serve()
    const all = await Promise.all(Array.from({ length: 100 }, (_, index) => download(port, index % 2 === 0 ? 'large.bin' : 'even.bin', { blksize: 1468, windowsize: 1 + index % 8 })))
    expect(all.every((bytes, index) => bytes.equals(index % 2 === 0 ? large : even))).toBe(true)
    await until(() => served.length === 100 && server.transfers === 0)
    expect(served.every(({ failure }) => failure === null)).toBe(true)
  })

  test('each transfer has a port of its own, and answers come from the address that was asked', async () => {
    const { port } = await serve({ addresses: () => ['127.0.0.1', '127.0.0.2'] })
    const one = await client()
    one.send(read('small.bin'), port, '127.0.0.2')
    await until(() => one.heard.length > 0)
    const two = await client()
    two.send(read('small.bin'), port, '127.0.0.1')
    await until(() => two.heard.length > 0)
    expect([one.heard[0]?.from, two.heard[0]?.from]).toEqual(['127.0.0.2', '127.0.0.1'])
    expect(new Set([port, one.heard[0]?.port, two.heard[0]?.port]).size).toBe(3)
  })

  test('slashes in front are let pass, case counts', async () => {
    const { port } = await serve()
    expect((await download(port, '//Case.EFI')).equals(small)).toBe(true)
    await expect(download(port, 'case.efi')).rejects.toMatchObject({ code: 1 })
  })

  test('netascii is converted', async () => {
    const text = await folder({ 'text.txt': Buffer.from('a\nb\n') })
    const rig = await tftpServer(text.path)
    closing.push(text.remove, () => rig.server.stop())
    const one = await client()
    one.send(read('text.txt', {}, 'netascii'), rig.port)
    await until(() => one.heard.length > 0)
    expect(one.heard[0]?.packet).toMatchObject({ op: 'data', block: 1, data: Buffer.from('a\r\nb\r\n') })
  })

  test('a link in the folder is served as the file it leads to; one that leads nowhere is not there', async () => {
    const links = await folder({ target: small })
    await symlink(join(files.path, 'even.bin'), join(links.path, 'link'))
    await symlink(join(files.path, 'nothing'), join(links.path, 'dangling'))
    const rig = await tftpServer(links.path)
    closing.push(links.remove, () => rig.server.stop())
    expect((await download(rig.port, 'link')).equals(even)).toBe(true)
    await expect(download(rig.port, 'dangling')).rejects.toMatchObject({ code: 1 })
  })
})

describe('what is refused', () => {
  test.each(['../small.bin', '/../../etc/passwd', '..', '.', './small.bin', 'sub/../small.bin', '/etc/passwd', 'small.bin/', '..\\small.bin', 'C:\\small.bin', '%2e%2e/small.bin', 'small.bin\u00ff'])('%j is not found', async name => {
    const { port } = await serve()
    await expect(download(port, name)).rejects.toMatchObject({ code: 1 })
  })

  test('a write is refused with access violation and nothing is written', async () => {
    const { port } = await serve()
    const one = await client()
    one.send(encode({ op: 'write', name: 'small.bin', mode: 'octet', options: new Map() }), port)
    await until(() => one.heard.length > 0)
    expect(one.heard[0]?.packet).toMatchObject({ op: 'error', code: 2 })
    expect((await readFile(join(files.path, 'small.bin'))).equals(small)).toBe(true)
  })

  test('an unknown mode, or a transfer that does not begin with a request, is an illegal operation', async () => {
    const { port } = await serve()
    const one = await client()
    one.send(read('small.bin', {}, 'mail'), port)
    await until(() => one.heard.length === 1)
    one.send(encode({ op: 'ack', block: 0 }), port)
    await until(() => one.heard.length === 2)
    expect(one.heard.map(({ packet }) => packet)).toMatchObject([{ op: 'error', code: 4 }, { op: 'error', code: 4 }])
  })

  test('errors are never answered, and malformed packets cost one counted drop', async () => {
    const rig = await serve()
    const one = await client()
    one.send(encode({ op: 'error', code: 0, message: 'hello' }), rig.port)
    for (let n = 0; n < 50; n++) one.send(randomBytes(n), rig.port)
    one.send(Buffer.from([0, 1, 65, 65]), rig.port)
    await until(() => rig.dropped > 0)
    expect((await download(rig.port, 'small.bin')).equals(small)).toBe(true)
    expect(one.heard.filter(({ packet }) => packet.op !== 'error')).toEqual([])
  })

  test('transfers are bounded: one too many is told to try again, and does not harm the others', async () => {
    const { port, server } = await serve({ mostTransfers: 3 })
    const holders = await Promise.all([client(), client(), client()])
    for (const holder of holders) holder.send(read('large.bin'), port)
    await until(() => holders.every(({ heard }) => heard.length > 0))
    expect(server.transfers).toBe(3)
    for (const holder of holders) holder.send(encode({ op: 'ack', block: 1 }), holder.heard[0]!.port) // they mean it
    await until(() => holders.every(({ heard }) => heard.length > 1))
    await expect(download(port, 'small.bin')).rejects.toMatchObject({ code: 0, message: expect.stringContaining('Too many') })
    for (const holder of holders) holder.send(encode({ op: 'error', code: 0, message: 'enough' }), holder.heard[0]!.port)
    await until(() => server.transfers === 0)
    expect((await download(port, 'small.bin')).equals(small)).toBe(true)
  })
})

describe('floods', () => {
  test('a thousand half-open requests: each is a place, no more, and whoever means it is served in the midst of them', async () => {
    let standing: number | undefined = systemClock.monotonic() // no time passes while they come, however long that takes here
    const rig = await serve({ mostTransfers: 200, mostOfAddress: 1_000, clock: { ...systemClock, monotonic: () => standing ?? systemClock.monotonic() } })
    const flood = await Promise.all(Array.from({ length: 1_000 }, () => client()))
    for (const one of flood) one.send(read('large.bin', { blksize: '1400', windowsize: '16' }), rig.port)
    await until(() => flood.filter(({ heard }) => heard.length > 0).length === 1_000, { timeout: 20_000 })
    const refused = flood.filter(({ heard }) => heard[0]?.packet.op === 'error').length
    expect([rig.server.transfers, refused]).toEqual([200, 800])
    // Once they have said nothing for a second they make room, one for each who comes.
    standing = undefined
    await until(async () => (await download(rig.port, 'small.bin').catch(() => undefined))?.equals(small) ?? false, { timeout: 10_000 })
    expect(rig.server.transfers).toBeLessThanOrEqual(200)
    const all = await Promise.all(Array.from({ length: 20 }, () => download(rig.port, 'small.bin')))
    expect(all.every(bytes => bytes.equals(small))).toBe(true)
  })

  test('one address has only so many transfers, whatever it asks; others have theirs', async () => {
    const { port, server } = await serve({ mostOfAddress: 10, addresses: () => ['127.0.0.1', '::1'] })
    const flood = await Promise.all(Array.from({ length: 50 }, () => client()))
    for (const one of flood) one.send(read('large.bin'), port)
    await until(() => flood.every(({ heard }) => heard.length > 0))
    expect(server.transfers).toBe(10)
    expect(flood.filter(({ heard }) => heard[0]?.packet.op === 'error' && heard[0].packet.message.includes('Too many transfers to this address')).length).toBe(40)
    expect((await download(port, 'small.bin', {}, '::1')).equals(small)).toBe(true)
  })

  test('its places are free again when its transfers are over', async () => {
    const { port, server } = await serve({ mostOfAddress: 2 })
    for (let round = 0; round < 5; round++) {
      expect((await Promise.all([download(port, 'small.bin'), download(port, 'empty.bin')])).map(({ length }) => length)).toEqual([1000, 0])
      await until(() => server.transfers === 0)
    }
  })

  test('a request of many kilobytes is dropped unread', async () => {
    const rig = await serve()
    const one = await client()
    one.send(Buffer.concat([read('small.bin'), Buffer.alloc(2_000)]), rig.port)
    await until(() => rig.dropped === 1)
    expect(one.heard).toEqual([])
  })
})

describe('what is served to whom', () => {
  test('content may be made for the client that asks', async () => {
    const { port } = await serve({ addresses: () => ['127.0.0.1', '127.0.0.2', '::1'], open: async (name, { address, local }) => memoryContent(Buffer.from(`${name} for ${address} from ${local}`)) })
    expect(String(await download(port, 'grub.cfg', {}, '127.0.0.2'))).toBe('grub.cfg for 127.0.0.1 from 127.0.0.2')
    expect(String(await download(port, 'grub.cfg-52-54', { blksize: 8, windowsize: 3 }, '::1'))).toBe('grub.cfg-52-54 for ::1 from ::1')
  })

  test('requests heard again and packets sent again are told as retries', async () => {
    const { port, served } = await serve({ patience: 3_000 })
    const one = await client()
    for (let times = 0; times < 3; times++) one.send(read('small.bin'), port)
    await until(() => one.heard.filter(({ packet }) => packet.op === 'data' && packet.block === 1).length > 1) // the answer was repeated, too
    one.send(encode({ op: 'ack', block: 1 }), one.heard[0]!.port)
    await until(() => one.heard.some(({ packet }) => packet.op === 'data' && packet.block === 2))
    one.send(encode({ op: 'ack', block: 2 }), one.heard[0]!.port)
    await until(() => served.length === 1)
    expect(served[0]).toMatchObject({ failure: null, bytes: 1000 })
    expect(served[0]?.retries).toBeGreaterThanOrEqual(3)
    await download(port, 'small.bin')
    await until(() => served.length === 2)
    expect(served[1]?.retries).toBeLessThan(served[0]?.retries ?? 0)
  })
})

describe('clients that misbehave', () => {
  test('the same request again before any acknowledgement begins no second transfer', async () => {
    const { port, server } = await serve()
    const one = await client()
    for (let n = 0; n < 5; n++) one.send(read('large.bin'), port)
    await until(() => one.heard.length > 0)
    expect(server.transfers).toBe(1)
    expect(new Set(one.heard.map(({ port }) => port)).size).toBe(1)
  })

  test('another request from the same port replaces the transfer, as boot ROMs do that ask for the size first', async () => {
    const { port, served } = await serve()
    const one = await client()
    one.send(read('large.bin', { tsize: '0' }), port)
    await until(() => one.heard.length === 1)
    expect(one.heard[0]?.packet).toMatchObject({ op: 'oack', options: new Map([['tsize', String(large.length)]]) })
    one.send(read('small.bin', { blksize: '1400' }), port)
    await until(() => served.length === 1)
    await until(() => one.heard.some(({ packet }) => packet.op === 'oack' && packet.options.has('blksize')))
  })

  test('a client that ends it with an error is believed at once', async () => {
    const { port, server, served } = await serve()
    const one = await client()
    one.send(read('large.bin', { blksize: '1400' }), port)
    await until(() => one.heard.length === 1)
    one.send(encode({ op: 'error', code: 8, message: 'no' }), one.heard[0]!.port)
    await until(() => server.transfers === 0)
    expect(served).toMatchObject([{ failure: 'the client refused the options', bytes: 0 }])
  })

  test('firmware that only asks for the size has not failed at anything', async () => {
    const { port, server, served } = await serve()
    const one = await client()
    one.send(read('large.bin', { tsize: '0', blksize: '1400' }), port)
    await until(() => one.heard.length === 1)
    one.send(encode({ op: 'error', code: 8, message: 'User aborted the transfer' }), one.heard[0]!.port)
    await until(() => server.transfers === 0)
    expect(served).toEqual([])
  })

  test('a client that vanishes is noticed by its closed port', async () => {
    const { port, server, served } = await serve()
    const one = await bareClient()
    one.send(read('large.bin', { windowsize: '8' }), port)
    await until(() => one.heard.length > 0)
    await one.close()
    await until(() => server.transfers === 0)
    expect(served[0]?.failure).toBe('the client closed its port')
  })

  test('a client that reads slowly gets all of it, and nobody waits for it', async () => {
    const { port, served } = await serve()
    const slow = await client()
    let next = 1
    const timer = setInterval(() => { // one block each 50 ms, whatever is sent meanwhile
      const block = slow.heard.find(({ packet }) => packet.op === 'data' && packet.block === next)
      if (block !== undefined) slow.send(encode({ op: 'ack', block: next++ }), block.port)
    }, 50)
    closing.push(async () => { clearInterval(timer) })
    slow.send(read('even.bin'), port)
    await until(() => slow.heard.length > 0)
    const others = await Promise.all(Array.from({ length: 10 }, () => download(port, 'small.bin')))
    expect(others.every(bytes => bytes.equals(small))).toBe(true)
    await until(() => served.length === 11)
    expect(served.at(-1)).toMatchObject({ name: 'even.bin', bytes: even.length, failure: null })
    const blocks = new Map(slow.heard.flatMap(({ packet }) => packet.op === 'data' ? [[packet.block, packet.data] as const] : []))
    expect(Buffer.concat([...blocks].sort(([one], [other]) => one - other).map(([, data]) => data)).equals(even)).toBe(true)
  })

  test('a client that falls silent is sent the block again, and given up in the end', async () => {
    const { port, served } = await serve({ patience: 2_000 })
    const one = await client()
    one.send(read('large.bin'), port)
    await until(() => one.heard.length > 0)
    one.send(encode({ op: 'ack', block: 1 }), one.heard[0]!.port) // a round trip, so that waits become short
    await until(() => served.length === 1)
    expect(served[0]).toMatchObject({ failure: 'the client fell silent', bytes: 512 })
    expect(one.heard.filter(({ packet }) => packet.op === 'data' && packet.block === 2).length).toBeGreaterThan(1)
    await until(() => one.heard.at(-1)?.packet.op === 'error')
  })

  test('a stranger\'s packets do not disturb a transfer', async () => {
    const { port } = await serve()
    const one = await client()
    one.send(read('small.bin'), port)
    await until(() => one.heard.length === 1)
    const stranger = await client()
    stranger.send(encode({ op: 'error', code: 0, message: 'die' }), one.heard[0]!.port)
    stranger.send(encode({ op: 'ack', block: 1 }), one.heard[0]!.port)
    one.send(encode({ op: 'ack', block: 1 }), one.heard[0]!.port)
    await until(() => one.heard.length === 2)
    expect(one.heard[1]?.packet).toMatchObject({ op: 'data', block: 2 })
  })

  test('garbage from the client itself counts as lost', async () => {
    const { port } = await serve()
    const one = await client()
    one.send(read('small.bin'), port)
    await until(() => one.heard.length === 1)
    for (const garbage of [Buffer.alloc(0), Buffer.from([0, 9, 9, 9]), Buffer.from([0, 4]), encode({ op: 'data', block: 1, data: small }), read('large.bin')]) one.send(garbage, one.heard[0]!.port)
    one.send(encode({ op: 'ack', block: 1 }), one.heard[0]!.port)
    await until(() => one.heard.some(({ packet }) => packet.op === 'data' && packet.block === 2))
  })
})

describe('content that fails', () => {
  test('reading that fails ends that transfer with an error, and only that', async () => {
    const broken = { size: 5000, read: async () => { throw new RangeError('disk on fire') }, close: async () => {} }
    const { port, server } = await serve({ open: async name => name === 'broken' ? broken : memoryContent(small) })
    await expect(download(port, 'broken')).rejects.toMatchObject({ code: 0 })
    expect((await download(port, 'other')).equals(small)).toBe(true)
    await until(() => server.transfers === 0)
  })

  test('what was opened is closed, however the transfer ends', async () => {
    let opened = 0
    let closed = 0
    const { port, server } = await serve({ open: async () => { opened++; return { ...memoryContent(large), close: async () => { closed++ } } } })
    await download(port, 'a')
    const one = await client()
    one.send(read('b'), port)
    await until(() => one.heard.length > 0)
    one.send(encode({ op: 'error', code: 0, message: 'no' }), one.heard[0]!.port)
    const two = await client()
    two.send(read('c'), port)
    await until(() => two.heard.length > 0)
    await server.stop()
    expect([opened, closed]).toEqual([3, 3])
  })
})

describe('the service', () => {
  test('starts and stops any number of times, at once too, and leaves nothing', async () => {
    const { server, port } = await serve()
    const { signal } = new AbortController()
    await Promise.all([server.start(signal), server.stop(), server.start(signal), server.start(signal), server.stop()])
    expect(server.listening()).toEqual([])
    await server.stop()
    await server.start(signal)
    expect((await download(port, 'small.bin')).equals(small)).toBe(true)
  })

  test('a stop ends transfers that hang, and says so to the client', async () => {
    const { server, port, served } = await serve()
    const one = await client()
    one.send(read('large.bin'), port)
    await until(() => one.heard.length > 0)
    await server.stop()
    expect(server.transfers).toBe(0)
    expect(served).toMatchObject([{ failure: 'this server is stopping' }])
    await until(() => one.heard.at(-1)?.packet.op === 'error')
  })

  test('a port that is taken makes it degraded with the command that names the culprit, and it listens once it is free', async () => {
    const port = await freePort()
    const holder = await serve({ port, addresses: () => ['127.0.0.1'] })
    const { server } = await serve({ port, addresses: () => ['127.0.0.1'] })
    expect(server.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining(`ss -ulpn sport = :${port}`) })
    await holder.server.stop()
    await until(() => server.health().state === 'running', { timeout: 6_000 })
    expect((await download(port, 'small.bin')).equals(small)).toBe(true)
  })

  test('addresses that come and go are followed', async () => {
    let addresses = ['127.0.0.1']
    const { server, port } = await serve({ addresses: () => addresses })
    addresses = ['127.0.0.3']
    await until(() => server.listening().map(({ address }) => address).join() === '127.0.0.3', { timeout: 6_000 })
    expect((await download(port, 'small.bin', {}, '127.0.0.3')).equals(small)).toBe(true)
  })
})
