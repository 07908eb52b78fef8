/** The rack half: one at a time per machine, tries again what may go better, and never what cannot. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import type { Clock } from '../../../core/clock.ts'
import { BedplateError } from '../../../core/errors.ts'
import { createQueue } from '../../../plugins/power/rack/queue.ts'
import { persistently } from '../../../plugins/power/rack/calls.ts'
import { manualClock } from '../../kit/clock.ts'
import { until } from '../../kit/wait.ts'
import { rackHere } from '../machines/parts.ts'
import { account, addressOf, startBmc, type Bmc } from '../../kit/bmc.ts'

let bmc: Bmc
beforeEach(async () => { bmc = await startBmc() })
afterEach(async () => { await bmc.close() })
/** Its pauses are a fiftieth of what they are: BMCs of the tests need none. */
const hasty: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) }
const target = (machine = 'm1') => ({ machine, driver: 'redfish', parameters: { address: addressOf(bmc) } })

test('a BMC that is busy for a moment is asked again', async () => {
  bmc.faults.busy = 2
  expect(await rackHere(hasty).execute({ ...target(), action: 'on', boot: 'network' })).toEqual({ state: 'on', note: null })
  expect(bmc.machine.boots()).toEqual(['network'])
})

test('one that stays busy is given up, with its own words', async () => {
  bmc.faults.busy = 99
  await expect(rackHere(hasty).query(target())).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('HTTP 503: The service is busy; try again later.') })
  expect(bmc.faults.busy).toBe(96)
})

test('a refused password is not tried again: BMCs lock accounts', async () => {
  await expect(rackHere().query({ ...target(), parameters: { address: addressOf(bmc, { user: 'root', password: 'hunter2' }) } })).rejects.toMatchObject({ code: 'POWER_AUTHENTICATION', message: expect.not.stringContaining('hunter2') })
  expect(bmc.log.filter(line => line.startsWith('POST'))).toHaveLength(1)
})

test('an unknown driver, parameters that do not fit and an impossible action are refused for good', async () => {
  const rack = rackHere()
  await expect(rack.query({ ...target(), driver: 'nonsense' })).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID' })
  await expect(rack.query({ ...target(), parameters: { ...account } })).rejects.toMatchObject({ code: 'POWER_PARAMETERS_INVALID' })
  await expect(rack.execute({ ...target(), action: 'cycle', boot: null })).rejects.toMatchObject({ code: 'POWER_UNSUPPORTED' })
})

test('actions on one machine follow each other in the order asked; another machine does not wait', async () => {
  const rack = rackHere(hasty)
  bmc.faults.takes = 1
  await Promise.all([rack.execute({ ...target(), action: 'on', boot: null }), rack.execute({ ...target(), action: 'off', boot: null }), rack.execute({ ...target(), action: 'on', boot: null })])
  expect(bmc.log.filter(line => line.includes('Reset ')).map(line => line.split(' ').at(-1))).toEqual(['On', 'ForceOff', 'On'])
})

test('the caller\'s signal ends an action', async () => {
  bmc.faults.slow = 60_000
  const controller = new AbortController()
  const pending = rackHere().execute({ ...target(), action: 'on', boot: null }, { signal: controller.signal })
  await until(() => bmc.log.length > 0)
  controller.abort()
  await expect(pending).rejects.toMatchObject({ code: 'POWER_FAILED' })
})

test('the pauses between attempts grow', async () => {
  const clock = manualClock()
  const began: number[] = []
  const pending = persistently(clock, new AbortController().signal, [], async () => { began.push(clock.monotonic()); throw new BedplateError('POWER_FAILED', { action: 'on', reason: 'no' }) }).catch((error: unknown) => error)
  await until(() => clock.sleepers === 1)
  await clock.advance(10_000)
  expect(await pending).toBeInstanceOf(BedplateError)
  const [first = 0, second = 0, third = 0] = began
  expect(began).toHaveLength(3)
  expect(second - first).toBeGreaterThanOrEqual(250)
  expect(second - first).toBeLessThanOrEqual(500)
  expect(third - second).toBeGreaterThanOrEqual(500)
})

test('a queue keeps nothing once it is empty, and a failure does not stop what follows', async () => {
  const queue = createQueue()
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = queue.run('a', async () => { await gate.promise; order.push('first'); throw new TypeError('no') }).catch(() => 'failed')
  const second = queue.run('a', async () => { order.push('second') })
  await queue.run('b', async () => { order.push('other') })
  gate.resolve()
  expect(await first).toBe('failed')
  await second
  expect(order).toEqual(['other', 'first', 'second'])
  await until(() => queue.size === 0)
})
