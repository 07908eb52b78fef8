/** power on a rack: hands calls to the drivers, one at a time per machine, and tries again what may go better. */
import { defineRack, type Clock } from '../../core/plugin.ts'
import { isFatal, pace, redacted, secretFields, type Options } from './driver.ts'
import { driverNamed } from './drivers.ts'
import { createKept } from './kept.ts'
import { manifest } from './manifest.ts'
import { checked, type Parameters } from './parameters.ts'
import { createQueue } from './queue.ts'

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

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup ({ clock, config }) {
    const queue = createQueue()
    const kept = createKept()
    const call = async <T>(given: { readonly machine: string, readonly driver: string, readonly parameters: Parameters }, signal: AbortSignal, work: (driver: ReturnType<typeof driverNamed>, parameters: Parameters, options: Options) => Promise<T>): Promise<T> => {
      const driver = driverNamed(given.driver)
      const parameters = checked(driver, given.parameters) // first: a password may have come inside the address
      const secrets = secretFields(driver.parameters).map(field => String(parameters[field] ?? ''))
      return await queue.run(given.machine, async () => await persistently(clock, signal, secrets, () => work(driver, parameters, { signal, clock, pace, kept })))
    }
    return {
      provides: {},
      rpc: {
        async execute ({ machine, driver, parameters, action, boot }, caller) {
          const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(config.actionTimeoutSeconds * 1000)])
          return await call({ machine, driver, parameters }, signal, async (one, checkedParameters, options) => {
            const { state, note } = await one.power(checkedParameters, action, { ...options, boot })
            return { state, note: note ?? null }
          })
        },
        async query (target, caller) {
          const signal = AbortSignal.any([caller.signal, AbortSignal.timeout(30_000)])
          return await call(target, signal, async (one, parameters, options) => ({ state: await one.query(parameters, options) }))
        }
      },
      services: [],
      stop: () => kept.close()
    }
  }
})
