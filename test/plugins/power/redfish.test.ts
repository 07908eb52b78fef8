/** redfish, as every driver is judged, and what is particular to it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { createKept } from '../../../plugins/power/kept.ts'
import type { PowerActionName } from '../../../plugins/power/manifest.ts'
import { redfish } from '../../../plugins/power/drivers/redfish.ts'
import { checked } from '../../../plugins/power/parameters.ts'
import { powerDriverConformance, quickPace } from '../../kit/conformance/power-driver.ts'
import { account, addressOf, startBmc, type Bmc } from './bmc.ts'
import { certificate } from './certificate.ts'

powerDriverConformance(redfish, async () => {
  const bmc = await startBmc()
  const address = `${bmc.url}/redfish/v1/Systems/1`
  return {
    parameters: { address, ...account },
    machine: {
      state: () => bmc.state === 'On' ? 'on' : 'off',
      set: state => { bmc.state = state === 'on' ? 'On' : 'Off' },
      switches: () => bmc.switches,
      bootedFrom: () => { const device = bmc.booted.at(-1); return device === 'Pxe' ? 'network' : device === 'Hdd' ? 'disk' : null }
    },
    faults: {
      wrongCredentials: { address, user: account.user, password: 'wrong' },
      unreachable: { address: 'http://127.0.0.1:9/redfish/v1/Systems/1', ...account },
      busy: times => { bmc.faults.busy = times },
      lie: () => { bmc.faults.lies = true },
      slow: ms => { bmc.faults.slow = ms },
      loseAnswer: () => { bmc.faults.dieAfterReset = true }
    },
    close: bmc.close
  }
})

describe('redfish', () => {
  let bmc: Bmc
  beforeEach(async () => { bmc = await startBmc() })
  afterEach(async () => { await bmc.close() })
  const options = { signal: new AbortController().signal, clock: systemClock, pace: quickPace, kept: createKept() }
  const power = (action: PowerActionName, { boot = null, ...parameters }: { boot?: 'network' | 'disk' | null, address?: string, tls?: string } = {}) => redfish.power(checked(redfish, { address: addressOf(bmc), ...parameters }), action, { ...options, boot })

  test('its whole conversation, and the session given back', async () => {
    await power('on', { boot: 'network' })
    expect(bmc.log.map(line => line.replace(/Sessions\/\w+/, 'Sessions/…'))).toEqual([
      'GET /redfish/v1', 'POST /redfish/v1/SessionService/Sessions', 'GET /redfish/v1/Systems/1', 'PATCH /redfish/v1/Systems/1 Pxe UEFI',
      'POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset On', 'GET /redfish/v1/Systems/1', 'DELETE /redfish/v1/SessionService/Sessions/…'
    ])
    expect(bmc.sessions.size).toBe(0)
  })

  test('a session is given back after a failure as well', async () => {
    bmc.faults.lies = true
    await expect(power('on')).rejects.toThrow('still off')
    expect(bmc.sessions.size).toBe(0)
  })

  test('a BMC without sessions is talked to with Basic', async () => {
    bmc.faults.noSessions = true
    expect(await power('on')).toEqual({ state: 'on' })
    await expect(redfish.query(checked(redfish, { address: bmc.url, user: 'root', password: 'wrong' }), options)).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION' })
  })

  test('a BMC that shows nobody its service root is logged in to at the usual place', async () => {
    bmc.faults.closed = true
    expect(await power('on')).toEqual({ state: 'on' })
  })

  test('the entity tag is sent, and a system that changed meanwhile is read again', async () => {
    bmc.faults.needsEtag = true
    bmc.faults.changing = 1
    await power('on', { boot: 'disk' })
    expect(bmc.booted).toEqual(['Hdd'])
    expect(bmc.log.filter(line => line.startsWith('PATCH'))).toHaveLength(2)
  })

  test('a system that never stops changing is an error worth another try', async () => {
    bmc.faults.changing = 99
    await expect(power('on', { boot: 'network' })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('kept changing') })
    expect(bmc.switches).toBe(0)
  })

  test('it waits through PoweringOn and PoweringOff', async () => {
    bmc.faults.takes = 3
    expect(await power('on')).toEqual({ state: 'on' })
    expect(await power('off')).toEqual({ state: 'off' })
    expect(bmc.switches).toBe(2)
  })

  test('the sole system is found; of several one must be named', async () => {
    expect(await power('on', { address: addressOf(bmc).replace('/redfish/v1/Systems/1', '') })).toEqual({ state: 'on' })
    bmc.systems = ['/redfish/v1/Systems/A', '/redfish/v1/Systems/B']
    await expect(power('off', { address: addressOf(bmc).replace('/redfish/v1/Systems/1', '') })).rejects.toThrow('/redfish/v1/Systems/A, /redfish/v1/Systems/B')
    expect(await power('off', { address: addressOf(bmc).replace('Systems/1', 'Systems/B') })).toEqual({ state: 'off' })
  })

  test('a reset the BMC does not allow is refused before it is asked for', async () => {
    bmc.allow = ['On', 'ForceOff']
    bmc.state = 'On'
    await expect(power('shutdown')).rejects.toMatchObject({ code: 'POWER_UNSUPPORTED', message: expect.stringContaining('it allows On, ForceOff') })
    expect(bmc.log.filter(line => line.startsWith('POST') && line.includes('Reset'))).toEqual([])
  })

  test('a page instead of JSON, or a cut connection, is an error with a code', async () => {
    bmc.faults.garbage = true
    await expect(power('on')).rejects.toMatchObject({ code: expect.stringMatching(/^POWER_/) })
    bmc.faults.garbage = false
    bmc.faults.hangsUp = 1
    await expect(power('on')).rejects.toMatchObject({ code: 'POWER_FAILED' })
  })

  test('what the BMC says of its refusal is told, but never the password it repeats', async () => {
    const { redacted } = await import('../../../plugins/power/driver.ts')
    const wrong = checked(redfish, { address: addressOf(bmc, { user: 'root', password: 'hunter2' }) })
    const error: unknown = await redfish.query(wrong, options).catch((reason: unknown) => reason)
    expect(redacted(error, ['hunter2']).message).toBe('The BMC refuses the credentials (HTTP 401: Wrong password [redacted]). Correct the machine\'s power parameters.')
    expect(JSON.stringify(redacted(error, ['hunter2']).details)).not.toContain('hunter2')
  })
})

describe('redfish over TLS', () => {
  test('a certificate nobody signed is refused, taken when pinned or told to, and nothing is said to another one', async () => {
    const own = await certificate()
    const bmc = await startBmc(own)
    try {
      const ask = (tls?: string) => redfish.query(checked(redfish, { address: addressOf(bmc), ...(tls === undefined ? {} : { tls }) }), { signal: new AbortController().signal, clock: systemClock, pace: { ...quickPace, request: 5_000 }, kept: createKept() })
      await expect(ask()).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining('not trusted') })
      await expect(ask(`sha256:${'ab'.repeat(32)}`)).rejects.toMatchObject({ code: 'POWER_REFUSED', message: expect.stringContaining(own.fingerprint) })
      expect(bmc.log).toEqual([])
      expect(await ask(`sha256:${own.fingerprint}`)).toBe('off')
      expect(await ask(`sha256:${own.fingerprint.toUpperCase().match(/../g)?.join(':')}`)).toBe('off')
      expect(await ask('insecure')).toBe('off')
    } finally { await bmc.close() }
  })
})
