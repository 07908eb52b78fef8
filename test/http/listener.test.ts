/** Listeners: the contract of a service, ports in use, sockets left behind, and IPv6 or not. */
import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { createApp } from '../../core/http/app.ts'
import { createListener } from '../../core/http/listener.ts'
import type { Listener, Where } from '../../core/http/listener.ts'
import { serviceConformance } from '../kit/conformance/service.ts'
import { quiet } from '../kit/parts.ts'

let app: FastifyInstance
let taken: ReturnType<typeof createServer>
beforeAll(async () => {
  app = createApp(quiet)
  app.get('/', async () => 'here')
  await app.ready()
  taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => { await app.close(); taken.close() })

const listener = (where: Where): Listener => createListener({ name: 'toy', app, where, log: quiet })
const busy = (): Where => ({ host: '127.0.0.1', port: (taken.address() as AddressInfo).port })
const signal = new AbortController().signal

serviceConformance('the HTTP listener', { make: () => ({ service: listener({ host: '127.0.0.1', port: 0 }) }), failing: () => ({ service: listener(busy()) }) })
serviceConformance('the HTTP listener on a unix socket', { make: () => ({ service: listener({ socket: join(tmpdir(), `bedplate-conformance-${process.pid}.sock`) }) }) })

describe('a listener', () => {
  test('says which port is taken, and how to find by whom', async () => {
    const service = listener(busy())
    await expect(service.start(signal)).rejects.toMatchObject({ code: 'START_FAILED', message: expect.stringMatching(/127\.0\.0\.1:\d+.*ss -lptn/) })
    expect(service.health()).toMatchObject({ state: 'dead', reason: expect.stringContaining('set another port') })
  })

  test('serves IPv4 and IPv6 at ::, and opens again after it was closed', async () => {
    const service = listener({ host: '::', port: 0 })
    for (let round = 0; round < 2; round++) {
      await service.start(signal)
      const { port } = service.address() as AddressInfo
      for (const host of ['127.0.0.1', '[::1]']) expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe('here')
      await service.stop()
      await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow()
    }
  })

  test.each<[what: string, status: number, bytes: string]>([
    ['what is not HTTP', 400, '\x16\x03\x01\x02\x00\x01\x00'], ['a version nobody speaks', 400, 'GET / HTTP/9.9\r\n\r\n'],
    ['two lengths at once', 400, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['headers beyond measure', 431, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`]
  ])('answers %s with %i and a problem, and goes on', async (_what, status, bytes) => {
    const service = listener({ host: '127.0.0.1', port: 0 })
    await service.start(signal)
    const { port } = service.address() as AddressInfo
    const answer = await new Promise<string>((resolve, reject) => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
      socket.setEncoding('utf8').on('data', part => { text += String(part) }).on('close', () => { resolve(text) }).on('error', error => { if (text === '') reject(error) })
    })
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*application/problem\\+json[^]*Connection: close`))
    expect(JSON.parse(body)).toMatchObject({ status, code: 'INVALID_REQUEST' })
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('here')
    await service.stop()
  })

  test('takes over a socket a killed process left, but not one in use, and no file', async () => {
    const path = join(tmpdir(), `bedplate-stale-${process.pid}.sock`)
    const first = listener({ socket: path })
    await first.start(signal)
    await expect(listener({ socket: path }).start(signal)).rejects.toMatchObject({ code: 'START_FAILED' })
    await first.stop()
    await writeFile(path, 'a file')
    const second = listener({ socket: path })
    await expect(second.start(signal)).rejects.toMatchObject({ code: 'START_FAILED' })
  })

  test('lets answers in progress finish when it stops', async () => {
    const slow = createApp(quiet)
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    slow.get('/', async () => { resolve(); await new Promise(done => { setTimeout(done, 200) }); return 'finished' })
    await slow.ready()
    const service = createListener({ name: 'slow', app: slow, where: { host: '127.0.0.1', port: 0 }, log: quiet })
    await service.start(signal)
    const answer = fetch(`http://127.0.0.1:${(service.address() as AddressInfo).port}/`)
    await asked
    await service.stop()
    expect(await (await answer).text()).toBe('finished')
    await slow.close()
  })
})
