/** qemu's pure parts, and monitors that are none. */
import { createServer, type AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { isFatal } from '../../../../plugins/power/driver.ts'
import { qemu } from '../../../../plugins/power/drivers/qemu.ts'
import { alone, restored } from '../../../../plugins/power/drivers/qemu/bootindex.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { quickPace } from '../../../kit/conformance/power-driver.ts'

describe('addresses', () => {
  test.each([
    ['qemu+unix:///run/a%20b/qmp', { address: 'qemu+unix:///run/a%20b/qmp' }], ['qemu:///run/qmp', { address: 'qemu+unix:///run/qmp' }], ['qemu+unix:///run/what%3F%23', { address: 'qemu+unix:///run/what%3F%23' }],
    ['qemu+tcp://host:4444', { address: 'qemu+tcp://host:4444' }], ['qemu+tcp://[::1]:4444/', { address: 'qemu+tcp://[::1]:4444' }]
  ])('%s', (address, normal) => {
    expect(checked(qemu, { address })).toEqual(normal)
    expect(checked(qemu, checked(qemu, { address }))).toEqual(normal)
  })
  test.each([['qemu+tcp://host', 'port'], ['qemu+tcp://host:1/x', 'nothing after'], ['qemu+unix://host/run/qmp', 'on this rack itself'], ['qemu+unix:///', 'no path'], ['qemu+tcp://user@host:1', 'user name'], ['qemu+ssh://host', 'unix or tcp']])('%s is refused', (address, reason) => {
    expect(() => checked(qemu, { address })).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining(reason) }))
  })
  test('where it is is told of TCP, and of a path nothing: only this rack has it', () => {
    expect(qemu.endpoint?.(checked(qemu, { address: 'qemu+tcp://[::1]:4444' }))).toEqual({ by: 'tcp', host: '::1', port: 4444 })
    expect(qemu.endpoint?.(checked(qemu, { address: 'qemu:///run/qmp' }))).toBeUndefined()
  })
})

describe('the order of boot devices', () => {
  const machines = fc.uniqueArray(fc.integer({ min: -1, max: 9 }), { minLength: 1, selector: index => index === -1 ? {} : index }).map(list => new Map(list.map((index, at) => [`d${at}`, index])))
  const after = (now: ReadonlyMap<string, number>, changes: ReadonlyMap<string, number>) => new Map([...now, ...changes])

  test('a device alone in the order can be undone by whoever finds it so', () => {
    fc.assert(fc.property(machines, fc.nat(), (machine, pick) => {
      const ordered = [...machine].filter(([, index]) => index >= 0)
      fc.pre(ordered.length > 0)
      const [chosen] = ordered[pick % ordered.length] ?? ['']
      const turned = after(machine, alone(machine, chosen))
      expect([...turned].filter(([, index]) => index >= 0).map(([path]) => path)).toEqual([chosen])
      expect(after(turned, restored(turned))).toEqual(machine)
      for (const [other] of ordered) expect(after(turned, restored(turned)), 'from one to the other, without a way back in between').toEqual(after(after(turned, alone(turned, other)), restored(after(turned, alone(turned, other)))))
    }))
  })
  test('an order nobody turned is left alone', () => { fc.assert(fc.property(machines, machine => { expect(restored(machine).size).toBe(0) })) })
})

test.each([
  ['says nothing', ''], ['speaks something else', '220 mail ESMTP\r\n'], ['speaks JSON, but not this', '[1]\n{"hello":1}\n'], ['hangs up', null], ['never ends its line', 'x'.repeat(2_000_000)],
  ['answers with an error', '{"QMP":{}}\n{"id":1,"error":{"class":"GenericError","desc":"not now"}}\n'], ['answers with nonsense', '{"QMP":{}}\n{"id":1,"return":{}}\n{"id":2,"return":7}\n']
])('what %s is no monitor, and an error with a code', async (_, text) => {
  const server = createServer(socket => { socket.on('error', () => {}); if (text === null) socket.destroy(); else socket.write(text) })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  try {
    const parameters = checked(qemu, { address: `qemu+tcp://127.0.0.1:${(server.address() as AddressInfo).port}` })
    await expect(qemu.query(parameters, { signal: new AbortController().signal, clock: systemClock, pace: { ...quickPace, request: 100 }, kept: createKept() })).rejects.toMatchObject({ code: expect.stringMatching(/^POWER_(FAILED|REFUSED)$/) })
  } finally { server.close() }
})

test('a call whose time is over before its turn does nothing', async () => {
  const error: unknown = await qemu.query(checked(qemu, { address: 'qemu:///nowhere' }), { signal: AbortSignal.abort(), clock: systemClock, pace: quickPace, kept: createKept() }).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'POWER_FAILED' })
  expect(isFatal(error)).toBe(false)
})
