/** What the region asks of a rack: through the driver, one thing at a time per machine, and again what may go better. */
import type { Caller, Clock, Handlers } from '../../../core/plugin.ts'
import { isFatal, pace, redacted, secretFields, type Driver, type Options } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import type { Kept } from '../kept.ts'
import type { manifest } from '../manifest.ts'
import { checked, type Parameters } from '../parameters.ts'
import type { Queue } from './queue.ts'

export interface Target { readonly machine: string, readonly driver: string, readonly parameters: Parameters }
/** Does `work` with the machine's driver in the machine's turn, for `limit` ms at most and as long as the caller waits; repeats what may pass. The error is free of secrets. */
export type Call = <T>(target: Target, caller: Caller, limit: number, work: (driver: Driver, parameters: Parameters, options: Options) => Promise<T>) => Promise<T>

const attempts = 3
const pauses = { first: 500, factor: 2 } // ms, half of it chance

/** Tries `work` again after errors that may pass, with growing pauses, while the signal lets it. The last error is thrown, free of secrets. */
export async function persistently<T> (clock: Clock, signal: AbortSignal, secrets: readonly string[], work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (isFatal(error) || attempt === attempts || signal.aborted) throw redacted(error, secrets)
      await clock.sleep(pauses.first * pauses.factor ** (attempt - 1) * (0.5 + 0.5 * Math.random()), signal)
    }
  }
}

export const createCall = ({ clock, queue, kept }: { readonly clock: Clock, readonly queue: Queue, readonly kept: Kept }): Call => async (target, caller, limit, work) => {
  const driver = driverNamed(target.driver)
  const parameters = checked(driver, target.parameters) // first: a password may have come inside the address
  const secrets = secretFields(driver.parameters).map(field => String(parameters[field] ?? ''))
  const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(limit)])
  return await queue.run(target.machine, async () => await persistently(clock, signal, secrets, () => work(driver, parameters, { signal, clock, pace, kept })))
}

const queryWithin = 30_000 // ms

export function createCalls ({ call, timeout }: { readonly call: Call, readonly timeout: number }): Pick<Handlers<'rack', typeof manifest.rpc>, 'execute' | 'query'> {
  return {
    execute: ({ action, boot, firmware, rack: _, ...target }, caller) => call(target, caller, timeout, async (driver, parameters, options) => {
      const { state, note } = await driver.power(parameters, action, { ...options, boot, ...(firmware === undefined ? {} : { firmware }) })
      return { state, note: note ?? null }
    }),
    query: (target, caller) => call(target, caller, queryWithin, async (driver, parameters, options) => ({ state: await driver.query(parameters, options) }))
  }
}
