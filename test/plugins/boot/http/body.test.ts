/** Bodies over real connections, by sendfile and the plain way: every byte, to the right client, and nothing left behind. */
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemCalls } from '../../../../plugins/boot/http/sendfile.ts'
import type { Calls } from '../../../../plugins/boot/http/sendfile.ts'
import { until } from '../../../kit/wait.ts'
import { folder } from '../rig.ts'
import { connection, getting, serveFile } from './rig.ts'
import type { Server } from './rig.ts'

const bytes = randomBytes(9_000_001)
let disk: Awaited<ReturnType<typeof folder>>
let path: string
let server: Server
beforeAll(async () => { disk = await folder({ file: bytes }); path = join(disk.path, 'file') })
afterAll(() => disk.remove())
afterEach(() => server.close())

const fetched = async (range = ''): Promise<Buffer> => Buffer.from(await (await fetch(`http://127.0.0.1:${server.port}/${range}`)).arrayBuffer())
const descriptors = (): number => readdirSync('/proc/self/fd').length

describe.each([['sendfile', systemCalls], ['the plain way', async (): Promise<Calls | undefined> => undefined]] as const)('by %s', (_name, ways) => {
  const start = async (patience?: number) => { server = await serveFile(path, { calls: await ways(), ...(patience === undefined ? {} : { patience }) }) }

  test('the whole arrives', async () => {
    await start()
    expect((await fetched()).equals(bytes)).toBe(true)
    await until(() => server.outcomes.length === 1)
    expect(server.outcomes).toEqual([{ bytes: bytes.length }])
  })
  test.each([[0, 0], [0, 99_999], [1, 70_000], [16_383, 16_384], [16_384, 131_072], [4_000_000, 9_000_000], [9_000_000, 9_000_000]])('bytes %i to %i arrive alone', async (from, to) => {
    await start()
    expect((await fetched(`${from}-${to}`)).equals(bytes.subarray(from, to + 1))).toBe(true)
  })
  test('requests one after the other on one connection, asked at once, are answered in order', async () => {
    await start()
    const socket = await connection(server.port, ['/0-99999', '/200000-5000000', '/7-7', '/0-9000000'].map(getting).join(''))
    const heard: Buffer[] = []
    socket.on('data', chunk => heard.push(chunk)).resume()
    const parts = [[0, 100_000], [200_000, 5_000_001], [7, 8], [0, bytes.length]] as const
    const total = parts.reduce((sum, [from, to]) => sum + to - from, 0)
    await until(() => heard.reduce((sum, chunk) => sum + chunk.length, 0) > total && server.outcomes.length === 4)
    let all = Buffer.concat(heard)
    for (const [from, to] of parts) {
      const head = all.indexOf('\r\n\r\n') + 4
      expect(all.subarray(head, head + to - from).equals(bytes.subarray(from, to))).toBe(true)
      all = all.subarray(head + to - from)
    }
    expect(all.length).toBe(0)
    socket.destroy()
  })
  test('a client that reads nothing is given up, and cut off', async () => {
    await start(300)
    const socket = await connection(server.port, getting('/'))
    const closed = new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
    await until(() => server.outcomes.length === 1)
    expect(server.outcomes[0]).toMatchObject({ failure: 'the client took nothing for 0.3 s' })
    expect(server.outcomes[0]!.bytes).toBeLessThan(bytes.length)
    socket.resume()
    await closed
  })
  test('a client that leaves in the middle leaves nothing behind', async () => {
    await start()
    await fetched('0-1')
    const before = descriptors()
    for (let round = 1; round <= 20; round++) {
      const socket = await connection(server.port, getting('/'))
      socket.once('data', () => { socket.resetAndDestroy() }).resume()
      await until(() => server.outcomes.length === round + 1)
      expect(server.outcomes.at(-1)).toMatchObject({ failure: 'the client closed the connection' })
    }
    await until(() => descriptors() <= before)
  })
  test('clients that leave never cost another client a byte', async () => {
    await start()
    const leaving = Array.from({ length: 40 }, async (_, index) => {
      const socket = await connection(server.port, getting('/'))
      let got = 0
      await new Promise<void>(resolve => { socket.on('data', chunk => { got += chunk.length; if (got > index * 150_000) socket.destroy() }).once('close', () => { resolve() }).resume() })
    })
    const staying = Array.from({ length: 8 }, () => fetched())
    await Promise.all(leaving)
    for (const one of await Promise.all(staying)) expect(one.equals(bytes)).toBe(true)
  })
  test('a file that is cut short under way never looks whole', async () => {
    const short = join(disk.path, 'short')
    await writeFile(short, bytes)
    server = await serveFile(short, { calls: await ways() })
    const socket = await connection(server.port, getting('/'))
    let got = 0
    await new Promise<void>(resolve => { socket.once('readable', () => { resolve() }) })
    await truncate(short, 100_000)
    await new Promise<void>(resolve => { socket.on('data', chunk => { got += chunk.length }).once('close', () => { resolve() }).resume() })
    await until(() => server.outcomes.length === 1)
    expect(server.outcomes[0]?.failure).toMatch(/^the file ends at byte \d+$/)
    expect(got).toBeLessThan(bytes.length)
  })
})

describe('whatever the system says', () => {
  const fake = (answer: (count: number) => number): Calls & { readonly open: Set<number>, readonly asked: number[] } => {
    const [open, asked] = [new Set<number>(), [] as number[]]
    return { open, asked, sendfile: async (_socket, _file, _offset, count) => { asked.push(count); return answer(count) }, duplicate: () => { open.add(99_999); return 99_999 }, close: fd => { open.delete(fd) } }
  }
  test('a sendfile that never takes a byte leaves it all to the plain way', async () => {
    const calls = fake(() => -1)
    server = await serveFile(path, { calls })
    expect((await fetched()).equals(bytes)).toBe(true)
    expect(calls.asked.length).toBeGreaterThan(100)
    expect(calls.open.size).toBe(0)
  })
  test('no second descriptor: the plain way', async () => {
    const calls = { ...fake(() => -1), duplicate: () => -1 }
    server = await serveFile(path, { calls })
    expect((await fetched()).equals(bytes)).toBe(true)
    expect(calls.asked).toEqual([])
  })
  test('a small file is not worth one', async () => {
    const calls = fake(() => -1)
    server = await serveFile(path, { calls })
    expect((await fetched('0-65535')).equals(bytes.subarray(0, 65_536))).toBe(true)
    expect(calls.asked).toEqual([])
  })
  test('a file that cannot be read costs its own connection, and is named', async () => {
    server = await serveFile(disk.path, { calls: undefined })
    await expect(fetched('0-9')).rejects.toThrow()
    await until(() => server.outcomes.length === 1)
    expect(server.outcomes[0]?.failure).toContain('EISDIR')
  })
  test.runIf(process.platform === 'linux')('this system has the calls', async () => {
    server = await serveFile(path, { calls: undefined })
    expect(await systemCalls()).toBeDefined()
  })
})
