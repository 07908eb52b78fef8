/** When a client is to ask for more of its lease. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { extensionTimes } from '../../../plugins/dhcp/v4/renewal.ts'

it.each([[30, 10, 15], [60, 23, 35], [120, 60, 95], [200, 100, 175], [600, 300, 525], [86_400, 43_200, 75_600]])('a lease of %d s is renewed after %d s and by anybody after %d s', (seconds, renew, rebind) => {
  expect(extensionTimes(seconds)).toEqual({ renew, rebind })
})

it('the times are in order, and leave everybody 25 s or half of the lease', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 0xffffffff }), seconds => {
    const { renew, rebind } = extensionTimes(seconds)
    expect(renew).toBeLessThanOrEqual(rebind)
    expect(rebind).toBeLessThanOrEqual(seconds)
    expect(renew).toBeLessThanOrEqual(seconds / 2)
    expect(seconds - rebind).toBeGreaterThanOrEqual(Math.min(25, seconds / 2))
  }), { seed: 4, numRuns: 500 })
})
