/** The connection to a BMC is bounded in time, whatever the BMC leaves undone. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { connect } from '../../../../../plugins/power/drivers/redfish/connection.ts'
import { until } from '../../../../kit/wait.ts'

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
