/** A rack looks for BMCs: simulated ones and other servers, on addresses of the loopback network. */
import { createServer, type Server } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import type { Prober } from '../../../ipmi/probe.ts'
import { createKept } from '../../../plugins/power/kept.ts'
import { createScanning } from '../../../plugins/power/rack/scan.ts'
import { lookForRedfish, rootFrom } from '../../../plugins/power/rack/scan/redfish.ts'
import { createTurns } from '../../../plugins/power/rack/scan/turns.ts'
import { startBmc, type Bmc } from '../../../sim/bmc/bmc.ts'
import { selfSigned } from '../../../sim/bmc/certificate.ts'
import { createNothing } from '../../../sim/machine/nothing.ts'
import { quiet } from '../machines/parts.ts'

const [redfishHost, twoHost, otherHost, bothHost, nobody] = ['127.0.71.1', '127.0.71.2', '127.0.71.3', '127.0.71.4', '127.0.71.9']
const kept = createKept()
kept.of('scan.prober', () => ({ probe: async () => ({ reachable: false, rtt: null, capabilities: null }), close: async () => {} }) satisfies Prober) // IPMI, whose silence would be waited for, is in scan.system.test.ts
const undo: (() => Promise<unknown>)[] = []
let bmc: Bmc
let port: number
beforeAll(async () => {
  bmc = await startBmc({ host: redfishHost, redfish: { tls: true } })
  port = bmc.redfish?.port ?? 0
  const two = await startBmc({ host: twoHost, redfish: { tls: true, port }, machines: [createNothing({ name: 'a' }), createNothing({ name: 'b' })] })
  const other = createSecure(selfSigned(otherHost), (_request, response) => { response.end('{"hello":"world"}') })
  await new Promise<void>(resolve => { other.listen(port, otherHost, resolve) })
  undo.push(() => two.close(), () => new Promise(resolve => { other.close(resolve); other.closeAllConnections() }))
})
afterAll(async () => { await kept.close(); await bmc.close(); for (const step of undo) await step() })
afterEach(() => { bmc.log.length = 0 })

const scan = (addresses: readonly string[], account: { user?: string, password?: string } = {}, signal = new AbortController().signal) =>
  createScanning({ clock: systemClock, log: quiet, kept, ports: { redfish: port, ipmi: port }, answerWithin: 10_000 }).scan({ addresses: [...addresses], ...account }, { controller: 'c1', signal })

test('without credentials BMCs are found, what else answers there is not, and only the root of the service is read', async () => {
  const { found } = await scan([redfishHost, twoHost, otherHost, nobody])
  expect(found).toEqual([
    { host: redfishHost, driver: 'redfish', address: `redfish+https://${redfishHost}:${port}`, tls: `sha256:${bmc.redfish?.fingerprint?.replaceAll(':', '').toLowerCase()}`, uuid: null, serial: null, problem: null, vendor: expect.toSatisfy(value => value === null || typeof value === 'string'), model: expect.any(String) },
    expect.objectContaining({ host: twoHost, driver: 'redfish' })
  ])
  expect(bmc.log.map(line => line.replace(/\/$/, ''))).toEqual(['GET /redfish/v1'])
})

test('with credentials it is known whose BMC it is; its session is given back', async () => {
  const { found: [one] } = await scan([redfishHost], bmc.account)
  const { uuid, manufacturer, model, serial } = bmc.machine.hardware
  expect(one).toMatchObject({ uuid, vendor: manufacturer, model, serial, problem: null })
  expect(bmc.redfish?.sessions.size).toBe(0)
})

test('credentials it does not take are a problem of that BMC alone, told without the password', async () => {
  const { found } = await scan([redfishHost, twoHost], { user: bmc.account.user, password: 'wrong-secret' })
  expect(found).toMatchObject([{ host: redfishHost, uuid: null, problem: expect.stringContaining('refuses the credentials') }, { host: twoHost }])
  expect(JSON.stringify(found)).not.toContain('wrong-secret')
})

test('a password that Redfish refuses is not tried by IPMI as well, which has the same problem; one it takes is', async () => {
  const both = await startBmc({ host: bothHost, redfish: { tls: true }, ipmi: {} })
  const own = createKept()
  const looking = (password: string) => createScanning({ clock: systemClock, log: quiet, kept: own, ports: { redfish: both.redfish?.port ?? 0, ipmi: both.ipmi?.port ?? 0 }, answerWithin: 10_000 })
    .scan({ addresses: [bothHost], user: both.account.user, password }, { controller: 'c1', signal: new AbortController().signal })
  try {
    const asked = vi.spyOn(both.model, 'account')
    const { found: [one, other] } = await looking('wrong')
    expect([one, other]).toMatchObject([{ driver: 'redfish', problem: expect.stringContaining('refuses the credentials') }, { driver: 'ipmi', problem: one?.problem }])
    expect([asked.mock.calls.length, both.ipmi?.sessions.size]).toEqual([1, 0])
    expect((await looking(both.account.password)).found).toMatchObject([{ driver: 'redfish', problem: null }, { driver: 'ipmi', problem: null, uuid: expect.any(String) }])
  } finally { await own.close(); await both.close() }
})

test('a BMC of several machines is nobody\'s, and says so', async () => {
  expect((await scan([twoHost], bmc.account)).found).toMatchObject([{ host: twoHost, uuid: null, problem: expect.stringContaining('several systems') }])
})

test('a scan that is called off ends at once, and tells no half of it', async () => {
  const controller = new AbortController()
  const pending = scan(Array.from({ length: 250 }, (_, index) => `127.0.72.${index + 1}`), {}, controller.signal)
  controller.abort()
  await expect(pending).rejects.toThrow()
})

test('a root is told by what it says of itself, and read without a throw whatever it is', () => {
  expect(rootFrom('{"RedfishVersion":"1.6.0","Vendor":"Contoso","Product":"3500\\u0000RPU"}')).toEqual({ vendor: 'Contoso', product: '3500 RPU' })
  expect(rootFrom('{"@odata.type":"#ServiceRoot.v1_5_0.ServiceRoot","Name":"Root Service"}')).toEqual({ vendor: null, product: 'Root Service' })
  for (const text of ['', '[]', 'null', '{}', '<html>', '{"RedfishVersion":1}', '{"@odata.type":"#Other.v1"}']) expect(rootFrom(text)).toBeUndefined()
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), text => { rootFrom(text) }))
})

test('a server that never ends its answer, that says nothing, or that is not there is none, in time', async () => {
  const servers: Server[] = [createSecure(selfSigned('127.0.0.1'), (_request, response) => { const more = (): void => { while (!response.destroyed && response.write('x'.repeat(65_536))) { /* until it is full */ } }; response.on('drain', more); more() }), createSecure(selfSigned('127.0.0.1'), () => {}), createServer(() => {})]
  for (const server of servers) {
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    expect(await lookForRedfish('127.0.0.1', (server.address() as AddressInfo).port, { timeout: 300, signal: new AbortController().signal })).toBeUndefined()
    await new Promise(resolve => { server.close(resolve); server.closeAllConnections() })
  }
})

test('so many are at work at once, and no more; a failure frees its place', async () => {
  const turns = createTurns(3)
  let [now, most] = [0, 0]
  const results = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => turns.take(async () => {
    most = Math.max(most, ++now)
    await new Promise(resolve => { setImmediate(resolve) })
    now--
    if (index % 2 === 0) throw new TypeError('no')
    return index
  })))
  expect([most, results.filter(({ status }) => status === 'fulfilled').length]).toEqual([3, 10])
})
