/** The simulated Redfish service: what a client may rely on, and what it refuses as a real one does. */
import { afterEach, describe, expect, it } from 'vitest'
import { startBmc, type Bmc, type BmcOptions } from '../../sim/bmc/bmc.ts'
import { profiles } from '../../sim/bmc/profiles.ts'
import { createSessions } from '../../sim/bmc/redfish/sessions.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import { until } from '../kit/wait.ts'
import { asking, type Ask } from './client.ts'

const open: Bmc[] = []
afterEach(async () => { for (const bmc of open.splice(0)) await bmc.close() })
async function start (options: BmcOptions = {}): Promise<{ readonly bmc: Bmc, readonly ask: Ask, readonly reset: (type: string) => ReturnType<Ask> }> {
  const bmc = await startBmc({ redfish: {}, ...options })
  open.push(bmc)
  const ask = asking(bmc)
  return { bmc, ask, reset: type => ask('POST', `/redfish/v1/Systems/${bmc.model.systems[0].id}/Actions/ComputerSystem.Reset`, { ResetType: type }) }
}
const login = { UserName: 'admin', Password: 'password' }
const sessions = '/redfish/v1/SessionService/Sessions'
const boot = (target: string, enabled = 'Once') => ({ Boot: { BootSourceOverrideEnabled: enabled, BootSourceOverrideTarget: target, BootSourceOverrideMode: 'UEFI' } })

describe('who may ask', () => {
  it('is anybody for the root, and nobody without a login for the rest', async () => {
    const { bmc, ask } = await start()
    const root = await ask('GET', '/redfish/v1/', undefined, {})
    expect(root.body).toMatchObject({ UUID: bmc.machine.hardware.uuid, Systems: { '@odata.id': '/redfish/v1/Systems' } })
    for (const headers of [{}, { authorization: 'Basic bm9wZTpub3Bl' }, { 'x-auth-token': 'nope' }]) expect((await ask('GET', '/redfish/v1/Systems', undefined, headers)).status).toBe(401)
    expect((await ask('GET', '/redfish/v1/Systems')).body.Members).toEqual([{ '@odata.id': '/redfish/v1/Systems/1' }])
  })
  it('is who has a session, until it is deleted', async () => {
    const { ask } = await start()
    expect((await ask('POST', sessions, { ...login, Password: 'wrong' }, {})).status).toBe(401)
    const made = await ask('POST', sessions, login, {})
    const token = { 'x-auth-token': String(made.headers['x-auth-token']) }
    expect((await ask('GET', '/redfish/v1/Systems/1', undefined, token)).status).toBe(200)
    expect((await ask('GET', sessions)).body.Members).toEqual([{ '@odata.id': made.headers.location }])
    expect((await ask('DELETE', String(made.headers.location), undefined, token)).status).toBe(204)
    expect((await ask('GET', '/redfish/v1/Systems/1', undefined, token)).status).toBe(401)
  })
  it('is nobody more when all sessions are taken', async () => {
    const { ask, bmc } = await start({ profile: { sessions: { most: 2, seconds: 60 } } })
    const status = async () => (await ask('POST', sessions, login, {})).status
    expect([await status(), await status(), await status()]).toEqual([201, 201, 503])
    const [first] = bmc.redfish?.sessions.values() ?? []
    await ask('DELETE', `${sessions}/${first?.id}`)
    expect(await status()).toBe(201)
  })
  it('is somebody who may look but not touch, with the privilege of a user', async () => {
    const { ask, bmc } = await start({ accounts: [{ user: 'guest', password: 'guest', privilege: 'user' }] })
    const guest = { authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}` }
    expect((await ask('GET', '/redfish/v1/Systems/1', undefined, guest)).status).toBe(200)
    expect((await ask('POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { ResetType: 'On' }, guest)).status).toBe(403)
    expect(bmc.machine.state()).toBe('off')
  })
})

it('a session ends when it was not used for its time, and not while it is', () => {
  let now = 0
  const table = createSessions({ most: 1, seconds: 10 }, () => now)
  const token = table.begin('a')?.token ?? ''
  now = 9_000
  expect(table.find(token)).toBeDefined()
  now = 18_000
  expect(table.find(token)).toBeDefined()
  expect(table.begin('b')).toBeUndefined()
  now = 29_000
  expect(table.find(token)).toBeUndefined()
  expect(table.begin('b')).toBeDefined()
})

describe('power', () => {
  it('is switched, told, and counted', async () => {
    const { bmc, ask, reset } = await start()
    const told = async () => (await ask('GET', '/redfish/v1/Systems/1')).body.PowerState
    for (const [type, state] of [['On', 'On'], ['On', 'On'], ['ForceRestart', 'On'], ['ForceOff', 'Off'], ['PushPowerButton', 'On'], ['GracefulShutdown', 'Off'], ['PowerCycle', 'Off']] as const) {
      expect((await reset(type)).status).toBe(204)
      expect(await told(), type).toBe(state)
    }
    expect(bmc.machine.switches()).toBe(4)
    expect(bmc.machine.boots()).toEqual([null, null, null])
  })
  it('is boot from a device once, at each start, or not at all', async () => {
    const { bmc, ask, reset } = await start()
    const set = async (body: unknown) => (await ask('PATCH', '/redfish/v1/Systems/1', body)).status
    const from = async () => { await reset('On'); await reset('ForceOff'); return bmc.machine.bootedFrom() }
    await set(boot('Pxe'))
    expect([await from(), await from()]).toEqual(['network', null])
    await set(boot('Hdd', 'Continuous'))
    expect([await from(), await from()]).toEqual(['disk', 'disk'])
    await set(boot('None', 'Disabled'))
    expect(await from()).toBeNull()
    await reset('On')
    await set(boot('Cd'))
    await reset('ForceRestart')
    expect(bmc.machine.bootedFrom()).toBe('cd')
  })
  it('takes the time the machine takes', async () => {
    const { ask, reset } = await start({ machine: createNothing({ delays: { on: 60 } }) })
    await reset('On')
    expect((await ask('GET', '/redfish/v1/Systems/1')).body.PowerState).toBe('Off')
    await until(async () => (await ask('GET', '/redfish/v1/Systems/1')).body.PowerState === 'On')
  })
  it('stays on when the system ignores its shutdown', async () => {
    const { ask, reset } = await start({ machine: createNothing({ state: 'on', deaf: true }) })
    expect((await reset('GracefulShutdown')).status).toBe(204)
    expect((await ask('GET', '/redfish/v1/Systems/1')).body.PowerState).toBe('On')
  })
  it('of each machine of a chassis is its own', async () => {
    const machines = [createNothing({ name: 'a' }), createNothing({ name: 'b' })] as const
    const { ask } = await start({ machines })
    expect((await ask('GET', '/redfish/v1/Systems')).body.Members).toHaveLength(2)
    await ask('POST', '/redfish/v1/Systems/2/Actions/ComputerSystem.Reset', { ResetType: 'On' })
    expect(machines.map(machine => machine.state())).toEqual(['off', 'on'])
    expect((await ask('GET', '/redfish/v1/Systems/2')).body.UUID).toBe(machines[1].hardware.uuid)
  })
})

describe('it refuses', () => {
  it.each<readonly [string, string, string, unknown, number]>([
    ['an unknown boot device', 'PATCH', '/redfish/v1/Systems/1', boot('Floppy'), 400],
    ['an unknown way to reset', 'POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', { ResetType: 'Explode' }, 400],
    ['a change of nothing', 'PATCH', '/redfish/v1/Systems/1', {}, 400],
    ['a body that is no JSON', 'POST', '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset', '{"ResetType":', 400],
    ['a path there is not', 'GET', '/redfish/v1/Systems/2', undefined, 404],
    ['a method there is not', 'DELETE', '/redfish/v1/Systems/1', undefined, 405]
  ])('%s', async (_, method, path, body, status) => {
    const { ask, bmc } = await start()
    const answer = await ask(method, path, body)
    expect(answer.status).toBe(status)
    expect(answer.body.error['@Message.ExtendedInfo'][0].Message).toMatch(/\S/)
    expect(bmc.machine.state()).toBe('off')
  })
  it('a change whose If-Match is stale, and where it needs one, a change without', async () => {
    const { ask } = await start({ profile: 'supermicro' })
    expect((await ask('PATCH', '/redfish/v1/Systems/1', boot('Pxe'))).status).toBe(428)
    const patch = (etag: string) => asking(open[0] as Bmc)('PATCH', '/redfish/v1/Systems/1', boot('Pxe'), { authorization: `Basic ${Buffer.from('admin:password').toString('base64')}`, 'if-match': etag })
    const { headers } = await ask('GET', '/redfish/v1/Systems/1')
    expect((await patch('"old"')).status).toBe(412)
    expect((await patch(String(headers.etag))).status).toBe(200)
    expect((await patch(String(headers.etag))).status).toBe(412)
  })
})

describe('the rest of the hardware', () => {
  it('is found by following links from the root, in every profile', async () => {
    for (const { name } of profiles) {
      const { ask } = await start({ profile: name })
      const seen = new Set<string>()
      const follow = async (value: unknown): Promise<void> => {
        if (typeof value !== 'object' || value === null) return
        for (const [key, inner] of Object.entries(value)) {
          if (key === '@odata.id' && typeof inner === 'string' && !inner.includes('#')) await visit(inner)
          else await follow(inner)
        }
      }
      const visit = async (path: string): Promise<void> => {
        if (seen.has(path)) return
        seen.add(path)
        const answer = await ask('GET', path)
        expect(answer.status, `${name} ${path}`).toBe(200)
        expect(answer.body['@odata.id'], name).toBe(path)
        await follow(answer.body)
      }
      await visit(name.startsWith('ilo') ? '/redfish/v1/' : '/redfish/v1')
      expect(seen.size, name).toBeGreaterThan(25)
    }
  })
  it('is measured in the old form and in the new', async () => {
    const { ask, bmc } = await start()
    const chassis = '/redfish/v1/Chassis/1'
    expect((await ask('GET', `${chassis}/Thermal`)).body.Temperatures).toContainEqual(expect.objectContaining({ Name: 'CPU1 Temp', ReadingCelsius: null }))
    await bmc.machine.on()
    expect((await ask('GET', `${chassis}/Thermal`)).body).toMatchObject({ Temperatures: expect.arrayContaining([expect.objectContaining({ Name: 'CPU1 Temp', ReadingCelsius: 48 })]), Fans: expect.arrayContaining([expect.objectContaining({ Name: 'Fan1', Reading: 5400 })]) })
    expect((await ask('GET', `${chassis}/Power`)).body.PowerControl[0].PowerConsumedWatts).toBe(184)
    expect((await ask('GET', `${chassis}/Sensors/CPU1Temp`)).body).toMatchObject({ Reading: 48, ReadingUnits: 'Cel' })
    expect((await ask('GET', `${chassis}/ThermalSubsystem/Fans/Fan1`)).body.SpeedPercent.SpeedRPM).toBe(5400)
  })
  it('keeps a log, which can be cleared', async () => {
    const { ask, reset } = await start()
    const entries = async () => (await ask('GET', '/redfish/v1/Managers/1/LogServices/SEL/Entries')).body.Members as { readonly '@odata.id': string, readonly Message: string }[]
    await reset('On')
    const [, lost, on] = await entries()
    expect([lost?.Message, on?.Message]).toEqual(['Power supply 1 has lost its input.', 'The machine was started by a power-up.'])
    expect((await ask('GET', on?.['@odata.id'] ?? '')).body.Message).toBe(on?.Message)
    await ask('POST', '/redfish/v1/Managers/1/LogServices/SEL/Actions/LogService.ClearLog', {})
    expect((await entries()).map(({ Message }) => Message)).toEqual(['The log was cleared.'])
  })
  it.each(profiles.map(({ name }) => name))('has a virtual drive that is loaded and emptied the way of %s', async profile => {
    const { ask, bmc } = await start({ profile })
    const { media, ids } = bmc.model.profile
    const drive = media.drives.find(({ id, types }) => types.includes('CD') && media.takes?.test(id) !== false)
    const path = `/redfish/v1/Managers/${ids.manager}/VirtualMedia/${drive?.id}`
    const image = 'http://192.0.2.1/boot.iso'
    const { body } = await ask('GET', path)
    const actions = body.Actions ?? body.Oem?.Hpe?.Actions ?? {}
    const [insert, eject] = ['Insert', 'Eject'].map(what => Object.entries(actions as Record<string, { target: string }>).find(([name]) => name.includes(what))?.[1].target)
    const load = () => insert === undefined ? ask('PATCH', path, { Image: image, Inserted: true }) : ask('POST', insert, { Image: image })
    expect((await load()).status).toBeLessThan(300)
    expect((await ask('GET', path)).body).toMatchObject({ Image: image, Inserted: true })
    expect(bmc.machine.media()).toBe(image)
    expect((await load()).status).toBe(409)
    expect((await (eject === undefined ? ask('PATCH', path, { Image: null }) : ask('POST', eject, {}))).status).toBeLessThan(300)
    expect((await ask('GET', path)).body.Inserted).toBe(false)
    expect(bmc.machine.media()).toBeNull()
  })
  it('takes what a vendor takes, and nothing else', async () => {
    const { ask, bmc } = await start({ profile: 'supermicro' })
    const drive = '/redfish/v1/Managers/1/VirtualMedia/CD1'
    expect((await ask('POST', `${drive}/Actions/VirtualMedia.InsertMedia`, { Image: 'http://192.0.2.1/x.iso', Inserted: true })).status).toBe(400)
    await ask('POST', `${drive}/Actions/VirtualMedia.InsertMedia`, { Image: 'http://192.0.2.1/x.iso' })
    await ask('POST', `${drive}/Actions/VirtualMedia.EjectMedia`, {})
    expect((await ask('GET', drive)).body).toMatchObject({ ImageName: 'x.iso', Inserted: false, ConnectedVia: 'NotConnected' })
    expect(bmc.machine.media()).toBeNull()
  })
})

describe('a reset that is a task', () => {
  it('is done when its monitor says so', async () => {
    const { ask, bmc, reset } = await start({ profile: { resets: 'as task' } })
    const answer = await reset('On')
    expect(answer.status).toBe(202)
    expect(answer.body).toMatchObject({ TaskState: 'Running' })
    const monitor = String(answer.headers.location)
    expect((await ask('GET', monitor)).status).toBe(202)
    expect(bmc.machine.state()).toBe('off')
    expect((await ask('GET', monitor)).status).toBe(200)
    expect(bmc.machine.state()).toBe('on')
    expect((await ask('GET', answer.body['@odata.id'])).body.TaskState).toBe('Completed')
  })
  it('may fail, with nothing done', async () => {
    const { ask, bmc, reset } = await start({ faults: { tasks: true, taskFails: true } })
    const { headers, body } = await reset('On')
    await ask('GET', String(headers.location))
    expect((await ask('GET', String(headers.location))).status).toBe(500)
    expect((await ask('GET', body['@odata.id'])).body.TaskState).toBe('Exception')
    expect(bmc.machine.state()).toBe('off')
  })
})
