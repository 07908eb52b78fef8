/** The way to a client: whatever the system says to a train of blocks, the client hears each block once, whole and in order. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { openSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { systemCalls } from '../../../../plugins/boot/tftp/system.ts'
import type { System } from '../../../../plugins/boot/tftp/system.ts'
import { carriages, mostBytes, refusalOf } from '../../../../plugins/boot/tftp/train.ts'
import { openWire } from '../../../../plugins/boot/tftp/socket.ts'
import { until } from '../../../kit/wait.ts'

const real = await systemCalls() as System
const [EPERM, EIO, EAGAIN, EINVAL, EMSGSIZE, ECONNREFUSED] = [1, 5, 11, 22, 90, 111]
let closing: (() => Promise<unknown>)[] = []
afterEach(async () => { for (const close of closing.splice(0).reverse()) await close() })

/** A client's socket that keeps what it hears. */
async function client (address = '127.0.0.1') {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 })
  const heard: Buffer[] = []
  const from = new Set<number>()
  socket.on('message', (bytes, { port }) => { heard.push(Buffer.from(bytes)); from.add(port) })
  await new Promise<void>(resolve => { socket.bind(0, address, resolve) })
  let open = true
  const close = async (): Promise<void> => { if (open) await new Promise<void>(resolve => { open = false; socket.close(resolve) }) }
  closing.push(close)
  return { socket, heard, from, close, remote: { address, port: socket.address().port } }
}
async function connected (system: System | null | undefined, local = '127.0.0.1') {
  const other = await client(local)
  const events: string[] = []
  const wire = await openWire(local, other.remote, { received: bytes => { events.push(bytes.toString('latin1')) }, gone: () => { events.push('gone') }, failed: error => { events.push(error.message) } }, system)
  closing.push(wire.close)
  return { ...other, events, wire }
}
/** Says no, with these errnos, to the calls that come; a number on its own is said to every message of several blocks. */
function refusing (answers: readonly number[] | number): System & { readonly sent: number[] } {
  const sent: number[] = []
  const left = typeof answers === 'number' ? [] : [...answers]
  return {
    ...real, sent,
    send (fd, layout, count, segment) {
      const errno = typeof answers === 'number' ? (segment > 0 ? answers : 0) : left.shift() ?? 0
      if (errno !== 0) return errno
      sent.push(segment)
      return real.send(fd, layout, count, segment)
    }
  }
}
const blocksOf = (bytes: Buffer, first: number, count: number, blockSize: number): Buffer[] => Array.from({ length: count }, (_, index) => {
  const number = first + index & 0xffff
  return Buffer.concat([Buffer.from([0, 3, number >> 8, number & 255]), bytes.subarray(index * blockSize, (index + 1) * blockSize)])
})
/** The same bytes in parts cut at these places. */
const cut = (bytes: Buffer, places: readonly number[]): Uint8Array[] => [0, ...places.map(place => Math.min(place, bytes.length)).sort((a, b) => a - b)].map((from, index, all) => bytes.subarray(from, all[index + 1] ?? bytes.length))

describe.each([['with the system\'s own calls', undefined], ['the plain way', null]] as const)('%s', (_name, system) => {
  test.each(['127.0.0.1', '::1'])('blocks of any size, cut from memory in any way, arrive as they are at %s', async address => {
    const { wire, heard, from } = await connected(system, address)
    await fc.assert(fc.asyncProperty(
      fc.integer({ min: 8, max: 3_000 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 0, max: 2_999 }), fc.integer({ min: 1, max: 200_000 }), fc.array(fc.nat(100_000), { maxLength: 4 }),
      async (blockSize, count, short, first, places) => {
        heard.length = 0
        const bytes = randomBytes(Math.max(0, count * blockSize - (short % (blockSize + 1))))
        const blocks = Math.max(1, short % (blockSize + 1) === blockSize ? count - 1 : count) // as many as the bytes need
        wire.blocks(first, blocks, blockSize, cut(bytes, places))
        await until(() => heard.length === blocks, { timeout: 5_000 })
        expect(Buffer.concat(heard).equals(Buffer.concat(blocksOf(bytes, first, blocks, blockSize)))).toBe(true)
      }), { numRuns: 25 })
    expect(from.size).toBe(1)
  })
  test('the empty block that ends a file of whole blocks is sent', async () => {
    const { wire, heard } = await connected(system)
    const bytes = randomBytes(1024)
    wire.blocks(7, 3, 512, [bytes])
    await until(() => heard.length === 3)
    expect(heard.map(({ length }) => length)).toEqual([516, 516, 4])
  })
  test('blocks of 65,464 bytes too', async () => {
    const { wire, heard } = await connected(system)
    const bytes = randomBytes(65_464 * 3)
    wire.blocks(1, 3, 65_464, cut(bytes, [70_000]))
    await until(() => heard.length === 3)
    expect(Buffer.concat(heard).equals(Buffer.concat(blocksOf(bytes, 1, 3, 65_464)))).toBe(true)
  })
  test('content that comes in thousands of crumbs', async () => {
    const { wire, heard } = await connected(system)
    const bytes = randomBytes(5_000)
    wire.blocks(1, 10, 512, cut(bytes, Array.from({ length: 4_999 }, (_, index) => index + 1)))
    await until(() => heard.length === 10)
    expect(Buffer.concat(heard).equals(Buffer.concat(blocksOf(bytes, 1, 10, 512)))).toBe(true)
  })
  test('what the client says is heard, what strangers say is not', async () => {
    const { wire, heard, from, socket, events } = await connected(system)
    wire.packet(Buffer.from('hello'))
    await until(() => heard.length === 1)
    const [port] = [...from]
    const stranger = await client()
    stranger.socket.send('stranger', port, '127.0.0.1')
    socket.send('client', port, '127.0.0.1')
    await until(() => events.length > 0)
    expect(events).toEqual(['client'])
  })
  test('a client that closed its port is noticed', async () => {
    const { wire, close, events } = await connected(system)
    await close()
    wire.blocks(1, 1, 512, [randomBytes(10)])
    await until(() => events.includes('gone'))
    wire.blocks(2, 16, 512, [randomBytes(16 * 512)])
  })
})

test('the last word of a client that closed its port is heard before that it did', async () => {
  const said: (Buffer | number)[] = [-ECONNREFUSED, Buffer.from('last')]
  const system: System = {
    ...real,
    receive (fd, bytes) {
      const next = said.shift()
      if (next === undefined) return real.receive(fd, bytes)
      return typeof next === 'number' ? next : next.copy(bytes)
    }
  }
  const { wire, socket, events, heard, from } = await connected(system)
  wire.packet(Buffer.from('hello'))
  await until(() => heard.length === 1)
  socket.send('x', [...from][0], '127.0.0.1')
  await until(() => events.includes('gone'))
  expect(events).toEqual(['last', 'x', 'gone'])
})

describe('trains', () => {
  test.each([[1468, 44], [512, 64], [8, 64], [1024, 63], [8192, 7], [32_749, 2], [32_750, 1], [65_464, 1]])('of blocks of %i bytes have %i', (blockSize, most) => {
    expect(carriages(blockSize)).toBe(most)
    expect(most * (blockSize + 4)).toBeLessThanOrEqual(mostBytes)
  })
  test('a window is one call', async () => {
    const system = refusing([])
    const { wire, heard } = await connected(system)
    wire.blocks(1, 16, 1468, [randomBytes(16 * 1468)])
    await until(() => heard.length === 16)
    expect(system.sent).toEqual([1472])
  })
  test.each([['EMSGSIZE', EMSGSIZE], ['EINVAL', EINVAL], ['EIO', EIO]])('refused with %s: the blocks go one by one, then and ever after', async (_name, errno) => {
    const system = refusing(errno)
    const { wire, heard } = await connected(system)
    const bytes = randomBytes(16 * 1468)
    wire.blocks(1, 16, 1468, [bytes])
    wire.blocks(17, 2, 1468, [bytes])
    await until(() => heard.length === 18)
    expect(Buffer.concat(heard.slice(0, 16)).equals(Buffer.concat(blocksOf(bytes, 1, 16, 1468)))).toBe(true)
    expect(system.sent).toEqual(Array.from({ length: 18 }, () => 0))
  })
  test('a kernel that does not know them is not asked', async () => {
    const system = { ...refusing([]), segments: () => false }
    const { wire, heard } = await connected(system)
    wire.blocks(1, 5, 512, [randomBytes(2_560)])
    await until(() => heard.length === 5)
    expect(system.sent).toEqual([0, 0, 0, 0, 0])
  })
  test('no room for the second half of a window: it waits, and nothing overtakes it', async () => {
    const system = refusing([0, EAGAIN, EAGAIN])
    const { wire, heard } = await connected(system)
    const bytes = randomBytes(64 * 1468)
    wire.blocks(1, 64, 1468, cut(bytes, [5_000, 80_000]))
    wire.blocks(65, 1, 1468, [bytes])
    await until(() => heard.length === 65)
    expect(Buffer.concat(heard).equals(Buffer.concat([...blocksOf(bytes, 1, 64, 1468), ...blocksOf(bytes, 65, 1, 1468)]))).toBe(true)
  })
  test('a firewall\'s refusal is a lost message, not a failure', async () => {
    const { wire, heard, events } = await connected(refusing([EPERM]))
    wire.blocks(1, 16, 1468, [randomBytes(16 * 1468)])
    wire.blocks(17, 16, 1468, [randomBytes(16 * 1468)])
    await until(() => heard.length === 16)
    expect([heard[0]?.readUInt16BE(2), events]).toEqual([17, []])
  })
  test('refused because the client has gone', async () => {
    const { wire, events } = await connected(refusing([ECONNREFUSED]))
    wire.blocks(1, 16, 1468, [randomBytes(16 * 1468)])
    await until(() => events.length > 0)
    expect(events).toEqual(['gone'])
  })
  test.each([[EMSGSIZE, 2, 'trains'], [EMSGSIZE, 1, 'lost'], [EAGAIN, 5, 'full'], [105, 1, 'full'], [ECONNREFUSED, 1, 'gone'], [EPERM, 9, 'lost'], [101, 9, 'lost'], [95, 3, 'trains']])('errno %i of %i blocks: %s', (errno, count, refusal) => { expect(refusalOf(errno, count)).toBe(refusal) })
})

test('a descriptor the socket cannot take is closed', async () => {
  const open = async () => (await readdir('/proc/self/fd')).length
  const folder = openSync('/', 'r') // no socket
  const before = await open()
  await expect(openWire('127.0.0.1', { address: '127.0.0.1', port: 9 }, { received: () => {}, gone: () => {}, failed: () => {} }, { ...real, bound: () => folder })).rejects.toThrow()
  expect(await open()).toBe(before - 1)
})

test('an address that is not here cannot be sent from, and nothing is left open', async () => {
  const open = async () => (await readdir('/proc/self/fd')).length
  const before = await open()
  for (const system of [undefined, null]) await expect(openWire('192.0.2.1', { address: '127.0.0.1', port: 9 }, { received: () => {}, gone: () => {}, failed: () => {} }, system)).rejects.toMatchObject({})
  expect(await open()).toBeLessThanOrEqual(before)
})
