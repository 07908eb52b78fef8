/** apc: its parameters, and what outlets' states make of a machine's. Against agents: apc.system.test.ts. */
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { apc } from '../../../../plugins/power/drivers/apc.ts'
import { withAgent } from '../../../../plugins/power/drivers/apc/agent.ts'
import { outletsOf, pdus, stateOf, together } from '../../../../plugins/power/drivers/apc/pdus.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { quickPace } from '../../../kit/conformance/power-driver.ts'

describe('parameters', () => {
  test.each([
    [{ address: 'apc://pdu.example/3' }, { address: 'apc://pdu.example', outlets: '3' }],
    [{ address: 'apc://:secret%2Fword@10.0.0.1:161/4,3,3' }, { address: 'apc://10.0.0.1', outlets: '3,4', community: 'secret/word' }],
    [{ address: 'apc://admin:long-enough@[fe80::1]:1161/7' }, { address: 'apc://[fe80::1]:1161', outlets: '7', user: 'admin', authPassword: 'long-enough' }],
    [{ address: '10.0.0.1', outlets: '12', community: 'x', version: '1' }, { address: 'apc://10.0.0.1', outlets: '12', community: 'x', version: '1' }],
    [{ address: 'apc://10.0.0.1/1', outlets: '2' }, { address: 'apc://10.0.0.1', outlets: '2' }]
  ])('%j is %j', (given, normal) => {
    expect(checked(apc, given)).toEqual(normal)
    expect(checked(apc, checked(apc, given))).toEqual(normal)
  })
  test.each([
    [{ address: 'apc://10.0.0.1' }, 'names no outlet'], [{ address: 'apc://10.0.0.1/third' }, 'names no outlet'], [{ address: 'apc://10.0.0.1/0' }, 'names no outlet'],
    [{ address: 'apc://10.0.0.1/1?mib=rpdu' }, 'a query'], [{ address: 'ipmi://10.0.0.1/1' }, 'ipmi://'], [{ address: 'apc://10.0.0.1/1', outlets: '1,' }, 'outlets'],
    [{ address: 'apc://10.0.0.1/1', version: '3' }, 'needs a user name'], [{ address: 'apc://u:long-enough@10.0.0.1/1', version: '2c' }, 'knows no user names'], [{ address: 'apc://u:short@10.0.0.1/1' }, 'authPassword']
  ])('%j is refused: %s', (given, reason) => {
    expect(() => checked(apc, given)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining(reason) }))
  })
})

describe('outlets', () => {
  test('are each named once, in order', () => { expect(outletsOf('12,3,3,1')).toEqual([1, 3, 12]) })

  const state = fc.constantFrom('on' as const, 'off' as const, undefined)
  test('one that is on keeps the machine on; it is off when all are', () => {
    fc.assert(fc.property(fc.array(state, { minLength: 1 }), states => {
      expect(together(states)).toBe(states.some(one => one === 'on') ? 'on' : states.every(one => one === 'off') ? 'off' : 'unknown')
    }))
  })
  test('what is wanted is there only when all of them have it', () => {
    fc.assert(fc.property(fc.array(state, { minLength: 1 }), fc.constantFrom('on' as const, 'off' as const), (states, wanted) => {
      expect(together(states, wanted) === wanted).toBe(states.every(one => one === wanted))
    }))
  })
})

test('every kind of PDU tells on from off, and commands them apart', () => {
  for (const pdu of Object.values(pdus)) {
    expect([stateOf(pdu, pdu.on), stateOf(pdu, pdu.off), stateOf(pdu, 99)]).toEqual(['on', 'off', undefined])
    expect(pdu.turnOn).not.toBe(pdu.turnOff)
    for (const oid of [pdu.state, pdu.command]) expect(oid).toMatch(/^1\.3\.6\.1\.4\.1\.318(\.\d+)+$/)
  }
})

test.each([['version 2c', { community: 'community' }], ['version 3', { user: 'user', authPassword: 'long-enough' }]])('a command by %s that is not answered is not repeated when the signal, asked, knows that it is over', async (_, access) => {
  const agent = createSocket('udp4').bind(0, '127.0.0.1')
  await once(agent, 'listening')
  let heard = 0
  agent.on('message', () => { heard++ })
  const { signal } = new AbortController()
  Object.defineProperty(signal, 'aborted', { get: () => heard > 0 }) // it tells nobody: as after a pause of the process, before any timer fired
  try {
    const options = { signal, clock: systemClock, kept: createKept(), pace: { ...quickPace, request: 300 } }
    await expect(withAgent({ host: '127.0.0.1', port: agent.address().port, ...access }, options, async ({ set }) => { await set('1.3.6.1.4.1.318.1', 1) })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('the time for it was over') })
    const last = once(agent, 'message')
    agent.send('last', agent.address().port, '127.0.0.1')
    await last
    expect(heard).toBe(2)
  } finally { agent.close() }
})
