/** What AMT's numbers for power mean (CIM_AssociatedPowerManagementService.PowerState, CIM_PowerManagementService.RequestPowerStateChange), and its return values. Pure. */
import { BedplateError } from '../../../../core/errors.ts'
import type { PowerActionName, PowerStateName } from '../../manifest.ts'
import { number, object, text } from '../../connection/json.ts'

/** 2 is on; 6, 8, 12 and 13 are ways of being off, 7 is hibernation, which has no power either. One that sleeps (3, 4) is neither: it is woken as well as switched off. */
const states: Readonly<Record<string, PowerStateName>> = { 2: 'on', 6: 'off', 7: 'off', 8: 'off', 12: 'off', 13: 'off' }
const requests = { on: 2, off: 8, shutdown: 12 } as const

export const stateOf = (service: unknown): PowerStateName => states[text(object(service).PowerState) ?? ''] ?? 'unknown'

/** The number to ask for. POWER_UNSUPPORTED when AMT lists what it takes now, and a shutdown is not among it: it takes Intel's management service in the running system. */
export function requestFor (service: unknown, action: Exclude<PowerActionName, 'cycle'>): number {
  const offered = [object(service).AvailableRequestedPowerStates].flat().flatMap(one => number(one) ?? [])
  if (action === 'shutdown' && offered.length > 0 && !offered.includes(requests.shutdown)) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'amt', action: 'shut this system down: Intel\'s management service (LMS) does not run in it' })
  return requests[action]
}

/** Looks at a method's ReturnValue (its meanings are CIM's): what is not supported or not permitted stays so, the rest may go better. POWER_UNSUPPORTED, POWER_REFUSED, POWER_FAILED. */
export function accepted (output: unknown, what: string): void {
  const value = text(object(output).ReturnValue) ?? 'none'
  if (value === '0' || value === '4096') return // 4096: it has begun
  if (value === '1') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'amt', action: `${what} on this machine` })
  if (value === '5' || value === '2066') throw new BedplateError('POWER_REFUSED', { reason: `${what} is ${value === '5' ? 'not taken in this form' : 'not permitted; in client control mode the user must consent'} (return value ${value})` })
  throw new BedplateError('POWER_FAILED', { action: 'action', reason: `${what} ended with return value ${value}` })
}
