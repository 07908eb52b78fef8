/** The connection to a BMC is bounded in time, whatever the BMC leaves undone. */
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { connect } from '../../../../plugins/power/connection/connection.ts'
import { selfSigned } from '../../../../sim/bmc/certificate.ts'
import { until } from '../../../kit/wait.ts'

test.each(['verify', `sha256:${'ab'.repeat(32)}`])('a BMC that never ends its TLS handshake (%s) is given up in time, and no connection to it stays', async tls => {
  const open = new Set<Socket>()
  const server = createServer(socket => { open.add(socket); socket.on('error', () => {}).on('close', () => { open.delete(socket) }).resume() }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = connect(new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`), tls)
  const send = (signal?: AbortSignal) => connection.send('GET', '/redfish/v1/', {}, undefined, { limit: signal === undefined ? 100 : 60_000, ...(signal === undefined ? {} : { signal }) })
  await expect(send()).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('did not answer within 0.1 s') })
  await until(() => open.size === 0)
  const caller = new AbortController()
  const called = send(caller.signal)
  await until(() => open.size > 0)
  caller.abort()
  await expect(called).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('the time for it was over') })
  connection.close()
  await until(() => open.size === 0)
  server.close()
})

const certificate = selfSigned('127.0.0.1')
test.each([['http', 'verify'], ['https', 'insecure'], ['https', `sha256:${certificate.fingerprint}`]])('nothing is said over %s (%s) when the signal, asked once the connection is there, knows that it is over', async (scheme, tls) => {
  let connected = 0
  let over = false
  const heard: string[] = []
  const server = (scheme === 'http' ? createHttp() : createHttps(certificate)).listen(0, '127.0.0.1')
  server.on('request', ({ method = '' }, response) => { heard.push(method); response.end('{}') })
  server.on('connection', () => { connected++ })
  await once(server, 'listening')
  const connection = connect(new URL(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`), tls)
  const { signal } = new AbortController()
  Object.defineProperty(signal, 'aborted', { get: () => over }) // it tells nobody: as after a pause of the process, before any timer fired
  try {
    const first = connection.send('POST', '/', {}, { ResetType: 'On' }, { signal, limit: 5_000 })
    over = true // while it connects
    await expect(first).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('the time for it was over') })
    await until(() => connected > 0)
    expect(await connection.send('GET', '/', {}, undefined, { limit: 5_000 })).toMatchObject({ status: 200 })
    expect(await connection.send('POST', '/', {}, {}, { limit: 5_000 })).toMatchObject({ status: 200 })
    over = false
    const second = connection.send('DELETE', '/', {}, {}, { signal, limit: 5_000 }) // over the connection there is
    over = true
    await expect(second).rejects.toMatchObject({ code: 'POWER_FAILED' })
    expect(heard).toEqual(['GET', 'POST'])
  } finally {
    connection.close()
    server.close()
  }
})
