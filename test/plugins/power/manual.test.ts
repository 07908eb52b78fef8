/** manual, as every driver is judged. */
import { expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.ts'
import { pace } from '../../../plugins/power/driver.ts'
import { createKept } from '../../../plugins/power/kept.ts'
import { manual } from '../../../plugins/power/drivers/manual.ts'
import { powerDriverConformance } from '../../kit/conformance/power-driver.ts'

powerDriverConformance(manual, async () => ({ parameters: {}, close: async () => {} }))

test('it tells the operator what to do, in a sentence', async () => {
  const options = { signal: new AbortController().signal, clock: systemClock, pace, kept: createKept() }
  expect((await manual.power({}, 'cycle', { ...options, boot: 'network' })).note).toBe('An operator must act: Switch it off, if it is on, and on again, booting from the network.')
  expect((await manual.power({}, 'off', { ...options, boot: null })).note).toBe('An operator must act: Switch it off.')
})
