/** What this rack asks its BMCs with: from the region, many at a time, and in memory only. */
import { reasonOf } from '../../../core/errors.ts'
import type { Client, Clock, Logger } from '../../../core/plugin.ts'
import { secretFields, type Driver } from '../driver.ts'
import { driverNamed } from '../drivers.ts'
import type { manifest } from '../manifest.ts'
import { checked, type Parameters } from '../parameters.ts'

/** `secrets`: their values, to keep them out of errors. */
export interface Credentials { readonly version: string, readonly driver: Driver, readonly parameters: Parameters, readonly secrets: readonly string[] }
export interface CredentialStore {
  /** Those of that version; undefined when they are not here: then they are asked for, and `came` is told. */
  of(machine: string, version: string): Credentials | undefined
  drop(machine: string): void
  run(signal: AbortSignal): Promise<void>
}

const atOnce = 500 // machines in one question
const gather = 50 // ms a question waits for company
const pauses = { first: 1_000, longest: 15_000 } // ms between questions nobody answered, half of it chance

export function createCredentials ({ clock, log, region, came, random = Math.random }: { readonly clock: Clock, readonly log: Logger, readonly region: Pick<Client<'region', typeof manifest.rpc>, 'credentials'>, readonly came: (machine: string, version: string) => void, readonly random?: () => number }): CredentialStore {
  const here = new Map<string, Credentials>()
  const missing = new Set<string>()
  let wake = Promise.withResolvers<void>()

  function take (given: { readonly machine: string, readonly driver: string, readonly parameters: Parameters, readonly version: string }): boolean {
    try {
      const driver = driverNamed(given.driver)
      const parameters = checked(driver, given.parameters)
      here.set(given.machine, { version: given.version, driver, parameters, secrets: secretFields(driver.parameters).map(field => String(parameters[field] ?? '')) })
      return true
    } catch (error) {
      log.warn({ machine: given.machine, reason: reasonOf(error) }, 'this rack cannot ask a BMC: its parameters are of another version of Bedplate')
      return false
    }
  }

  return {
    of (machine, version) {
      const found = here.get(machine)
      if (found?.version === version) return found
      missing.add(machine)
      wake.resolve()
      return undefined
    },
    drop (machine) { here.delete(machine); missing.delete(machine) },
    async run (signal) {
      for (let failures = 0; !signal.aborted;) {
        const stopped = new AbortController()
        if (missing.size === 0) await Promise.race([wake.promise, clock.sleep(3_600_000, AbortSignal.any([signal, stopped.signal]))])
        stopped.abort('enough')
        wake = Promise.withResolvers()
        await clock.sleep(gather, signal)
        const machines = [...missing].slice(0, atOnce)
        if (signal.aborted || machines.length === 0) continue
        try {
          const answer = await region.credentials({ machines }, { signal })
          // Who is not in the answer is not this rack's to ask any more, or gone: it is asked for again when it is due.
          const wanted = new Set(machines.filter(machine => missing.delete(machine))) // those dropped meanwhile are not kept
          for (const one of answer.machines) if (wanted.has(one.machine) && take(one)) came(one.machine, one.version)
          failures = 0
        } catch (error) {
          if (failures++ === 0 && !signal.aborted) log.info({ reason: reasonOf(error) }, 'no region gives the credentials of BMCs; those without wait')
          await clock.sleep(Math.min(pauses.longest, pauses.first * 2 ** (failures - 1)) * (0.5 + 0.5 * random()), signal)
        }
      }
    }
  }
}
