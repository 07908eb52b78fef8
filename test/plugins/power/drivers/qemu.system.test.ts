/** qemu, against Debian's QEMU: the conformance suite, and what one-time boot leaves behind. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import type { Options } from '../../../../plugins/power/driver.ts'
import { qemu } from '../../../../plugins/power/drivers/qemu.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { powerDriverConformance, quickPace, type Subject } from '../../../kit/conformance/power-driver.ts'
import { requirePrograms } from '../../../kit/network.ts'
import { startRelay } from '../../../kit/relay.ts'
import { startTinyMachine, type TinyMachine } from './qemu.machine.ts'

requirePrograms({ 'qemu-system-x86_64': 'qemu-system-x86' })
const pace = { ...quickPace, request: 2_000, settle: 1_000, shutdown: 3_000 } // an emulated processor looks at its power button 18 times a second

powerDriverConformance(qemu, async () => {
  const machine = await startTinyMachine()
  const relay = await startRelay({ path: machine.monitor })
  return {
    parameters: { address: `qemu+tcp://127.0.0.1:${relay.port}` },
    pace,
    hardware: { identity: { uuid: machine.uuid, bmcVersion: expect.stringMatching(/^QEMU \d+\.\d+\.\d+$/) } },
    machine: {
      state: async () => ['prelaunch', 'shutdown'].includes(await machine.status()) ? 'off' : 'on',
      async set (state) {
        if (state === 'on') {
          if (await machine.status() !== 'running') {
            await machine.reset()
            await machine.execute('cont')
          }
          await machine.booted() // it must run what obeys the power button; and one that was cut off earlier was seen to hang (with SeaBIOS; why, was not found)
        } else {
          await machine.execute('stop')
          await machine.reset()
        }
      },
      switches: machine.switches,
      bootedFrom: async () => ({ N: 'network', D: 'disk' } as const)[await machine.booted()] ?? null
    },
    faults: {
      unreachable: { address: 'qemu+tcp://127.0.0.1:9' },
      busy: times => { relay.refuse = times },
      lie: () => { relay.answer = piece => piece.includes('"cont"') ? `${JSON.stringify({ return: {}, id: (JSON.parse(piece) as { id: number }).id })}\n` : undefined },
      slow: ms => { relay.delay = ms },
      loseAnswer: () => { relay.lose = said => { if (!said.includes('"cont"')) return false; relay.lose = () => false; return true } }
    },
    async close () { await relay.close(); await machine.close() }
  } satisfies Subject
})

describe('qemu', () => {
  let machine: TinyMachine
  let options: Options
  const parameters = (more = {}) => checked(qemu, { address: `qemu+unix://${machine.monitor}`, ...more })
  beforeEach(async () => { machine = await startTinyMachine(); options = { signal: new AbortController().signal, clock: systemClock, pace, kept: createKept() } })
  afterEach(async () => { await options.kept.close(); await machine.close() })
  const order = async () => await Promise.all([machine.bootindex('net0'), machine.bootindex('disk0')])

  test('one-time is one time: after a reset it starts from the usual device', async () => {
    await qemu.power(parameters(), 'on', { ...options, boot: 'disk' })
    expect(await machine.booted()).toBe('D')
    expect(await order()).toEqual([1, 2])
    await machine.execute('stop')
    await machine.reset()
    await machine.execute('cont')
    expect(await machine.booted()).toBe('O')
  })

  test('an order that a crash left turned is put right by the next start', async () => {
    for (const [device, value] of [['net0', -3], ['disk0', -4]] as const) await machine.execute('qom-set', { path: `/machine/peripheral/${device}`, property: 'bootindex', value })
    await qemu.power(parameters(), 'on', { ...options, boot: null })
    expect(await machine.booted()).toBe('O')
    expect(await order()).toEqual([1, 2])
  })

  test('a device there is not, or one without a bootindex, is for the operator', async () => {
    await expect(qemu.power(parameters({ network: 'eth9' }), 'on', { ...options, boot: 'network' })).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining('eth9') })
    await machine.execute('qom-set', { path: '/machine/peripheral/net0', property: 'bootindex', value: -1 })
    await expect(qemu.power(parameters(), 'on', { ...options, boot: 'network' })).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining('bootindex') })
    expect(machine.switches()).toBe(0)
  })

  test('a machine that is off has forgotten what it ran; a stopped one has not, and is on', async () => {
    await qemu.power(parameters(), 'on', { ...options, boot: null })
    await machine.execute('stop')
    expect(await qemu.query(parameters(), options)).toBe('on')
    expect(await qemu.power(parameters(), 'off', { ...options, boot: null })).toEqual({ state: 'off' })
    expect(await machine.status()).toBe('prelaunch')
  })

  test('a shutdown its system ignores is not forced', async () => {
    await qemu.power(parameters(), 'on', { ...options, boot: null })
    await machine.execute('stop') // nothing hears the button
    await expect(qemu.power(parameters(), 'shutdown', { ...options, pace: { ...pace, shutdown: 100 }, boot: null })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('still on') })
  })

  test('a monitor another program holds says so, and nothing is done behind its back', async () => {
    const held = await (await import('../../../../plugins/power/drivers/qemu/monitor.ts')).openMonitor({ path: machine.monitor }, 'the other', options)
    try {
      await expect(qemu.query(parameters(), { ...options, pace: { ...pace, request: 200 } })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('another program holds this monitor') })
    } finally { held.close() }
    expect(await qemu.query(parameters(), options)).toBe('off')
  })

  test('a socket there is not is worth another try', async () => {
    await expect(qemu.query(checked(qemu, { address: `qemu+unix://${join(machine.monitor, '../none')}` }), options)).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('cannot be reached') })
  })
})
