/** Waiting for a descriptor with Node's own loop: what comes, room that comes, errors, and promises that are settled by it. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { readdirSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { systemPoll } from '../../core/poll.ts'
import type { Poll, Watch } from '../../core/poll.ts'
import { systemCalls } from '../../plugins/boot/tftp/system.ts'
import type { System } from '../../plugins/boot/tftp/system.ts'
import { until } from '../kit/wait.ts'

const [poll, system] = await Promise.all([systemPoll(), systemCalls()]) as [Poll, System]
let closing: (() => void)[] = []
afterEach(() => { for (const close of closing.splice(0)) close() })

/** A descriptor connected to a socket of Node's. */
async function pair (): Promise<{ readonly fd: number, readonly other: Socket, readonly say: (text: string) => void }> {
  const other = createSocket('udp4')
  await new Promise<void>(resolve => { other.bind(0, '127.0.0.1', resolve) })
  const fd = system.bound('127.0.0.1')
  expect(system.connect(fd, { address: '127.0.0.1', port: other.address().port })).toBe(0)
  const from = Promise.withResolvers<number>()
  other.once('message', (_bytes, { port }) => { from.resolve(port) })
  const layout = system.layout()
  const hello = Buffer.from('hello')
  layout.vectors.set([system.addressOf(hello) % 0x1_0000_0000, system.addressOf(hello) / 0x1_0000_0000, 5, 0])
  expect(system.send(fd, layout, 1, 0)).toBe(0)
  const port = await from.promise
  closing.push(() => { system.close(fd) })
  return { fd, other, say: text => { other.send(text, port, '127.0.0.1') } }
}
const watched = (watch: Watch): Watch => { closing.unshift(() => { watch.close() }); return watch }

test('tells of what has come, again while it is there, and no more once it was taken', async () => {
  const { fd, other, say } = await pair()
  const bytes = Buffer.alloc(100)
  let [calls, taking] = [0, false]
  watched(poll(fd, true, false, () => { calls++; if (taking) system.receive(fd, bytes) }))
  say('one')
  await until(() => calls > 3)
  taking = true
  await until(() => system.receive(fd, bytes) === -11)
  const before = calls
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  expect(calls).toBe(before)
  other.close()
})

test('tells of room only while that is wanted', async () => {
  const { fd, other } = await pair()
  let calls = 0
  const watch = watched(poll(fd, false, false, () => { calls++; watch.want(false, false) }))
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  expect(calls).toBe(0)
  watch.want(false, true)
  await until(() => calls === 1)
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  expect(calls).toBe(1)
  other.close()
})

test('goes on after an error of the descriptor', async () => {
  const { fd, other } = await pair()
  const { port } = other.address()
  await new Promise<void>(resolve => { other.close(resolve) })
  const bytes = Buffer.alloc(100)
  const heard: number[] = []
  watched(poll(fd, true, false, () => { heard.push(system.receive(fd, bytes)) }))
  const layout = system.layout()
  const byte = Buffer.from('x')
  layout.vectors.set([system.addressOf(byte) % 0x1_0000_0000, system.addressOf(byte) / 0x1_0000_0000, 1, 0])
  system.send(fd, layout, 1, 0)
  await until(() => heard.includes(-111)) // ECONNREFUSED
  const again = createSocket('udp4')
  await new Promise<void>(resolve => { again.bind(port, '127.0.0.1', resolve) })
  again.once('message', (_bytes, from) => { again.send('back', from.port, '127.0.0.1') })
  system.send(fd, layout, 1, 0)
  await until(() => heard.includes(4))
  again.close()
})

test('a promise that is resolved by the call settles without anything else happening', async () => {
  const { fd, other, say } = await pair()
  const heard = Promise.withResolvers<void>()
  watched(poll(fd, true, false, () => { system.receive(fd, Buffer.alloc(10)); heard.resolve() }))
  say('x')
  await heard.promise
  other.close()
})

test('nothing is told once it is closed, and closing leaves no descriptor', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length
  const before = open()
  const { fd, other, say } = await pair()
  let calls = 0
  const watch = poll(fd, true, false, () => { calls++ })
  watch.close()
  watch.close()
  watch.want(true, true)
  say('x')
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  expect(calls).toBe(0)
  for (const close of closing.splice(0)) close()
  await new Promise<void>(resolve => { other.close(resolve) })
  expect(open()).toBe(before)
})
