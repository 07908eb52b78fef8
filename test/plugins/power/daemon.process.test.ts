/** A whole controller, region and rack in one process: through its API, its links and its leader to a BMC. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import machines from '../../../plugins/machines/index.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import { startDaemon, type Daemon } from '../../kit/daemon.ts'
import { until } from '../../kit/wait.ts'
import { addressOf, startBmc, type Bmc } from '../../kit/bmc.ts'

let daemon: Daemon
let bmc: Bmc
beforeAll(async () => {
  bmc = await startBmc()
  daemon = await startDaemon({ plugins: [network, power, machines] })
})
afterAll(async () => {
  await daemon.stop()
  await bmc.close()
})
interface View { readonly id: string, readonly status: string, readonly reason: string | null, readonly power: { readonly state: string } }
const show = async (id: string) => (await daemon.request<View>('GET', `/api/v1/machines/${id}`)).body
const events = async (id: string) => (await daemon.request<{ items: { message: string }[] }>('GET', `/api/v1/machines/${id}/events`)).body.items.map(one => one.message)

test('commissioning switches the machine on from the network, and aborting switches it off', async () => {
  const { status, body: { id } } = await daemon.request<View>('POST', '/api/v1/machines', { macs: ['52:54:00:30:00:01'], power: { address: addressOf(bmc) } })
  expect(status).toBe(201)
  await daemon.request('POST', `/api/v1/machines/${id}/commission`, {})
  await until(async () => (await show(id)).power.state === 'on', { timeout: 15_000 })
  expect(bmc.machine.boots()).toEqual(['network'])
  await daemon.request('POST', `/api/v1/machines/${id}/abort`, { reason: 'enough' })
  await until(async () => (await show(id)).power.state === 'off', { timeout: 15_000 })
  expect(bmc.machine.switches()).toBe(2)
  expect(await show(id)).toMatchObject({ status: 'New', reason: 'enough' })
  expect(await events(id)).toEqual(expect.arrayContaining(['Power cycle done.', 'Power off done.', 'Power was on, is off']))
})

test('a BMC that refuses the password fails the commissioning with that reason, through the link, without the password', async () => {
  const { body: { id } } = await daemon.request<View>('POST', '/api/v1/machines', { macs: ['52:54:00:30:00:02'], power: { address: addressOf(bmc, { user: 'root', password: 'hunter2' }) } })
  await daemon.request('POST', `/api/v1/machines/${id}/commission`, {})
  await until(async () => (await show(id)).status === 'Failed commissioning', { timeout: 15_000 })
  expect((await show(id)).reason).toMatch(/^Power cycle failed: The BMC refuses the credentials \(HTTP 401/)
  expect(JSON.stringify([await show(id), await events(id), (await daemon.request('GET', `/api/v1/power/machines/${id}`)).body])).not.toContain('hunter2')
})
