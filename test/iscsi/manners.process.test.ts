/** Initiators without manners: silent ones, slow ones, half-open ones, very many. The others are served meanwhile. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openFile } from '../../iscsi/disk/file.ts'
import { serve } from '../../iscsi/server.ts'
import type { ServerOptions, TargetServer } from '../../iscsi/server.ts'
import { scratch } from '../kit/scratch.ts'
import { onceEvent, until } from '../kit/wait.ts'
import { header, openInitiator } from './initiator.ts'
import type { Initiator } from './initiator.ts'

const disk = 'iqn.2030-01.org.example:disk'
const name = (who: string): string => `iqn.2030-01.org.example:${who}`
const folder = mkdtempSync(join(scratch(), 'bedplate-manners-'))
const file = join(folder, 'disk')
const content = Buffer.from(Array.from({ length: 16 << 20 }, (_, at) => (at >> 9) * 31 + at & 255))
beforeAll(() => { writeFileSync(file, content) })
afterAll(() => { rmSync(folder, { recursive: true }) })

const ending: (() => unknown)[] = []
afterEach(async () => { for (const end of ending.splice(0).reverse()) await end() })
const ended: string[] = []
async function target (options: Partial<ServerOptions> = {}): Promise<{ readonly server: TargetServer, readonly port: number }> {
  ended.length = 0
  const server = await serve({ portals: [{ host: '127.0.0.1', port: 0 }], log: (_, { why }) => { if (typeof why === 'string') ended.push(why) }, ...options })
  ending.push(() => server.close())
  server.offer([{ name: disk, units: new Map([[1, { open: () => openFile(file, { readOnly: true }), shared: true, readOnly: true, blockLength: 512, serial: 'one', thin: false }], [2, { open: () => openFile(file, { readOnly: false }), shared: true, readOnly: false, blockLength: 512, serial: 'two', thin: false }]]) }])
  return { server, port: server.addresses[0]?.port ?? 0 }
}
async function login (port: number, who = 'me', keys: [string, string][] = []): Promise<Initiator> {
  const initiator = await openInitiator(port)
  ending.push(() => { initiator.close() })
  await initiator.login([['InitiatorName', name(who)], ['TargetName', disk], ...keys])
  return initiator
}
async function stranger (port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  ending.push(() => { socket.destroy() })
  socket.on('error', () => {})
  await onceEvent(socket, 'connect')
  return socket
}
const closed = (socket: Socket): Promise<unknown> => { socket.resume(); return socket.closed ? Promise.resolve() : onceEvent(socket, 'close') }
const ready = '000000000000'
const read10 = (block: number, count: number): string => `2800${block.toString(16).padStart(8, '0')}00${count.toString(16).padStart(4, '0')}00`

describe('an initiator that is slow to read', () => {
  it('gets every byte in the end, in order, and its later commands after that', async () => {
    const { port } = await target()
    const initiator = await login(port, 'slow', [['MaxRecvDataSegmentLength', '65536']])
    initiator.socket.pause()
    const counts = [32_768, 8192, 1, 32_767]
    const tasks = counts.map(count => initiator.start(read10(0, count), { read: count * 512 }))
    tasks.push(initiator.start(ready))
    const other = await login(port, 'other')
    expect(await other.command(ready)).toMatchObject({ status: 0 })
    initiator.socket.resume()
    for (const [index, count] of counts.entries()) {
      const { status, data } = await initiator.finish(tasks[index] ?? 0)
      expect([status, data.equals(content.subarray(0, count * 512))]).toEqual([0, true])
    }
    expect(await initiator.finish(tasks.at(-1) ?? 0)).toMatchObject({ status: 0 })
  })
  it('has no more made ready for it than a few MiB', async () => {
    const { port } = await target()
    const before = process.memoryUsage().rss
    for (let who = 0; who < 8; who++) {
      const initiator = await login(port, `slow-${who}`, [['MaxRecvDataSegmentLength', '262144']])
      initiator.socket.pause()
      for (let task = 0; task < 100; task++) initiator.start(read10(0, 32_768), { read: 16 << 20 }) // 12 GiB in all
    }
    for (let round = 0; round < 5; round++) expect(await (await login(port, `other-${round}`)).command(ready)).toMatchObject({ status: 0 })
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(200)
  })
  it('is given up when it never reads', async () => {
    const { server, port } = await target({ quiet: 200 })
    const initiator = await login(port, 'never')
    initiator.socket.pause()
    for (let task = 0; task < 4; task++) initiator.start(read10(0, 32_768), { read: 16 << 20 })
    await until(() => server.sessions === 0, { timeout: 5000, what: 'the end of its session' })
    expect(ended).toContain('the initiator does not read what it is sent')
  })
  const resetBy = async (one: Initiator, lun: number): Promise<void> => {
    const reset = header(0x42, 0x80 | 5, { 16: 0x5000, 20: 0xffffffff, 24: one.cmdSN })
    reset[9] = lun
    one.send(reset)
    expect(await one.next()).toMatchObject({ opcode: 0x22 })
  }
  it('hears nothing more of what it read once another has reset the unit', async () => {
    const { port } = await target()
    const [slow, other] = [await login(port, 'slow', [['MaxRecvDataSegmentLength', '65536']]), await login(port, 'other')]
    slow.socket.pause()
    slow.start(read10(0, 32_768), { read: 16 << 20, lun: 2 })
    await until(() => slow.socket.bytesWritten > 48, { what: 'the command to be sent' })
    expect(await other.command(ready, { lun: 2 })).toMatchObject({ status: 0 })
    await resetBy(other, 2)
    const after = slow.start(ready, { lun: 2 })
    slow.socket.resume()
    let got = 0
    for (;;) {
      const one = await slow.next()
      if (one.header.readUInt32BE(16) === after) { expect(one).toMatchObject({ opcode: 0x21 }); break }
      expect([one.opcode, one.flags & 1]).toEqual([0x25, 0]) // never its end
      got += one.data.length
    }
    expect(got).toBeLessThan(16 << 20)
    expect((await slow.command(read10(5, 1), { read: 512, lun: 2 })).data).toEqual(content.subarray(5 * 512, 6 * 512))
  })
  it('of a unit that cannot be written is not disturbed by the resets of others', async () => {
    const { port } = await target()
    const [slow, other] = [await login(port, 'slow', [['MaxRecvDataSegmentLength', '65536']]), await login(port, 'other')]
    slow.socket.pause()
    const task = slow.start(read10(0, 32_768), { read: 16 << 20 })
    await resetBy(other, 1)
    slow.socket.resume()
    expect((await slow.finish(task)).data.equals(content)).toBe(true)
    expect(await slow.command(ready)).toMatchObject({ status: 0 })
    expect(await other.command(ready)).toMatchObject({ status: 2, sense: '6 2903' })
  })
})

describe('an initiator that is silent', () => {
  it('is asked whether it is there, and stays while it answers', async () => {
    const { server, port } = await target({ quiet: 60 })
    const initiator = await login(port)
    for (let round = 0; round < 3; round++) {
      const asked = await initiator.next()
      expect([asked.opcode, asked.header.readUInt32BE(16)]).toEqual([0x20, 0xffffffff])
      initiator.send(header(0x40, 0x80, { 16: 0xffffffff, 20: asked.header.readUInt32BE(20), 24: initiator.cmdSN }))
    }
    expect(await initiator.command(ready)).toMatchObject({ status: 0 })
    expect(server.sessions).toBe(1)
  })
  it('and does not answer is given up', async () => {
    const { server, port } = await target({ quiet: 60 })
    const initiator = await login(port)
    await initiator.ended
    expect(ended).toContain('the initiator does not answer')
    expect(server.sessions).toBe(0)
  })
})

describe('a connection without a login', () => {
  it('is closed after a while, also when it says a little now and then', async () => {
    const { server, port } = await target({ loginPatience: 150 })
    const [mute, dripping] = [await stranger(port), await stranger(port)]
    const drip = setInterval(() => { dripping.write(Buffer.of(0x43)) }, 20)
    ending.push(() => { clearInterval(drip) })
    await Promise.all([closed(mute), closed(dripping)])
    await until(() => server.connections === 0, { timeout: 5000, what: 'the end of both' })
  })
  it('is closed when its negotiation goes on and on', async () => {
    const { port } = await target()
    const initiator = await openInitiator(port)
    await initiator.negotiate([['InitiatorName', name('me')], ['TargetName', disk]], { stage: 1 })
    let steps = 0
    await expect((async () => { for (;; steps++) await initiator.negotiate([], { stage: 1 }) })()).rejects.toThrow('200')
    expect(steps).toBe(31)
    await initiator.ended
  })
  it('is held to short texts', async () => {
    const { port } = await target()
    const initiator = await openInitiator(port)
    const long = header(0x43, 0x87, { 16: 1 })
    initiator.send(long, Buffer.alloc(8193, 'A'))
    await initiator.ended
    expect(ended).toContain('a data segment of 8193 bytes; 8192 is the most')
  })
  it('makes room for others when there are many, the oldest first, and sessions are left alone', async () => {
    const { server, port } = await target({ mostStrangers: 8 })
    const session = await login(port)
    const first = await stranger(port)
    for (let one = 0; one < 60; one++) await stranger(port)
    await closed(first)
    expect(await session.command(ready)).toMatchObject({ status: 0 })
    expect(await (await login(port, 'other')).command(ready)).toMatchObject({ status: 0 })
    await until(() => server.connections <= 10, { timeout: 5000, what: 'the end of all but a few' })
  })
  it('beyond the most there may be is closed at once, while all others are sessions', async () => {
    const { port } = await target({ most: 3 })
    const sessions = await Promise.all(['a', 'b', 'c'].map(who => login(port, who)))
    await closed(await stranger(port))
    for (const session of sessions) expect(await session.command(ready)).toMatchObject({ status: 0 })
  })
})

describe('a session', () => {
  it('takes no second connection', async () => {
    const { port } = await target()
    const session = await openInitiator(port)
    const head = header(0x43, 0x87, { 16: 1, 24: 1 })
    head.write('400001370000', 8, 'hex')
    session.send(head, Buffer.from(`InitiatorName=${name('me')}\0TargetName=${disk}\0MaxConnections=4\0`))
    const reply = await session.next()
    expect(reply.data.toString()).toContain('MaxConnections=1\0')
    const second = await openInitiator(port)
    await expect(second.negotiate([['InitiatorName', name('me')], ['TargetName', disk]], { stage: 1, next: 3, tsih: reply.header.readUInt16BE(14) })).rejects.toThrow('206')
    const strange = await openInitiator(port)
    await expect(strange.negotiate([['InitiatorName', name('me')], ['TargetName', disk]], { stage: 1, next: 3, tsih: 0x7777 })).rejects.toThrow('20a')
    session.cmdSN = 1
    expect(await session.command(ready)).toMatchObject({ status: 0 })
    for (const one of [session, second, strange]) one.close()
  })
  it('that floods with commands ahead of their turn is held to a MiB of them, and goes on', async () => {
    const { port } = await target()
    const initiator = await login(port)
    for (let ahead = 100; ahead > 1; ahead--) initiator.start(ready, { write: Buffer.alloc(65_536), cmdSN: initiator.cmdSN + ahead })
    expect(await initiator.command(ready)).toMatchObject({ status: 0 })
  })
})

describe('commands that wait for their data', () => {
  const select = '151000000100' // MODE SELECT of one byte, which also what cannot be written takes
  const begin = (initiator: Initiator, itt: number, immediate: boolean): void => {
    const head = header(immediate ? 0x41 : 0x01, 0xa0, { 16: itt, 20: 1, 24: immediate ? initiator.cmdSN : initiator.cmdSN++ })
    head[9] = 1
    Buffer.from(select, 'hex').copy(head, 32)
    initiator.send(head)
  }
  it.each([['in their turn', false], ['as immediate ones', true]])('are 128 of a session, also when they come %s; more are told to come again', async (_, immediate) => {
    const { port } = await target()
    const initiator = await login(port)
    for (let itt = 1000; itt < 1300; itt++) begin(initiator, itt, immediate)
    const asked: { readonly itt: number, readonly ttt: number }[] = []
    let full = 0
    for (let one = 0; one < 300; one++) {
      const { opcode, header: head } = await initiator.next()
      if (opcode === 0x31) asked.push({ itt: head.readUInt32BE(16), ttt: head.readUInt32BE(20) })
      else if (opcode === 0x21 && head[3] === 0x28) full++
    }
    expect([asked.length, full]).toEqual([128, 172])
    const [first] = asked
    initiator.send(header(0x05, 0x80, { 16: first?.itt ?? 0, 20: first?.ttt ?? 0 }), Buffer.alloc(1))
    expect((await initiator.next()).header.readUInt32BE(16)).toBe(first?.itt) // whatever it is answered, it has made room
    begin(initiator, 2000, immediate)
    expect((await initiator.next()).opcode).toBe(0x31)
  })
})

it('a thousand sessions and as many half-open connections cost little, and a command is answered among them', async () => {
  const { server, port } = await target({ mostStrangers: 1000 })
  const before = process.memoryUsage().rss
  for (let batch = 0; batch < 20; batch++) await Promise.all(Array.from({ length: 50 }, async (_, one) => { await login(port, `many-${batch}-${one}`); (await stranger(port)).write(Buffer.alloc(47)) }))
  expect(server.sessions).toBe(1000)
  const last = await login(port, 'last')
  expect((await last.command(read10(0, 8), { read: 4096 })).data).toEqual(content.subarray(0, 4096))
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(150) // of both ends: this test's and the target's
})
