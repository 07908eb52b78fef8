/** apc, as every driver is judged, against SNMP agents by others; and what is particular to it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { apc } from '../../../../plugins/power/drivers/apc.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import type { PowerActionName } from '../../../../plugins/power/manifest.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { powerDriverConformance, quickPace, type Subject } from '../../../kit/conformance/power-driver.ts'
import { accounts, outletsIn, startSnmpd, startSnmpsim, type Agent } from './apc/agents.ts'
import { startRelay } from './apc/relay.ts'

const pace = { ...quickPace, request: 600 }
const options = { signal: new AbortController().signal, clock: systemClock, pace, kept: createKept(), boot: null }
const { community, user, authPassword, privPassword } = accounts
const v3 = { user, authProtocol: 'sha', authPassword, privProtocol: 'aes', privPassword }
const power = (parameters: Readonly<Record<string, unknown>>, action: PowerActionName, boot: 'network' | null = null) => apc.power(checked(apc, parameters), action, { ...options, boot })
const query = (parameters: Readonly<Record<string, unknown>>) => apc.query(checked(apc, parameters), options)

describe('against net-snmp\'s snmpd', () => {
  let agent: Agent
  let outlets: ReturnType<typeof outletsIn>
  beforeAll(async () => { agent = await startSnmpd(); outlets = outletsIn(agent.folder) })
  afterAll(async () => { await agent.close() })
  beforeEach(() => { outlets.reset('rpdu') })

  const subject = (mibs: readonly string[], access: Readonly<Record<string, unknown>>) => async (): Promise<Subject> => {
    outlets.reset(...mibs)
    const relay = await startRelay(agent.port)
    const address = `apc://127.0.0.1:${relay.port}/3`
    return {
      parameters: { address, ...access }, pace: { request: pace.request },
      machine: { state: () => outlets.state(3), set: state => { outlets.set(3, state) }, switches: () => outlets.switches().length, bootedFrom: () => null },
      faults: {
        wrongCredentials: { address, user, authPassword: 'not the words' },
        unreachable: { address: 'apc://127.0.0.1:9/3', ...access },
        busy: times => { relay.drop = times * 3 }, // whatever is sent again of one question
        lie: () => { outlets.wish('lie') },
        slow: ms => { relay.delay = ms },
        loseAnswer: () => { relay.deaf = () => outlets.switches().length > 0 }
      },
      close: relay.close
    }
  }
  describe('a Rack PDU 2G, version 2c', () => { powerDriverConformance(apc, subject(['rpdu', 'rpdu2'], { community })) })
  describe('a Rack PDU, version 3', () => { powerDriverConformance(apc, subject(['rpdu'], v3)) })

  test.each([
    ['version 1', { version: '1', community }], ['version 2c', { community }], ['version 3, authentication only', { user, authPassword }],
    ['version 3', v3], ['version 3 with SHA-256', { ...v3, user: 'modern', authProtocol: 'sha256' }]
  ])('each kind of PDU is found out and switched by %s', async (_, access) => {
    for (const mib of ['rpdu2', 'rpdu', 'masterswitch']) {
      outlets.reset(mib)
      const parameters = { address: `127.0.0.1:${agent.port}`, outlets: '2', ...access }
      expect(await query(parameters)).toBe('off')
      expect(await power(parameters, 'on')).toEqual({ state: 'on' })
      expect(await query({ ...parameters, mib })).toBe('on')
      expect(await power({ ...parameters, mib }, 'off')).toEqual({ state: 'off' })
      expect(outlets.switches()).toEqual(['2 on', '2 off'])
    }
  })

  test('a machine with two power supplies is on while one outlet is, and switched by both', async () => {
    const parameters = { address: `apc://127.0.0.1:${agent.port}/4,1`, community }
    outlets.set(4, 'on')
    expect(await query(parameters)).toBe('on')
    expect((await power(parameters, 'on')).state).toBe('on')
    expect(outlets.switches()).toEqual(['1 on'])
    await power(parameters, 'off')
    expect([1, 2, 3, 4].map(outlets.state)).toEqual(['off', 'off', 'off', 'off'])
    expect(outlets.switches()).toEqual(['1 on', '1 off', '4 off'])
    expect(await query(parameters)).toBe('off')
  })

  test('that a PDU chooses no boot device is said', async () => {
    expect((await power({ address: `apc://127.0.0.1:${agent.port}/1`, community }, 'on', 'network')).note).toMatch(/boots from the network.*firmware/)
  })

  test.each([
    ['a community that may only read', { community: accounts.readOnly }, 'POWER_AUTHENTICATION'],
    ['a community nobody knows', { community: 'stranger' }, 'POWER_FAILED'],
    ['a user nobody knows', { user: 'stranger', authPassword }, 'POWER_AUTHENTICATION'],
    ['a wrong authentication password', { ...v3, authPassword: 'not the words' }, 'POWER_AUTHENTICATION'],
    ['too little protection', { user: 'modern', authProtocol: 'sha256', authPassword }, 'POWER_AUTHENTICATION'],
    ['no credentials', {}, 'POWER_PARAMETERS_INVALID'],
    ['a privacy password alone', { user, privPassword }, 'POWER_PARAMETERS_INVALID'],
    ['a PDU that does not have the outlet', { community, outlets: '9' }, 'POWER_REFUSED'],
    ['a kind of PDU it is not', { community, mib: 'rpdu2' }, 'POWER_REFUSED']
  ])('%s: %j is %s', async (_, more, code) => {
    const parameters = { address: `apc://127.0.0.1:${agent.port}`, outlets: '1', ...more }
    const error: unknown = await power(parameters, 'on').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code })
    for (const secret of [community, authPassword, privPassword]) expect(String(error)).not.toContain(secret)
    expect(outlets.switches()).toEqual([])
  })

  test('a PDU that does not take the command is told, and its words', async () => {
    outlets.wish('broken')
    await expect(power({ address: `apc://127.0.0.1:${agent.port}/1`, community }, 'on')).rejects.toMatchObject({ code: 'POWER_REFUSED', message: 'The BMC refuses: SNMP InconsistentValue' })
  })
})

describe('against snmpsim', () => {
  let agent: Agent
  beforeAll(async () => { agent = await startSnmpsim() })
  afterAll(async () => { await agent.close() })

  test.each(['1', '2c'])('a MasterSwitch keeps what it is told by version %s', async version => {
    const parameters = { address: `apc://:pdu@127.0.0.1:${agent.port}/1,2`, version }
    expect(await query(parameters)).toBe('off')
    expect(await power(parameters, 'on')).toEqual({ state: 'on' })
    expect(await query({ ...parameters, outlets: '2' })).toBe('on')
    expect(await power(parameters, 'off')).toEqual({ state: 'off' })
  })
})
