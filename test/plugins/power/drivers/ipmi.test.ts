/** ipmi: what is particular to it; ipmi.system.test.ts judges it as every driver is. */
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { bootOnce } from '../../../../plugins/power/drivers/ipmi/boot.ts'
import { ipmi } from '../../../../plugins/power/drivers/ipmi.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { completionError } from '../../../../ipmi/completion.ts'
import { createClient } from '../../../../ipmi/client/client.ts'
import { bootParameter, progress, setBootOption } from '../../../../ipmi/commands/boot.ts'
import { defaultAccount, startBmc, type BmcOptions } from '../../../../sim/bmc/bmc.ts'
import { quickPace } from '../../../kit/conformance/power-driver.ts'

const undo: (() => Promise<void>)[] = []
afterEach(async () => { for (const one of undo.splice(0).reverse()) await one() })
async function start (options: Omit<BmcOptions, 'ipmi'> = {}) {
  const bmc = await startBmc({ ...options, ipmi: { port: 0 } })
  const kept = createKept()
  undo.push(() => bmc.close(), () => kept.close())
  return { bmc, parameters: checked(ipmi, { address: bmc.ipmi?.address() }), options: { signal: new AbortController().signal, clock: systemClock, pace: quickPace, kept } }
}

describe('parameters', () => {
  test.each([
    ['ipmi://admin:p%40ss@10.0.0.1', { address: 'ipmi://10.0.0.1', user: 'admin', password: 'p@ss' }],
    ['ipmi://10.0.0.1:623', { address: 'ipmi://10.0.0.1' }],
    ['10.0.0.1:6230', { address: 'ipmi://10.0.0.1:6230' }],
    ['ipmi://[fe80::1]:6230?cipher=17&privilege=administrator&lan=2.0&efi=yes', { address: 'ipmi://[fe80::1]:6230', cipher: '17', privilege: 'administrator', lan: '2.0', efi: 'yes' }]
  ])('%s', (address, parameters) => {
    expect(checked(ipmi, { address })).toEqual(parameters)
    expect(checked(ipmi, checked(ipmi, { address }))).toEqual(parameters)
  })
  test.each([
    ['a path', { address: 'ipmi://10.0.0.1/1' }, 'path'],
    ['an option that is none', { address: 'ipmi://10.0.0.1?speed=1' }, 'unknown'],
    ['an option given twice, differently', { address: 'ipmi://10.0.0.1?cipher=3', cipher: '17' }, 'something else'],
    ['the suite without a password, 0', { address: 'ipmi://10.0.0.1?cipher=0' }, 'cipher'],
    ['a password of 21 bytes in 20 characters', { address: '10.0.0.1', password: `ü${'x'.repeat(19)}` }, '20 bytes'],
    ['a password of 17 bytes with 1.5', { address: '10.0.0.1', lan: '1.5', password: 'x'.repeat(17) }, '16 bytes'],
    ['a key of 21 bytes', { address: '10.0.0.1', kg: 'x'.repeat(21) }, '20']
  ])('%s is refused', (_, parameters, words) => {
    const run = () => checked(ipmi, parameters)
    expect(run).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining(words) }))
    expect(run).not.toThrow(/xxx/)
  })
  test('where it is', () => {
    expect(ipmi.endpoint?.(checked(ipmi, { address: 'ipmi://10.0.0.1' }))).toEqual({ by: 'ipmi', host: '10.0.0.1', port: 623 })
    expect(ipmi.endpoint?.(checked(ipmi, { address: 'ipmi://[fe80::1]:624' }))).toEqual({ by: 'ipmi', host: 'fe80::1', port: 624 })
  })
})

describe('a session', () => {
  test('is kept from call to call, and closed with the box it is kept in', async () => {
    const { bmc, parameters, options } = await start()
    for (let count = 0; count < 3; count++) await ipmi.query(parameters, options)
    await ipmi.power(parameters, 'on', { ...options, boot: 'network', firmware: 'uefi' })
    expect(bmc.ipmi?.sessions.size).toBe(1)
    await options.kept.close()
    await expect.poll(() => bmc.ipmi?.sessions.size).toBe(0)
  })
})

describe('what is fatal and what is not', () => {
  test.each([
    [0xc0, 'POWER_FAILED'], [0xc1, 'POWER_UNSUPPORTED'], [0xcc, 'POWER_REFUSED'], [0xd4, 'POWER_AUTHENTICATION'], [0xd5, 'POWER_FAILED'], [0x99, 'POWER_REFUSED'], [0xff, 'POWER_FAILED']
  ])('completion code %i: %s', async (code, expected) => {
    const { bmc, parameters, options } = await start()
    await ipmi.query(parameters, options)
    bmc.faults.completion = code
    await expect(ipmi.query(parameters, options)).rejects.toMatchObject({ code: expected })
  })
  test('a user who may look but not switch', async () => {
    const { bmc, options } = await start({ accounts: [{ user: 'guest', password: 'guest', privilege: 'user' }] })
    const guest = checked(ipmi, { address: `ipmi://127.0.0.1:${bmc.ipmi?.port}?privilege=user`, user: 'guest', password: 'guest' })
    expect(await ipmi.query(guest, options)).toBe('off')
    await expect(ipmi.power(guest, 'on', { ...options, boot: null })).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION', message: expect.stringContaining('privilege') })
  })
})

describe('identity', () => {
  test.each([['smbios', 'auto'], ['ipmi', 'auto'], ['rfc4122', 'rfc4122'], ['smbios', 'smbios'], ['ipmi', 'ipmi']] as const)('the UUID is the machine\'s, sent in the order %s, told %s', async (guid, told) => {
    const { bmc, parameters, options } = await start({ profile: { ipmi: { manufacturer: 0, product: 1, guid, sessions: 4, suites: [3, 17], lan15: true } } })
    const identity = await ipmi.identify?.({ ...parameters, guid: told }, options)
    expect(identity?.uuid).toBe(bmc.machine.hardware.uuid)
    expect(identity?.serial).toBe(bmc.machine.hardware.serial)
  })
  test('the whole of the sensors and of the log', async () => {
    const { parameters, options } = await start()
    expect((await ipmi.sensors?.(parameters, options))?.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['temperature', 'fan', 'voltage', 'power']))
    await ipmi.power(parameters, 'on', { ...options, boot: null })
    for (const { id, severity, message } of await ipmi.log?.(parameters, options) ?? []) expect([id, severity, message].join(' ')).toMatch(/^\d+ (info|warning|critical) \S/)
  })
})

test('a boot device is set also where somebody announced one and died', async () => {
  const { bmc, parameters, options } = await start()
  const client = createClient()
  undo.push(() => client.close())
  await client.request({ host: '127.0.0.1', port: bmc.ipmi?.port ?? 0, user: defaultAccount.user, password: defaultAccount.password }, setBootOption, { parameter: bootParameter.progress, data: Buffer.of(progress.writing) })
  await expect(ipmi.power(parameters, 'on', { ...options, boot: 'network' })).resolves.toEqual({ state: 'on' })
})

test.each([0xff, 0xc1, 0xcc])('a boot device is set also where the BMC has no other boot parameter, and says so with %i', async code => {
  const asked: unknown[] = []
  await bootOnce({
    ask: async (_, value) => { asked.push(value); if (asked.length !== 3) throw completionError('Set System Boot Options', code); return undefined as never }, // announce, acknowledge, flags
    records: { get: () => undefined, set () {} }
  }, 'network', true)
  expect(asked).toHaveLength(3)
})
