/** What the region asks of a rack: through the driver, one thing at a time per machine, and again what may go better. */
import { BedplateError } from '../../../core/errors.ts'
import type { Caller, Clock, Handlers } from '../../../core/plugin.ts'
import { isFatal, pace, redacted, secretFields, type Driver, type Options } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import type { Kept } from '../kept.ts'
import type { manifest } from '../manifest.ts'
import { checked, type Parameters } from '../parameters.ts'
import type { Queue } from './queue.ts'
import type { Standing } from './standing.ts'
import type { Way } from './way.ts'

export interface Target { readonly machine: string, readonly driver: string, readonly parameters: Parameters }
/** Does `work` with the machine's driver in the machine's turn, for `limit` ms at most and as long as the caller waits; repeats what may pass. `looks`: it changes nothing, and makes way for actions. The error is free of secrets. */
export type Call = <T>(target: Target, caller: Caller, limit: number, work: (driver: Driver, parameters: Parameters, options: Options) => Promise<T>, kind?: { readonly looks: boolean }) => Promise<T>

const attempts = 3
const pauses = { first: 500, factor: 2 } // ms, half of it chance

/** Tries `work` again after errors that may pass, with growing pauses; begins nothing once the signal has aborted. The last error is thrown, free of secrets. */
export async function persistently<T> (clock: Clock, signal: AbortSignal, secrets: readonly string[], work: () => Promise<T>): Promise<T> {
  let last: BedplateError = new BedplateError('POWER_FAILED', { action: 'action', reason: 'it was called off before it began, or its time was over' })
  for (let attempt = 1; attempt <= attempts && !signal.aborted; attempt++) {
    try {
      return await work()
    } catch (error) {
      last = redacted(error, secrets)
      if (isFatal(error)) break
      if (attempt < attempts) await clock.sleep(pauses.first * pauses.factor ** (attempt - 1) * (0.5 + 0.5 * Math.random()), signal)
    }
  }
  throw last
}

export const createCall = ({ queue, kept, standing, way }: { readonly queue: Queue, readonly kept: Kept, readonly standing: Standing, readonly way: Way }): Call => async (target, caller, limit, work, { looks } = { looks: false }) => {
  const driver = driverNamed(target.driver)
  const parameters = checked(driver, target.parameters) // first: a password may have come inside the address
  const secrets = secretFields(driver.parameters).map(field => String(parameters[field] ?? ''))
  // From when the call came, not from when it is its turn: whoever called has given up by then.
  return await standing.guard(AbortSignal.any([caller.signal, AbortSignal.timeout(limit)]), (all, guarded) => {
    const turn = (signal: AbortSignal) => queue.run(target.machine, () => persistently(guarded, signal, secrets, () => work(driver, parameters, { signal, clock: guarded, pace, kept })))
    return looks ? way.behind(target.machine, all, turn) : turn(all)
  })
}

const queryWithin = 30_000 // ms

export interface CallsOptions {
  readonly call: Call
  readonly rack: string
  readonly timeout: number // ms an action may take
  /** An action is about to begin. */
  readonly begins: (machine: string) => void
}

export function createCalls ({ call, rack: self, timeout, begins }: CallsOptions): Pick<Handlers<'rack', typeof manifest.rpc>, 'execute' | 'query'> {
  return {
    async execute ({ action, boot, firmware, rack, ...target }, caller) {
      // The region does not ask for it; but whoever sits on a branch looks for himself before he saws.
      if (rack === self && action !== 'on') throw new BedplateError('POWER_LAST_RACK', { machine: target.machine, rack: self, left: 'this very rack was asked' })
      begins(target.machine)
      return await call(target, caller, timeout, async (driver, parameters, options) => {
        const { state, note } = await driver.power(parameters, action, { ...options, boot, ...(firmware === undefined ? {} : { firmware }) })
        return { state, note: note ?? null }
      })
    },
    query: (target, caller) => call(target, caller, queryWithin, async (driver, parameters, options) => ({ state: await driver.query(parameters, options) }), { looks: true })
  }
}
