/** amt, as every driver is judged, against a responder made here; its messages beside those of Intel's own library; its digest beside RFC 7616's. */
import { AMT, CIM } from '@device-management-toolkit/wsman-messages'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { amt } from '../../../../plugins/power/drivers/amt.ts'
import { changeOrder, cleared, useOnce } from '../../../../plugins/power/drivers/amt/boot.ts'
import { authorization, challengeIn } from '../../../../plugins/power/drivers/amt/digest.ts'
import { servicesIn } from '../../../../plugins/power/drivers/amt/service.ts'
import { uuidOf } from '../../../../plugins/power/drivers/amt/identity.ts'
import { stateOf } from '../../../../plugins/power/drivers/amt/states.ts'
import { envelope, get, invoke, put, read, reference, type Message } from '../../../../plugins/power/drivers/amt/wsman.ts'
import { createKept, type Kept } from '../../../../plugins/power/kept.ts'
import type { PowerActionName } from '../../../../plugins/power/manifest.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { limits } from '../../../../plugins/power/recent.ts'
import { selfSigned } from '../../../../sim/bmc/certificate.ts'
import { manualClock } from '../../../kit/clock.ts'
import { powerDriverConformance, quickPace } from '../../../kit/conformance/power-driver.ts'
import { canonical } from './amt/canonical.ts'
import { account, startAmt, type AmtMachine } from './amt/machine.ts'

const uuid = '5f0b9c3e-2d1a-4b6c-8e7f-001122334455'

powerDriverConformance(amt, async () => {
  const machine = await startAmt()
  const address = `amt+${machine.url}`
  return {
    parameters: { address, ...account },
    machine: {
      state: () => machine.state === '2' ? 'on' : 'off',
      set: state => { machine.state = state === 'on' ? '2' : '8' },
      switches: () => machine.switches,
      bootedFrom: () => { const source = machine.booted.at(-1); return source === 'PXE' ? 'network' : source === 'Hard-drive' ? 'disk' : null }
    },
    hardware: { identity: { uuid, manufacturer: 'Intel(R) Client Systems', model: 'NUC9V7QNX', serial: 'GEQN0243007J', bmcVersion: '14.0.40' } },
    faults: {
      wrongCredentials: { address, ...account, password: 'wrong' },
      unreachable: { address: 'amt+http://127.0.0.1:9', ...account },
      busy: times => { machine.faults.busy = times },
      lie: () => { machine.faults.lies = true },
      slow: ms => { machine.faults.slow = ms },
      loseAnswer: () => { machine.faults.dieAfterSwitch = true }
    },
    close: machine.close
  }
})

describe('amt', () => {
  let machine: AmtMachine
  let kept: Kept
  beforeEach(async () => { machine = await startAmt(); kept = createKept() })
  afterEach(async () => { await kept.close(); await machine.close() })
  const options = () => ({ signal: new AbortController().signal, clock: systemClock, pace: quickPace, kept })
  const parameters = () => checked(amt, { address: `amt+${machine.url}`, ...account })
  const power = (action: PowerActionName, boot: 'network' | 'disk' | null = null) => amt.power(parameters(), action, { ...options(), boot })

  test('a connection nobody uses for some minutes is forgotten', async () => {
    const clock = manualClock()
    const query = () => amt.query(parameters(), { ...options(), clock })
    await query()
    await clock.advance(limits.idle - limits.sweep)
    await query()
    await clock.advance(limits.idle - limits.sweep)
    expect(servicesIn(kept, clock).size).toBe(1)
    await clock.advance(2 * limits.sweep)
    expect(servicesIn(kept, clock).size).toBe(0)
    expect(await query()).toBe('off')
  })

  test('its whole conversation', async () => {
    await power('on', 'network')
    expect(machine.asked).toEqual(['CIM_AssociatedPowerManagementService Get', 'AMT_BootSettingData Get', 'CIM_BootConfigSetting ChangeBootOrder', 'CIM_BootService SetBootConfigRole', 'CIM_PowerManagementService RequestPowerStateChange', 'PowerState 2', 'CIM_AssociatedPowerManagementService Get'])
    expect(machine.booted).toEqual(['PXE'])
  })

  test('a nonce that has grown old costs a question, not an error', async () => {
    for (let time = 0; time < 20; time++) expect(await amt.query(parameters(), options())).toBe('off')
    expect(machine.asked).toHaveLength(20)
  })

  test('a boot device that was chosen for a start that never came leads no later start', async () => {
    machine.faults.lies = true
    await expect(power('on', 'network')).rejects.toThrow('still off')
    machine.faults.lies = false
    await power('on')
    expect(machine.booted).toEqual([null])
  })

  test('redirection and setup that somebody wished for are taken back, all else stays', async () => {
    Object.assign(machine.settings, { BIOSSetup: 'true', UseIDER: 'true', IDERBootDevice: '1', LockKeyboard: 'true' })
    await power('on', 'disk')
    expect(machine.settings).toMatchObject({ BIOSSetup: 'false', UseIDER: 'false', IDERBootDevice: '0', LockKeyboard: 'true', InstanceID: 'Intel(r) AMT:BootSettingData 0' })
    expect(machine.booted).toEqual(['Hard-drive'])
  })

  test('it waits for a state that takes its time, and wakes a machine that sleeps', async () => {
    machine.faults.takes = 3
    expect(await power('on')).toEqual({ state: 'on' })
    expect(await power('off')).toEqual({ state: 'off' })
    machine.state = '4'
    expect(await amt.query(parameters(), options())).toBe('unknown')
    expect(await power('on')).toEqual({ state: 'on' })
  })

  test('a shutdown is asked for only where the system can hear it', async () => {
    machine.state = '2'
    machine.offered = ['5', '8', '10']
    await expect(power('shutdown')).rejects.toMatchObject({ code: 'POWER_UNSUPPORTED', message: expect.stringContaining('LMS') })
    expect(machine.switches).toBe(0)
    machine.offered = ['5', '8', '10', '12']
    expect(await power('shutdown')).toEqual({ state: 'off' })
    expect(machine.asked).toContain('PowerState 12')
  })

  test.each([['1', 'POWER_UNSUPPORTED'], ['2', 'POWER_FAILED'], ['5', 'POWER_REFUSED'], ['2066', 'POWER_REFUSED']])('return value %s is %s', async (value, code) => {
    machine.refusal = value
    await expect(power('on', 'network')).rejects.toMatchObject({ code })
    await expect(power('on')).rejects.toMatchObject({ code })
    expect(machine.switches).toBe(0)
  })

  test.each([['AccessDenied', 'POWER_AUTHENTICATION'], ['QuotaLimit', 'POWER_FAILED'], ['DestinationUnreachable', 'POWER_REFUSED']])('the fault %s is %s, and told', async (fault, code) => {
    machine.faults.fault = fault
    await expect(power('on')).rejects.toMatchObject({ code, message: expect.stringContaining(`${fault} (It says why.)`) })
  })

  test('a page instead of SOAP is an error worth another try', async () => {
    machine.faults.page = true
    await expect(power('on')).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('no SOAP') })
  })
})

test('over TLS nothing is said to a certificate that is not the pinned one', async () => {
  const own = selfSigned('127.0.0.1')
  const machine = await startAmt(own)
  const kept = createKept()
  try {
    const ask = (tls?: string) => amt.query(checked(amt, { address: machine.url, ...account, ...(tls === undefined ? {} : { tls }) }), { signal: new AbortController().signal, clock: systemClock, pace: { ...quickPace, request: 5_000 }, kept })
    await expect(ask()).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('not trusted') })
    await expect(ask(`sha256:${'ab'.repeat(32)}`)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining(own.fingerprint) })
    expect(machine.asked).toEqual([])
    expect(await ask(`sha256:${own.fingerprint}`)).toBe('off')
  } finally { await kept.close(); await machine.close() }
})

describe('the messages are those of Intel\'s own library', () => {
  const [cim, intel] = [new CIM.Messages(), new AMT.Messages()]
  const configuration = 'Intel(r) AMT: Boot Configuration 0'
  const system = { raw: reference('CIM_ComputerSystem', { CreationClassName: 'CIM_ComputerSystem', Name: 'ManagedSystem' }) }
  const cases: readonly (readonly [string, Message, string])[] = [
    ['power on', invoke('CIM_PowerManagementService', 'RequestPowerStateChange', { PowerState: 2, ManagedElement: system }), cim.PowerManagementService.RequestPowerStateChange(2)],
    ['power off', invoke('CIM_PowerManagementService', 'RequestPowerStateChange', { PowerState: 8, ManagedElement: system }), cim.PowerManagementService.RequestPowerStateChange(8)],
    ['boot from the network', changeOrder('network'), cim.BootConfigSetting.ChangeBootOrder('Intel(r) AMT: Force PXE Boot')],
    ['boot from the disk', changeOrder('disk'), cim.BootConfigSetting.ChangeBootOrder('Intel(r) AMT: Force Hard-drive Boot')],
    ['boot as usual', changeOrder(null), cim.BootConfigSetting.ChangeBootOrder()],
    ['for once', useOnce(), cim.BootService.SetBootConfigRole(configuration, 1)],
    ['boot settings', get('AMT_BootSettingData'), intel.BootSettingData.Get()],
    ['the machine', get('CIM_ComputerSystemPackage'), cim.ComputerSystemPackage.Get()],
    ['the chassis', get('CIM_Chassis'), cim.Chassis.Get()]
  ]
  test.each(cases)('%s', (_, ours, theirs) => { expect(canonical(envelope(ours, 'uuid:1', 30_000))).toEqual(canonical(theirs)) })

  test('boot settings that are put', () => {
    const settings = { BIOSPause: false, BIOSSetup: false, BootMediaIndex: 0, ConfigurationDataReset: false, ElementName: 'Intel(r) AMT Boot Configuration Settings', EnforceSecureBoot: false, FirmwareVerbosity: 0, ForcedProgressEvents: false, IDERBootDevice: 0, InstanceID: 'Intel(r) AMT:BootSettingData 0', LockKeyboard: true, LockPowerButton: false, LockResetButton: false, LockSleepButton: false, OwningEntity: 'Intel(r) AMT', ReflashBIOS: false, UseIDER: false, UseSOL: false, UseSafeMode: false, UserPasswordBypass: false }
    const told = { ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])), BIOSSetup: 'true', BIOSLastStatus: ['2', '0'], BootguardStatus: '127', OptionsCleared: 'false', WinREBootEnabled: 'true' }
    expect(canonical(envelope(put('AMT_BootSettingData', cleared(told) ?? {}), 'uuid:1', 30_000))).toEqual(canonical(intel.BootSettingData.Put(settings as Parameters<typeof intel.BootSettingData.Put>[0])))
    expect(cleared({ ...told, BIOSSetup: 'false' })).toBeUndefined()
    expect(() => cleared(undefined)).toThrow('no boot settings')
  })
})

describe('answers', () => {
  const answer = (body: string) => `<?xml version="1.0"?><x:Envelope xmlns:x="http://www.w3.org/2003/05/soap-envelope"><x:Body>${body}</x:Body></x:Envelope>`
  test('are read whatever their prefixes are, numbers as they stand', () => {
    expect(read(answer('<q:Thing xmlns:q="u"><q:A>007</q:A><q:B>a &amp; b</q:B><q:C>1</q:C><q:C>2</q:C></q:Thing>'))).toEqual({ body: { Thing: { A: '007', B: 'a & b', C: ['1', '2'] } } })
  })
  test('that are none are told from those that are', () => {
    for (const content of ['', '<html/>', '<x:Envelope>', answer('').replace('<?xml version="1.0"?>', '<!DOCTYPE x [<!ENTITY y "z">]>'), '{"json": true}']) expect(read(content)).toBeUndefined()
    fc.assert(fc.property(fc.string(), content => { read(content) })) // never throws
  })
  test('states', () => { expect(['2', '3', '4', '6', '7', '8', '13', '99', undefined].map(PowerState => stateOf({ PowerState }))).toEqual(['on', 'unknown', 'unknown', 'off', 'off', 'off', 'off', 'unknown', 'unknown']) })
  test('a value that is sent is written so that it stays one value', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme-ascii' }).map(text => text.trim()).filter(text => text !== ''), value => {
      expect(read(envelope(put('AMT_Thing', { Value: value }), value, 1))).toEqual({ body: { AMT_Thing: { Value: value } } })
    }))
  })
  test('the machine\'s UUID is SMBIOS\'s bytes', () => {
    expect(uuidOf('3E9C0B5F1A2D6C4B8E7F001122334455')).toBe(uuid)
    for (const guid of [undefined, '', 'no', '0'.repeat(32)]) expect(uuidOf(guid)).toBeNull()
  })
})

describe('digest', () => {
  const nonce = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v'
  const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ'
  const offered = `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="${nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
  const mufasa = { user: 'Mufasa', password: 'Circle of Life', method: 'GET', uri: '/dir/index.html', count: 1, cnonce }

  test.each([['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'], ['MD5', '8ca523f5e9506fed4657c9700eebdbec']])('answers the challenge of RFC 7616, section 3.9.1, with %s', (algorithm, response) => {
    const challenge = challengeIn(offered.replace('SHA-256', algorithm))
    expect(challenge).toBeDefined()
    if (challenge === undefined) return
    expect(authorization(challenge, mufasa)).toBe(`Digest username="Mufasa", realm="http-auth@example.org", nonce="${nonce}", uri="/dir/index.html", algorithm=${algorithm}, response="${response}", qop=auth, nc=00000001, cnonce="${cnonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`)
  })
  test('of several challenges takes the strongest it can answer', () => {
    expect(challengeIn(`Basic realm="x", ${offered.replace('SHA-256', 'MD5')}, ${offered}, Digest realm="y", nonce="n", algorithm=SHA-512-256`)).toMatchObject({ algorithm: 'SHA-256' })
    expect(challengeIn('Digest realm="a \\"b\\"", nonce="n"')).toEqual({ realm: 'a "b"', nonce: 'n', algorithm: 'MD5', qop: undefined, opaque: undefined })
    for (const header of [undefined, '', 'Basic realm="x"', 'Digest realm="x"', 'Digest realm="x", nonce="n", qop="auth-int"', 'Digest realm="x", nonce="n", algorithm=MD5-sess']) expect(challengeIn(header)).toBeUndefined()
  })
  test('without qop is RFC 2069\'s', () => {
    expect(authorization({ realm: 'testrealm@host.com', nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093', algorithm: 'MD5', qop: undefined, opaque: undefined }, { ...mufasa, password: 'CircleOfLife' })).toContain('response="1949323746fe6a43ef61f9606e7febea"')
  })
})

describe('parameters', () => {
  test.each([
    ['amt://admin:secret@desk.example', { address: 'https://desk.example:16993', user: 'admin', password: 'secret' }], ['amt+http://desk.example', { address: 'http://desk.example:16992' }],
    ['https://[fe80::1]:443/wsman', { address: 'https://[fe80::1]:443' }], ['10.0.0.1', { address: 'https://10.0.0.1:16993' }]
  ])('%s', (address, normal) => {
    expect(checked(amt, { address })).toEqual(normal)
    expect(checked(amt, checked(amt, { address }))).toEqual(normal)
  })
  test('where it is', () => { expect(amt.endpoint?.({ address: 'https://[fe80::1]:443' })).toEqual({ by: 'tcp', host: 'fe80::1', port: 443 }) })
  test('no path, no other driver', () => { for (const address of ['amt://h/redfish', 'ipmi://h']) expect(() => checked(amt, { address })).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' })) })
})
