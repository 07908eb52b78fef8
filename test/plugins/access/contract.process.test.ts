/** access as a plugin of a real controller. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import access from '../../../plugins/access/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'
import { startDaemon } from '../../kit/daemon.ts'
import { until } from '../../kit/wait.ts'

it('a revoked token is refused at once by the controller that revoked it', async () => {
  const daemon = await startDaemon({ plugins: [access], roles: ['region'] })
  try {
    const call = (token: string, method: string, path: string, body?: object) => fetch(`${daemon.url}/api/v1/access${path}`, { method, headers: { 'authorization': `Bearer ${token}`, ...body === undefined ? {} : { 'content-type': 'application/json' } }, ...body === undefined ? {} : { body: JSON.stringify(body) } })
    const admin = (await readFile(join(daemon.dataDirectory, 'admin.token'), 'utf8')).trim()
    const made = await (await call(admin, 'POST', '/tokens', { name: 'short' })).json() as { id: string, token: string }
    expect((await call(made.token, 'GET', '/whoami')).status).toBe(200)
    expect((await call(admin, 'DELETE', `/tokens/${made.id}`)).status).toBe(204)
    await until(async () => (await call(made.token, 'GET', '/whoami')).status === 401)
    expect((await fetch(`${daemon.url}/api/v1/access/whoami`)).status).toBe(401)
  } finally { await daemon.stop() }
})

pluginConformance(access)
