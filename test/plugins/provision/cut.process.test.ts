/** Two racks and a region: what a machine says to a rack that is cut off is kept and said so, what it then says to another moves it on, and what the first brings later changes nothing. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import images from '../../../plugins/images/index.ts'
import machines from '../../../plugins/machines/index.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import provision from '../../../plugins/provision/index.ts'
import { startDaemon, type Daemon } from '../../kit/daemon.ts'
import { until } from '../../kit/wait.ts'
import { proxy, type Proxy } from '../../rpc/installation.ts'
import { archive } from './archive.ts'
import { nextMac, uploadOf } from './region.rig.ts'

const plugins = [network, power, images, machines, provision]
const bound = { timeout: 20_000 }
let region: Daemon
let near: Daemon // always linked
let far: Daemon // linked by way of `front`
let front: Proxy
beforeAll(async () => {
  // told to racks, and nobody is there: `far` has no other way than `front`
  region = await startDaemon({ plugins, roles: ['region'], config: { hostname: 'region', rpc: { host: '127.0.0.1', port: 0, advertise: ['127.0.0.2'] } } })
  const port = region.kernel.region!.port() ?? 0
  front = await proxy(port)
  const rack = async (hostname: string, at: string) => await startDaemon({ plugins, roles: ['rack'], config: { hostname, regions: [at], enrolmentToken: await region.kernel.region!.createToken(['rack'], 60) } })
  near = await rack('near', `127.0.0.1:${port}`)
  far = await rack('far', front.url)
  await until(() => region.kernel.region!.racks().length === 2, bound)
})
afterAll(async () => {
  for (const daemon of [far, near]) await daemon?.stop()
  await front?.close()
  await region?.stop()
})

const show = async (id: string) => (await region.request<{ status: string }>('GET', `/api/v1/machines/${id}`)).body
/** Without what its BMC does, which comes when it comes. */
const history = async (id: string) => (await region.request<{ items: { type: string, message: string }[] }>('GET', `/api/v1/machines/${id}/events`)).body.items.filter(({ type }) => type !== 'power')
const tar = (mac: string) => new Uint8Array(archive(...Object.entries(uploadOf(mac)).map(([name, text]) => ({ name, content: Buffer.from(text) }))))
const upload = async (rack: Daemon, token: string, mac: string) => (await fetch(`${rack.rackUrl}/provision/${token}/inventory`, { method: 'POST', headers: { 'content-type': 'application/x-tar' }, body: tar(mac) })).status
const report = async (rack: Daemon, token: string, fields: Record<string, string>) => (await fetch(`${rack.rackUrl}/provision/${token}/report`, { method: 'POST', body: new URLSearchParams(fields) })).status
const knows = (rack: Daemon, token: string) => until(async () => (await fetch(`${rack.rackUrl}/provision/${token}/script`)).status === 200, bound)

test('a machine whose rack dies with its reports goes on with another, and comes to no harm when the first returns', async () => {
  const mac = nextMac()
  await knows(near, 'enlist')
  expect(await upload(near, 'enlist', mac)).toBe(204)
  const [machine] = (await region.request<{ items: { id: string }[] }>('GET', `/api/v1/machines/?mac=${mac}`)).body.items
  const { id } = machine!
  await region.request('POST', `/api/v1/machines/${id}/commission`, {})
  const [session] = await region.db!.query<{ token: string }>('select token from provision.session where machine = $1', [id])
  const { token } = session!
  await Promise.all([knows(near, token), knows(far, token)])

  front.live = false
  front.cut()
  await until(() => region.kernel.region!.racks().length === 1, bound)
  const said = { stage: 'inventory', status: 'started', message: 'looking at the hardware', id: 'first' }
  expect(await report(far, token, said)).toBe(202)
  expect(await upload(far, token, mac)).toBe(202)
  expect((await show(id)).status).toBe('Commissioning')

  expect(await report(near, token, said)).toBe(204)
  expect(await upload(near, token, mac)).toBe(204)
  expect((await show(id)).status).toBe('Ready')
  await until(async () => await report(near, token, { ...said, id: 'late' }) === 410, bound)

  const before = await history(id)
  expect(before.filter(({ message }) => message === 'inventory: looking at the hardware')).toHaveLength(1)
  front.live = true
  await until(() => region.kernel.region!.racks().length === 2, bound)
  await until(async () => (await (await fetch(`${far.rackUrl}/metrics`)).text()).includes('bedplate_outbox_facts 0\n'), { ...bound, what: 'the rack to have delivered what it kept' })
  expect((await show(id)).status).toBe('Ready')
  expect(await history(id)).toEqual(before)
})
