/** Thousands of connections that do not behave, held by another process, while machines boot. Measures its own process. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { until } from '../../../kit/wait.ts'
import { fakeFiles } from '../fakes.ts'
import { folder, rackHalf } from '../rig.ts'
import type { Crowd } from './crowd.ts'

const [big, small] = ['c'.repeat(64), 'a'.repeat(64)]
const bytes = randomBytes(3_000_000)
let disk: Awaited<ReturnType<typeof folder>>
let rig: Awaited<ReturnType<typeof rackHalf>>
beforeAll(async () => { disk = await folder({ big: Buffer.alloc(64 << 20), small: bytes }) })
afterAll(() => disk.remove())
afterEach(() => rig.close())

const descriptors = (): number => readdirSync('/proc/self/fd').length
const fetched = async (): Promise<boolean> => Buffer.from(await (await fetch(`${rig.base}/boot/files/${small}/initrd.img`)).arrayBuffer()).equals(bytes)

async function crowd (order: Omit<Crowd, 'port' | 'path'>): Promise<{ leave(): Promise<void> }> {
  const child = fork(join(import.meta.dirname, 'crowd.ts'), { stdio: 'ignore' })
  child.send({ ...order, port: Number(new URL(rig.base).port), path: `/boot/files/${big}/root.squashfs` } satisfies Crowd)
  await once(child, 'message')
  return { async leave () { const gone = once(child, 'exit'); child.kill('SIGKILL'); await gone } }
}
const start = async (): Promise<void> => {
  rig = await rackHalf(fakeFiles({ [big]: join(disk.path, 'big'), [small]: join(disk.path, 'small') }).store, { loaderDirectory: disk.path })
  expect(await fetched()).toBe(true) // what is made once is made
}

test('three thousand that say nothing, or stop in the middle of a request, cost little memory, and machines boot on', async () => {
  await start()
  const [memory, open] = [process.memoryUsage().rss, descriptors()]
  const { leave } = await crowd({ silent: 2500, halfway: 500, stalled: 0 })
  await until(() => descriptors() >= open + 3000)
  expect(await fetched()).toBe(true)
  expect((process.memoryUsage().rss - memory) / 3000).toBeLessThan(64 * 1024)
  await leave()
  await until(() => descriptors() <= open + 4)
  expect(await fetched()).toBe(true)
})

test('eight hundred that ask for 64 MiB and read nothing hold no megabytes each, and machines boot on', async () => {
  await start()
  const [memory, open] = [process.memoryUsage().rss, descriptors()]
  const { leave } = await crowd({ silent: 0, halfway: 0, stalled: 800 })
  await until(() => descriptors() >= open + 800 * 2, { timeout: 60_000 }) // the connection, and its second descriptor
  for (let round = 0; round < 5; round++) expect(await fetched()).toBe(true)
  expect((process.memoryUsage().rss - memory) / 800).toBeLessThan(192 * 1024)
  await leave()
  await until(() => descriptors() <= open + 4)
  await until(() => rig.reports.filter(({ failure }) => failure === 'the client closed the connection').length === 800)
  expect(await fetched()).toBe(true)
})
