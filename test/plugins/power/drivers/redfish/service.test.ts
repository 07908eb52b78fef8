/** A Redfish service that answers as it likes: pages, members that come along, what leads elsewhere, what is too much; and sessions over time. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../../../core/clock.ts'
import type { Clock } from '../../../../../core/plugin.ts'
import { redfish } from '../../../../../plugins/power/drivers/redfish.ts'
import { limits, poolIn } from '../../../../../plugins/power/drivers/redfish/pool.ts'
import { withRedfish, type Service } from '../../../../../plugins/power/drivers/redfish/service.ts'
import { createKept } from '../../../../../plugins/power/kept.ts'
import { manualClock } from '../../../../kit/clock.ts'
import { quickPace } from '../../../../kit/conformance/power-driver.ts'
import { until } from '../../../../kit/wait.ts'

interface Said { readonly status?: number, readonly body?: unknown, readonly headers?: Record<string, string> }
interface Host { readonly url: string, readonly asked: { readonly line: string, readonly headers: IncomingMessage['headers'] }[], answers: Record<string, Said | (() => Said)>, readonly server: Server }

const hosts: Host[] = []
async function serve (answers: Host['answers']): Promise<Host> {
  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`
    host.asked.push({ line, headers: request.headers })
    const found = host.answers[line] ?? (line.startsWith('DELETE') ? { status: 204 } : { status: 404, body: {} })
    const { status = 200, body, headers = {} } = typeof found === 'function' ? found() : found
    request.resume().on('end', () => { response.writeHead(status, headers).end(typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body)) })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const host: Host = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: [], answers, server }
  hosts.push(host)
  return host
}

let kept = createKept()
beforeEach(() => { kept = createKept() })
afterEach(async () => {
  await kept.close()
  for (const { server } of hosts.splice(0)) await new Promise(resolve => { server.close(resolve); server.closeAllConnections() })
})
const at = (path: string) => ({ '@odata.id': path })
const root = { 'GET /redfish/v1/': { body: { Links: { Sessions: at('/sessions') }, Systems: at('/redfish/v1/Systems') } }, 'POST /sessions': { status: 201, body: {}, headers: { 'x-auth-token': 'secret-token', location: '/sessions/1' } } }
const options = (clock: Clock = systemClock) => ({ signal: new AbortController().signal, clock, pace: quickPace, kept })
const ask = <T>({ url }: Host, work: (service: Service) => Promise<T>, clock?: Clock, user = 'root') => withRedfish({ address: `${url}/redfish/v1/Systems/1`, user, password: 'hunter2' }, options(clock), work)
const lines = (host: Host) => host.asked.map(({ line }) => line)

test('a collection is read page by page, as far as it is wanted, and no page twice', async () => {
  const host = await serve({
    ...root,
    'GET /log': { body: { Members: [{ ...at('/log/1'), Id: '1' }, at('/log/2')], 'Members@odata.nextLink': '/log?page=2' } }, 'GET /log/2': { body: { Id: '2' } },
    'GET /log?page=2': { body: { Members: [{ Id: '3' }, at('/gone'), 'odd'], 'Members@odata.nextLink': '/log?page=2' } }
  })
  expect(await ask(host, async service => (await service.members('/log', 10)).map(one => one.body.Id))).toEqual(['1', '2', '3'])
  expect(lines(host).filter(line => line.includes('page'))).toHaveLength(1) // though it leads to itself
  expect(await ask(host, async service => (await service.members('/log', 1)).map(one => one.body.Id))).toEqual(['1'])
  expect(lines(host).filter(line => line.includes('page'))).toHaveLength(1)
})

test('members come along where the service says they can; one that says so and cannot is not asked again', async () => {
  const expanding = { 'GET /redfish/v1/': { body: { ...root['GET /redfish/v1/'].body, ProtocolFeaturesSupported: { ExpandQuery: { NoLinks: true, Levels: true } } } } }
  const able = await serve({ ...root, ...expanding, 'GET /c?$expand=.($levels=1)': { body: { Members: [{ ...at('/c/1'), Name: 'a' }] } } })
  expect(await ask(able, async service => (await service.members('/c', 9)).map(one => one.body.Name))).toEqual(['a'])
  expect(lines(able).filter(line => line.startsWith('GET /c'))).toEqual(['GET /c?$expand=.($levels=1)'])
  const unable = await serve({ ...root, ...expanding, 'GET /c?$expand=.($levels=1)': { status: 501 }, 'GET /c': { body: { Members: [at('/c/1')] } }, 'GET /c/1': { body: { Name: 'a' } } })
  for (let time = 0; time < 2; time++) expect(await ask(unable, async service => (await service.members('/c', 9)).map(one => one.body.Name))).toEqual(['a'])
  expect(lines(unable).filter(line => line.includes('expand'))).toHaveLength(1)
})

test('nothing is told to another host, whichever way it is named', async () => {
  const other = await serve({})
  const host = await serve({
    ...root,
    'GET /redfish/v1/Systems/1': { body: { Links: { Chassis: [at(`${other.url}/chassis`), at(`//${new URL(other.url).host}/chassis`)] }, Actions: { '#ComputerSystem.Reset': { target: `${other.url}/reset` } } } },
    'GET /moved': { status: 302, headers: { location: `${other.url}/moved` } }, 'GET /near': { status: 308, headers: { location: '/near/' } }, 'GET /near/': { body: { Id: 'near' } }
  })
  await expect(ask(host, service => service.get('/moved'))).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('was redirected to') })
  await expect(ask(host, service => service.get(`//${new URL(other.url).host}/x`))).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('another host') })
  expect((await ask(host, service => service.get('/near'))).body.Id).toBe('near')
  await expect(redfish.power({ address: `${host.url}/redfish/v1/Systems/1`, user: 'root', password: 'hunter2' }, 'on', { ...options(), boot: null })).rejects.toMatchObject({ code: expect.stringMatching(/^POWER_/) })
  expect(lines(host)).toContain('POST /reset') // on the BMC itself
  expect(other.asked).toEqual([])
})

test('an answer without end is cut off', async () => {
  const host = await serve({ ...root, 'GET /big': { body: `{"a":"${'x'.repeat(5_000_000)}"}` } })
  await expect(ask(host, service => service.get('/big'))).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('more than 4194304 bytes') })
})

test('a password is sent to the session collection alone, and a refused session is no way round', async () => {
  const host = await serve({ ...root, 'GET /x': { status: 401, body: {} } })
  await expect(ask(host, service => service.get('/x'))).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
  expect(lines(host).filter(line => line === 'POST /sessions')).toHaveLength(2) // reopened once, then given up
  expect(host.asked.some(({ headers }) => headers.authorization !== undefined)).toBe(false)
})

test('a BMC without a free session that takes no Basic either is worth another try', async () => {
  const host = await serve({ ...root, 'POST /sessions': { status: 400, body: { error: { '@Message.ExtendedInfo': [{ MessageId: 'IDRAC.2.1.RAC0218', Message: 'The maximum number of user sessions is reached.' }] } } }, 'GET /x': { status: 401, body: {} } })
  await expect(ask(host, service => service.get('/x'))).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('sessions of the BMC are in use') })
})

const system = (more: Record<string, unknown> = {}) => ({ PowerState: 'Off', Actions: { '#ComputerSystem.Reset': { target: '/reset' } }, ...more })
/** A host whose machine goes on when it is told to. */
async function machine (answers: Host['answers'], more: Record<string, unknown> = {}): Promise<Host> {
  let state = 'Off'
  return await serve({ ...root, 'GET /redfish/v1/Systems/1': () => ({ body: system({ ...more, PowerState: state }), headers: { etag: 'W/"1"' } }), 'POST /reset': () => { state = 'On'; return { status: 204 } }, ...answers })
}
const start = (host: Host, firmware?: 'bios' | 'uefi') => redfish.power({ address: `${host.url}/redfish/v1/Systems/1`, user: 'root', password: 'hunter2' }, 'on', { ...options(), boot: 'network', ...(firmware === undefined ? {} : { firmware }) })

test('a boot override that is in the settings is set there, with the settings\' entity tag and the modes of the system', async () => {
  const settings = '/redfish/v1/Systems/1/Settings'
  const host = await machine(
    { [`GET ${settings}`]: { body: { Boot: { BootSourceOverrideTarget: 'None' } }, headers: { etag: '"settings"' } }, [`PATCH ${settings}`]: () => { host.answers[`GET ${settings}`] = { body: { Boot: { BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' } } }; return { status: 202, headers: { location: '/task' } } }, 'GET /task': { status: 204 } },
    { '@Redfish.Settings': { SettingsObject: at(settings) }, Boot: { BootSourceOverrideMode: 'UEFI' } }
  )
  expect(await start(host)).toEqual({ state: 'on' })
  expect(host.asked.find(({ line }) => line === `PATCH ${settings}`)?.headers['if-match']).toBe('"settings"')
  expect(lines(host)).toContain('GET /task')
})

test('a boot override that is taken and not shown is told the operator; one that fails as a task fails the action', async () => {
  const quiet = await machine({ 'PATCH /redfish/v1/Systems/1': { status: 200, body: {} } }, { Boot: { BootSourceOverrideTarget: 'None', BootSourceOverrideEnabled: 'Disabled' } })
  expect(await start(quiet)).toEqual({ state: 'on', note: expect.stringContaining('took Pxe as the device of the next boot, but shows none') })
  const failing = await machine({ 'PATCH /redfish/v1/Systems/1': { status: 202, headers: { location: '/task' } }, 'GET /task': { body: { TaskState: 'Exception', Messages: [{ Message: 'No such device.' }] } } })
  await expect(start(failing)).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('No such device.') })
})

test('a BMC that wants a slash at the end is redirected to once, and then asked as it wants', async () => {
  const moved = { status: 308, headers: { location: '/redfish/v1/Systems/1/' } }
  const host = await machine({})
  host.answers['GET /redfish/v1/Systems/1/'] = { body: { ...at('/redfish/v1/Systems/1/'), ...system() } }
  host.answers['GET /redfish/v1/Systems/1'] = host.answers['PATCH /redfish/v1/Systems/1'] = moved
  host.answers['PATCH /redfish/v1/Systems/1/'] = { status: 204 }
  host.answers['POST /reset'] = () => { host.answers['GET /redfish/v1/Systems/1/'] = { body: { ...at('/redfish/v1/Systems/1/'), ...system({ PowerState: 'On' }) } }; return { status: 204 } }
  expect(await start(host)).toEqual({ state: 'on' })
  expect(await redfish.query({ address: `${host.url}/redfish/v1/Systems/1`, user: 'root', password: 'hunter2' }, options())).toBe('on')
  expect(lines(host).filter(line => line === 'GET /redfish/v1/Systems/1')).toHaveLength(1)
})

test('a mode the BMC refuses is left out, unless it was to change', async () => {
  const host = await machine({}, { Boot: { BootSourceOverrideMode: 'UEFI' } })
  let patches = 0
  host.answers['PATCH /redfish/v1/Systems/1'] = () => ++patches === 1 ? { status: 400, body: { error: { message: 'BootSourceOverrideMode is read-only.' } } } : { status: 200, body: {} }
  expect(await start(host)).toEqual({ state: 'on' })
  const other = await machine({ 'PATCH /redfish/v1/Systems/1': { status: 400, body: { error: { message: 'BootSourceOverrideMode is read-only.' } } } }, { Boot: { BootSourceOverrideMode: 'UEFI' } })
  await expect(start(other, 'bios')).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('read-only') })
})

test('a BMC that refuses its own weak entity tag is sent the strong one', async () => {
  const host = await machine({}, {})
  host.answers['PATCH /redfish/v1/Systems/1'] = () => host.asked.at(-1)?.headers['if-match'] === '"1"' ? { status: 204 } : { status: 412, body: {} }
  expect(await start(host)).toEqual({ state: 'on' })
  expect(host.asked.filter(({ line }) => line.startsWith('PATCH')).map(({ headers }) => headers['if-match'])).toEqual(['W/"1"', '"1"'])
})

test('an idle session is given back, one in use is not; after that it is opened anew', async () => {
  const host = await serve({ ...root, 'GET /x': { body: { Id: 'x' } } })
  const clock = manualClock()
  const deleted = () => lines(host).filter(line => line === 'DELETE /sessions/1').length
  await ask(host, service => service.get('/x'), clock)
  await until(() => clock.sleepers > 0)
  await clock.advance(limits.idle - limits.sweep)
  await ask(host, service => service.get('/x'), clock)
  await clock.advance(limits.idle - limits.sweep)
  expect([deleted(), poolIn(kept, clock).size]).toEqual([0, 1])
  const gate = Promise.withResolvers<void>()
  const long = ask(host, async () => { await gate.promise }, clock)
  await clock.advance(2 * limits.idle)
  expect(deleted()).toBe(0)
  gate.resolve()
  await long
  await clock.advance(limits.idle + limits.sweep)
  await until(() => deleted() === 1)
  expect(poolIn(kept, clock).size).toBe(0)
  await ask(host, service => service.get('/x'), clock)
  expect(lines(host).filter(line => line === 'POST /sessions')).toHaveLength(2)
})

test('there is a bound to how many BMCs are kept; the one unused for longest is logged out of for another', async () => {
  const host = await serve({ ...root, 'GET /x': { body: { Id: 'x' } } })
  const pool = poolIn(kept, systemClock)
  const before = limits.bmcs
  limits.bmcs = 3
  try {
    for (const user of ['a', 'b', 'c', 'a', 'd']) await ask(host, service => service.get('/x'), systemClock, user)
    expect(pool.size).toBe(3)
    await until(() => lines(host).filter(line => line.startsWith('DELETE')).length === 1)
    const logins = () => lines(host).filter(line => line === 'POST /sessions').length
    expect(logins()).toBe(4)
    await ask(host, service => service.get('/x'), systemClock, 'a') // b had to go
    expect(logins()).toBe(4)
  } finally { limits.bmcs = before }
})
