/** redfish, as every driver is judged, and what is particular to it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { redacted, type Options } from '../../../../plugins/power/driver.ts'
import { redfish } from '../../../../plugins/power/drivers/redfish.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import type { PowerActionName } from '../../../../plugins/power/manifest.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { startBmc, type Bmc, type BmcOptions } from '../../../../sim/bmc/bmc.ts'
import { generic } from '../../../../sim/bmc/profile.ts'
import { createNothing, type Nothing } from '../../../../sim/machine/nothing.ts'
import { powerDriverConformance, quickPace } from '../../../kit/conformance/power-driver.ts'
import { account, startSubject } from './redfish/subject.ts'

const addressOf = (bmc: Bmc, machine: number | undefined = 0): string => bmc.redfish?.address(machine) ?? ''

powerDriverConformance(redfish, () => startSubject(generic))

describe('redfish', () => {
  let bmc: Bmc
  let machine: Nothing
  let options: Options
  const begin = async (given: BmcOptions = {}) => { await bmc?.close(); machine = createNothing(); bmc = await startBmc({ account, machine, redfish: {}, ...given }) }
  beforeEach(async () => {
    await begin()
    options = { signal: new AbortController().signal, clock: systemClock, pace: quickPace, kept: createKept() }
  })
  afterEach(async () => { await options.kept.close(); await bmc.close() })
  const parameters = (more: Record<string, unknown> = {}) => checked(redfish, { address: addressOf(bmc), ...more })
  const power = (action: PowerActionName, { boot = null, firmware, ...more }: { boot?: 'network' | 'disk' | null, firmware?: 'bios' | 'uefi', address?: string } = {}) => redfish.power(parameters(more), action, { ...options, boot, ...(firmware === undefined ? {} : { firmware }) })
  const query = () => redfish.query(parameters(), options)
  const said = () => bmc.log.map(line => line.replace(/Sessions\/\w+/, 'Sessions/…'))
  const sessions = () => bmc.redfish?.sessions.size

  test('its whole conversation, and the session given back when the driver\'s things are closed', async () => {
    await power('on', { boot: 'network' })
    expect(said()).toEqual([
      'GET /redfish/v1', 'POST /redfish/v1/SessionService/Sessions', 'GET /redfish/v1/Systems/1', 'PATCH /redfish/v1/Systems/1 Pxe UEFI', 'GET /redfish/v1/Systems/1',
      'POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset On', 'GET /redfish/v1/Systems/1'
    ])
    expect(sessions()).toBe(1)
    await options.kept.close()
    expect(said().at(-1)).toBe('DELETE /redfish/v1/SessionService/Sessions/…')
    expect(sessions()).toBe(0)
  })

  test('a poll of a BMC that is known is one request, on the connection and in the session there is', async () => {
    const connections = new Set<unknown>()
    bmc.redfish?.server.on('connection', socket => connections.add(socket))
    await query()
    bmc.log.length = 0
    for (let poll = 0; poll < 5; poll++) await query()
    expect(said()).toEqual(Array(5).fill('GET /redfish/v1/Systems/1'))
    expect([connections.size, sessions()]).toEqual([1, 1])
  })

  test('many who come at once to a BMC nobody was logged in to share one session', async () => {
    expect(await Promise.all(Array.from({ length: 20 }, query))).toEqual(Array(20).fill('off'))
    expect(said().filter(line => line.startsWith('POST'))).toHaveLength(1)
  })

  test('a session the BMC has ended is opened anew, once, and nobody hears of it', async () => {
    await query()
    for (const [token] of bmc.redfish?.sessions ?? []) (bmc.redfish?.sessions as Map<string, unknown>).delete(token)
    bmc.log.length = 0
    expect(await power('on')).toEqual({ state: 'on' })
    expect(said().filter(line => line.includes('Sessions'))).toHaveLength(1)
    expect(sessions()).toBe(1)
  })

  test('a BMC without a free session is talked to with Basic, and the sessions of others left alone', async () => {
    bmc.faults.exhausted = true
    expect(await power('on')).toEqual({ state: 'on' })
    expect(await query()).toBe('on')
    expect(said().filter(line => line.startsWith('POST') && line.endsWith('Sessions'))).toHaveLength(1) // not asked again with every poll
  })

  test('a caller that gives up while it is being let in leaves no session behind', async () => {
    bmc.faults.slow = 30
    const controller = new AbortController()
    const pending = redfish.query(parameters(), { ...options, signal: controller.signal })
    controller.abort()
    await expect(pending).rejects.toMatchObject({ code: 'POWER_FAILED' })
    await options.kept.close()
    expect(sessions()).toBe(0)
  })

  test('another password is another session: nothing is read with one that was changed since', async () => {
    await query()
    await expect(redfish.query({ ...parameters(), password: 'hunter2' }, options)).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
  })

  test('a BMC without sessions is talked to with Basic', async () => {
    bmc.faults.noSessions = true
    expect(await power('on')).toEqual({ state: 'on' })
    await expect(redfish.query({ ...parameters(), password: 'wrong' }, options)).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
  })

  test('a BMC that shows nobody its service root is logged in to at the usual place', async () => {
    bmc.faults.closed = true
    expect(await power('on')).toEqual({ state: 'on' })
  })

  test('the entity tag is sent, and a system that changed meanwhile is read again', async () => {
    bmc.faults.needsEtag = true
    bmc.faults.changing = 1
    await power('on', { boot: 'disk' })
    expect(machine.bootedFrom()).toBe('disk')
    expect(said().filter(line => line.startsWith('PATCH'))).toHaveLength(2)
  })

  test('a system that never stops changing is an error worth another try', async () => {
    bmc.faults.changing = 99
    await expect(power('on', { boot: 'network' })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('kept changing') })
    expect(machine.switches()).toBe(0)
  })

  test('the firmware\'s mode goes along when it is known how the machine boots', async () => {
    await power('on', { boot: 'network', firmware: 'bios' })
    expect(said()).toContain('PATCH /redfish/v1/Systems/1 Pxe Legacy')
  })

  test('it waits through PoweringOn and PoweringOff, and what is on its way off is switched on once it is off', async () => {
    bmc.faults.takes = 3
    expect(await power('on')).toEqual({ state: 'on' })
    expect(await power('off')).toEqual({ state: 'off' })
    expect(machine.switches()).toBe(2)
    machine.set('on')
    bmc.model.systems[0].act('off')
    bmc.log.length = 0
    expect(await power('on')).toEqual({ state: 'on' })
    expect(machine.switches()).toBe(4)
  })

  test('a BMC that works on a reset as a task is asked how it goes; a task that fails is told in its words', async () => {
    bmc.faults.tasks = true
    expect(await power('on')).toEqual({ state: 'on' })
    bmc.faults.taskFails = true
    await expect(power('off')).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('internal service error') })
  })

  test('a power state that is hidden is unknown, and the chassis\'s is taken for it', async () => {
    bmc.faults.tells = 'hidden'
    expect(await query()).toBe('off')
    machine.set('on')
    expect(await query()).toBe('on')
  })

  test('the sole system is found, once; of several one must be named', async () => {
    const whole = { address: addressOf(bmc, undefined).replace(/\/redfish.*/, '') }
    const url = new URL(whole.address.replace('redfish+', ''))
    expect(await power('on', { address: url.href })).toEqual({ state: 'on' })
    await power('off', { address: url.href })
    expect(said().filter(line => line === 'GET /redfish/v1/Systems')).toHaveLength(1)
    await options.kept.close()
    options = { ...options, kept: createKept() }
    await begin({ machines: [createNothing({ name: 'a' }), createNothing({ name: 'b' })] })
    await expect(redfish.query(checked(redfish, { address: bmc.redfish?.url ?? '', ...account }), options)).rejects.toThrow('/redfish/v1/Systems/1, /redfish/v1/Systems/2')
    expect(await redfish.power(checked(redfish, { address: addressOf(bmc, 1) }), 'on', { ...options, boot: null })).toEqual({ state: 'on' })
    expect(bmc.machines.map(one => one.state())).toEqual(['off', 'on'])
  })

  test('all systems of a service are told, each with what powers it but the secret', async () => {
    await begin({ machines: [createNothing({ name: 'a' }), createNothing({ name: 'b' })] })
    expect(await redfish.members?.(parameters(), options)).toEqual(bmc.machines.map(({ hardware: { name, uuid, macs } }, index) => ({ name, uuid, macs, parameters: { address: `${bmc.redfish?.url}/redfish/v1/Systems/${index + 1}`, user: account.user } })))
  })

  test('a reset the BMC does not allow is refused before it is asked for; one without On has its button pushed', async () => {
    await begin({ profile: { resetTypes: ['ForceRestart', 'PushPowerButton'] } })
    machine.set('on')
    await expect(power('off')).rejects.toMatchObject({ code: 'POWER_UNSUPPORTED', message: expect.stringContaining('it allows ForceRestart, PushPowerButton') })
    expect(said().filter(line => line.includes('Reset '))).toEqual([])
    expect(await power('shutdown')).toEqual({ state: 'off' })
    expect(await power('on')).toEqual({ state: 'on' })
  })

  test('another image in the drive is taken out first; what the BMC says is missing is added', async () => {
    await begin({ profile: { media: { under: 'system', drives: [{ id: 'Usb', types: ['USBStick'] }, { id: 'Cd', types: ['CD'] }], by: 'action', needs: ['Image', 'TransferProtocolType', 'UserName'], refuses: ['Inserted'], keepsName: true } } })
    const insert = (image: string | null) => redfish.insert?.(parameters(), image, options)
    expect(await insert('http://images.example/a.iso')).toEqual({ image: 'http://images.example/a.iso' })
    expect(await insert('https://images.example/b.iso')).toEqual({ image: 'https://images.example/b.iso' })
    expect(machine.media()).toBe('https://images.example/b.iso')
    expect(await insert(null)).toEqual({ image: null })
    expect(machine.media()).toBe(null)
    await expect(insert('gopher://images.example/c.iso')).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('Image is no URL') })
  })

  test('what the BMC does not have is said for good', async () => {
    await begin({ profile: { without: ['VirtualMedia', 'LogServices', 'Sensors', 'Thermal', 'Power', 'ThermalSubsystem', 'UpdateService'] } })
    for (const method of ['media', 'log', 'sensors'] as const) await expect(redfish[method]?.(parameters(), options)).rejects.toMatchObject({ code: 'POWER_UNSUPPORTED' })
    expect(await redfish.inventory?.(parameters(), options)).toEqual([{ name: 'BIOS', version: '1.2.3', updateable: null }, { name: 'BMC', version: '1.0.0', updateable: null }])
  })

  test.each([['Sensors alone', ['Thermal', 'Power', 'ThermalSubsystem']], ['ThermalSubsystem alone', ['Thermal', 'Power', 'Sensors']], ['Thermal and Power', ['Sensors', 'ThermalSubsystem']]] as const)('sensors are read of %s', async (_, without) => {
    await begin({ profile: { without } })
    machine.set('on')
    expect(await redfish.sensors?.(parameters(), options)).toContainEqual(expect.objectContaining({ name: 'Inlet Temp', kind: 'temperature', value: 23, unit: '°C' }))
    expect(await redfish.sensors?.(parameters(), options)).toContainEqual(expect.objectContaining({ kind: 'fan', value: 5400, unit: 'RPM' }))
  })

  test('the log begins with the newest', async () => {
    await power('on')
    const log = await redfish.log?.(parameters(), options) ?? []
    expect(log.map(({ at }) => at)).toEqual(log.map(({ at }) => at).toSorted().reverse())
    expect(log).toContainEqual(expect.objectContaining({ severity: 'critical', message: 'Power supply 1 has lost its input.', at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) }))
  })

  test('a page instead of JSON, or a cut connection, is an error with a code; a kept connection that was cut is made anew', async () => {
    bmc.faults.garbage = true
    await expect(power('on')).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('no JSON') })
    bmc.faults.garbage = false
    expect(machine.switches()).toBe(0)
    await options.kept.close()
    options = { ...options, kept: createKept() }
    bmc.faults.hangsUp = 1
    await expect(power('on')).rejects.toMatchObject({ code: 'POWER_FAILED' })
    await query()
    bmc.faults.hangsUp = 1
    expect(await query()).toBe('off')
  })

  test('what the BMC says of its refusal is told, but never the password it repeats', async () => {
    const error: unknown = await redfish.query({ ...parameters(), password: 'hunter2' }, options).catch((reason: unknown) => reason)
    expect(redacted(error, ['hunter2']).message).toMatch(/^The BMC refuses the credentials \(HTTP 401: .*\)\. Correct the machine's power parameters\.$/)
    expect(JSON.stringify(redacted(error, ['hunter2']).details)).not.toContain('hunter2')
  })
})

describe('redfish over TLS', () => {
  test('a certificate nobody signed is refused, taken when pinned or told to, and nothing is said to another one', async () => {
    const bmc = await startBmc({ account, redfish: { tls: true } })
    const fingerprint = bmc.redfish?.fingerprint ?? ''
    const kept = createKept()
    try {
      const ask = (tls?: string) => redfish.query(checked(redfish, { address: addressOf(bmc), ...(tls === undefined ? {} : { tls }) }), { signal: new AbortController().signal, clock: systemClock, pace: { ...quickPace, request: 5_000 }, kept })
      await expect(ask()).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('not trusted') })
      await expect(ask(`sha256:${'ab'.repeat(32)}`)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining(fingerprint) })
      expect(bmc.log).toEqual([])
      expect(await ask(`sha256:${fingerprint}`)).toBe('off')
      expect(await ask(`sha256:${fingerprint.toUpperCase().match(/../g)?.join(':')}`)).toBe('off')
      expect(await ask('insecure')).toBe('off')
      bmc.redfish?.server.closeAllConnections()
      expect(await ask(`sha256:${fingerprint}`)).toBe('off') // with the handshake that goes on from the last
    } finally { await kept.close(); await bmc.close() }
  })
})
