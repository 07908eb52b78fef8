/** The sender of files behind real routes: tags of loaders by their content, and how many are sent at once. */
import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createApp } from '../../../../core/http/app.ts'
import { createSender } from '../../../../plugins/boot/http/files.ts'
import { systemCalls } from '../../../../plugins/boot/http/sendfile.ts'
import { quiet } from '../../../kit/parts.ts'
import { until } from '../../../kit/wait.ts'
import { folder } from '../rig.ts'
import { connection, getting } from './rig.ts'

let disk: Awaited<ReturnType<typeof folder>>
let app: FastifyInstance
let port: number
beforeAll(async () => { disk = await folder({ big: Buffer.alloc(32 << 20), small: Buffer.from('small') }) })
afterAll(() => disk.remove())
afterEach(async () => { app.server.closeAllConnections(); await app.close() })

async function serve (most?: number) {
  const sender = createSender({ calls: systemCalls, ...most === undefined ? {} : { most } })
  app = createApp(quiet)
  app.get('/:name', (request, reply) => sender.send(request, reply, join(disk.path, (request.params as { name: string }).name)))
  await app.listen({ host: '127.0.0.1', port: 0 })
  port = (app.server.address() as AddressInfo).port
  return sender
}
const get = (name: string, headers: Record<string, string> = {}) => fetch(`http://127.0.0.1:${port}/${name}`, { headers })
const tag = (text: string): string => `"${createHash('sha256').update(text).digest('hex')}"`

test('a file that has no hash for a name is tagged by its content, and anew when that changes', async () => {
  await serve()
  const path = join(disk.path, 'loader')
  await writeFile(path, 'one')
  expect((await get('loader')).headers.get('etag')).toBe(tag('one'))
  expect((await get('loader', { 'if-none-match': tag('one') })).status).toBe(304)
  await writeFile(path, 'two')
  const changed = await get('loader', { 'if-none-match': tag('one') })
  expect([changed.status, changed.headers.get('etag'), await changed.text()]).toEqual([200, tag('two'), 'two'])
  expect((await get('loader', { 'if-match': tag('one') })).status).toBe(412)
  await rm(path)
  expect((await get('loader')).status).toBe(404)
})

test('more than may be sent at once is 503, and those that are keep their place; once one has left there is room', async () => {
  const sender = await serve(2)
  const [first, second] = [await connection(port, getting('/big')), await connection(port, getting('/big'))]
  await until(() => sender.sending === 2)
  const refused = await get('small')
  expect([refused.status, Number(refused.headers.get('retry-after')), (await refused.json() as { code: string }).code]).toEqual([503, expect.any(Number), 'UNAVAILABLE'])
  first.destroy()
  await until(() => sender.sending === 1)
  expect(await (await get('small')).text()).toBe('small')
  second.destroy()
  await until(() => sender.sending === 0)
})

test('requests that come at once on one connection wait for their turn, and hold nothing meanwhile', async () => {
  const sender = await serve()
  const one = await connection(port, getting('/big').repeat(300))
  await until(() => sender.sending === 1)
  expect((await get('small')).status).toBe(200)
  await until(() => sender.sending === 1)
  one.destroy()
  await until(() => sender.sending === 0)

  const two = await connection(port, getting('/small').repeat(3))
  let heard = ''
  two.on('data', chunk => { heard += String(chunk) }).resume()
  await until(() => heard.split('\r\n\r\nsmall').length === 4)
  two.destroy()
})
