/** An initrd with a root beside it, over real HTTP: how long it is, how many are sent at once, and clients that take nothing. */
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createApp } from '../../../../core/http/app.ts'
import { systemClock } from '../../../../core/clock.ts'
import { createAnswers } from '../../../../plugins/boot/firmware/answers.ts'
import { createRequestHook } from '../../../../plugins/boot/firmware/hook.ts'
import { createLoaders } from '../../../../plugins/boot/firmware/loaders.ts'
import { createSender } from '../../../../plugins/boot/http/files.ts'
import { bootRoutes } from '../../../../plugins/boot/http/routes.ts'
import { systemCalls } from '../../../../plugins/boot/http/sendfile.ts'
import type { Answered, RouteOptions } from '../../../../plugins/boot/http/routes.ts'
import { createWanted } from '../../../../plugins/boot/rack/wanted.ts'
import { quiet } from '../../../kit/parts.ts'
import { until } from '../../../kit/wait.ts'
import { fakeFiles } from '../fakes.ts'
import { folder } from '../rig.ts'
import { connection, getting } from './rig.ts'

const [kernel, initrd, root] = ['1', '2', '3'].map(digit => digit.repeat(64)) as [string, string, string]
const size = { kernel: 5, initrd: 3001, root: 32 << 20 }
const path = `/boot/initrd/${initrd}/${root}/initrd.img`
let disk: Awaited<ReturnType<typeof folder>>
let app: FastifyInstance
let files: ReturnType<typeof fakeFiles>
let served: Answered[]
let port: number
beforeAll(async () => { disk = await folder({ kernel: Buffer.from('hello'), initrd: Buffer.alloc(size.initrd, 'i'), root: Buffer.alloc(size.root, 'r') }) })
afterAll(() => disk.remove())
afterEach(async () => { app.server.closeAllConnections(); await app.close() })

async function serve (options: Partial<RouteOptions> = {}, here: Record<string, string> = { [kernel]: join(disk.path, 'kernel'), [initrd]: join(disk.path, 'initrd'), [root]: join(disk.path, 'root') }): Promise<void> {
  served = []
  files = fakeFiles(here)
  const [wanted, loaders] = [createWanted(), createLoaders([disk.path])]
  wanted.apply({ put: [{ kind: 'unknown', id: 'amd64', value: { kernel: { sha256: kernel, size: size.kernel }, initrd: { sha256: initrd, size: size.initrd }, root: { sha256: root, size: size.root }, options: '', way: 'initrd' } }], remove: [] }, true)
  const answers = createAnswers({ wanted, files: files.store, loaders, console: '', iscsiPort: () => 3260, httpPort: 80, firmwareOf: () => null, request: createRequestHook({ clock: systemClock, failed: () => {} }) })
  app = createApp(quiet)
  await app.register(bootRoutes({ wanted, files: files.store, loaders, answers, clock: systemClock, served: what => { served.push(what) }, ...options }), { prefix: '/boot' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  port = (app.server.address() as AddressInfo).port
}
const get = (what: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${what}`, { method })

test('it is told how long it is while its files are still on their way, and they are fetched meanwhile', async () => {
  await serve({}, {})
  const response = await get(path, 'HEAD')
  expect(response.status).toBe(200)
  expect(files.asked.sort()).toEqual([initrd, root])
  for (const [sha256, name] of [[initrd, 'initrd'], [root, 'root']] as const) files.arrive(sha256, join(disk.path, name))
  const body = Buffer.from(await (await get(path)).arrayBuffer())
  expect(response.headers.get('content-length')).toBe(String(body.length))
  expect(body.subarray(0, size.initrd).equals(await readFile(join(disk.path, 'initrd')))).toBe(true)
  expect((await get(path.replace(root, kernel), 'HEAD')).status).toBe(404)
})

test('it has a place among the bodies on their way, and takes none that others have', async () => {
  await serve({ sender: createSender({ calls: systemCalls, most: 2 }) })
  const first = await connection(port, getting(path))
  const second = await connection(port, getting(path))
  await until(async () => (await get(path)).status === 503)
  expect((await get(`/boot/files/${kernel}/vmlinuz`)).status).toBe(503)
  first.destroy()
  await until(async () => (await get(`/boot/files/${kernel}/vmlinuz`)).status === 200)
  second.destroy()
  await until(() => served.filter(({ failure }) => failure === 'the client closed the connection').length === 2)
})

test('requests for it that come at once on one connection take one place', async () => {
  const sender = createSender({ calls: systemCalls })
  await serve({ sender })
  const client = await connection(port, getting(path).repeat(20))
  await until(() => sender.sending === 1)
  expect((await get(`/boot/files/${kernel}/vmlinuz`)).status).toBe(200)
  await until(() => sender.sending === 1)
  client.destroy()
  await until(() => sender.sending === 0)
})

test('a client that takes nothing of it is given up and its connection cut', async () => {
  await serve({ sender: createSender({ calls: systemCalls, patience: 200 }) })
  const client = await connection(port, getting(path))
  await until(() => served.length === 1)
  expect(served[0]).toMatchObject({ what: path.replace('/boot', ''), failure: 'the client took nothing for 0.2 s' })
  expect(served[0]!.bytes).toBeLessThan(size.root)
  const closed = new Promise(resolve => { client.once('close', resolve) })
  client.resume()
  await closed
})

test('a file that is shorter than it should be cuts the connection: nothing else tells that the answer is not whole', async () => {
  await serve({}, { [initrd]: join(disk.path, 'initrd'), [root]: join(disk.path, 'kernel') })
  await expect((await get(path)).arrayBuffer()).rejects.toThrow()
  await until(() => served.length === 1)
  expect(served[0]?.failure).toBe('it ended early')
})
