/** Which rack does it: any this region is linked to, the one that last did it first, the next one when that fails. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import type { CallOptions, Client, Clock } from '../../../core/plugin.ts'
import { isFatal } from '../driver.ts'
import type { manifest, PowerActionName, PowerStateName } from '../manifest.ts'
import type { Parameters } from '../parameters.ts'

export type RackClient = Client<'rack', typeof manifest.rpc>
interface Called { readonly machine: string, readonly driver: string, readonly parameters: Parameters }
interface Done { readonly rack: string, readonly state: PowerStateName, readonly note: string | null }
export interface RackLinks { readonly clock: Clock, rack(id: string): RackClient, racks(): readonly string[] }
export interface Racks {
  /** Tries one rack after another, again and again, until it is done, refused for good, or `timeout` ms are over. Then the last error is thrown. */
  execute(target: Called, action: PowerActionName, boot: 'network' | 'disk' | null, options: { readonly timeout: number, readonly signal: AbortSignal }): Promise<Done>
  /** Asks each rack once, until one knows. */
  query(target: Called, timeout: number): Promise<{ readonly rack: string, readonly state: PowerStateName }>
  /** Has one rack after the other do what may be repeated (`what` is for errors), once each, until one can; within `timeout` ms. Its last error is thrown. */
  ask<T>(machine: string, what: string, timeout: number, call: (client: RackClient, options: CallOptions) => Promise<T>): Promise<{ readonly rack: string, readonly value: T }>
}

const between = { first: 500, longest: 8_000 } // ms between two rounds of the racks, half of it chance

export function createRacks ({ clock, rack, racks }: RackLinks, random: () => number = Math.random): Racks {
  const last = new Map<string, string>() // machine → the rack that last reached its BMC

  /** The racks in the order to try them. */
  const order = (machine: string): string[] => {
    const preferred = last.get(machine)
    return [...racks()].sort((a, b) => Number(b === preferred) - Number(a === preferred) || a.localeCompare(b))
  }

  async function through<T> (machine: string, what: string, { timeout, rounds, signal }: { readonly timeout: number, readonly rounds: number, readonly signal?: AbortSignal }, call: (client: RackClient, options: CallOptions) => Promise<T>): Promise<{ readonly rack: string, readonly value: T }> {
    const end = clock.monotonic() + timeout
    let failure: unknown = new BedplateError('UNAVAILABLE', { reason: 'no rack controller is linked to this region' })
    for (let round = 1; ; round++) {
      for (const id of order(machine)) {
        const left = end - clock.monotonic()
        if (signal?.aborted || left <= 0) throw failure
        try {
          const value = await call(rack(id), { timeout: left, ...(signal ? { signal } : {}) })
          last.set(machine, id)
          return { rack: id, value }
        } catch (error) {
          if (isFatal(error)) throw error
          failure = error
        }
      }
      const pause = Math.min(between.longest, between.first * 2 ** (round - 1)) * (0.5 + 0.5 * random())
      if (round >= rounds || clock.monotonic() + pause >= end || signal?.aborted) throw failure instanceof BedplateError ? failure : new BedplateError('POWER_FAILED', { action: what, reason: reasonOf(failure) })
      await clock.sleep(pause, signal)
    }
  }

  return {
    async execute (target, action, boot, { timeout, signal }) {
      const { machine, driver, parameters } = target
      const { rack, value } = await through(machine, action, { timeout, signal, rounds: Infinity }, (client, options) => client.execute({ machine, driver, parameters: { ...parameters }, action, boot }, options))
      return { rack, ...value }
    },
    ask: (machine, what, timeout, call) => through(machine, what, { timeout, rounds: 1 }, call),
    async query ({ machine, driver, parameters }, timeout) {
      const { rack, value } = await through(machine, 'query', { timeout, rounds: 1 }, (client, options) => client.query({ machine, driver, parameters: { ...parameters } }, options))
      return { rack, state: value.state }
    }
  }
}
