/** Which rack does it: the nearest of those that reach the BMC, the next one when that fails; never two at once. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import type { CallOptions, Client, Clock } from '../../../core/plugin.ts'
import { isFatal, type Start } from '../driver.ts'
import type { manifest, PowerActionName, PowerStateName } from '../manifest.ts'
import type { Parameters } from '../parameters.ts'
import type { Route } from '../store/routes.ts'
import { grace, order } from './assign.ts'
import { glance, nextStep, notice, outcomeOf, type Doubt } from './handover.ts'

export type RackClient = Client<'rack', typeof manifest.rpc>
interface Called { readonly machine: string, readonly driver: string, readonly parameters: Parameters }
interface Done { readonly rack: string, readonly state: PowerStateName, readonly note: string | null }
export interface RackLinks {
  readonly clock: Clock, rack(id: string): RackClient
  /** The racks this region is linked to. */
  racks(): readonly string[]
  /** What racks told of the way to the machine's BMC. */
  routes(machine: string): Promise<readonly Route[]>
}
export interface Execution {
  readonly timeout: number // ms
  readonly signal: AbortSignal
  /** The racks that run on this machine. */
  readonly hosts: readonly string[]
  /** Racks that did not answer; kept from one action of a machine to the next. */
  readonly doubts: Doubts
  /** Notes that this rack will be at it, before it is asked; false when the action is over. */
  hand(rack: string): Promise<boolean>
}
export interface Racks {
  /** Tries one rack after another, again and again, until it is done, refused for good, or the time is over. Then the last error is thrown; POWER_LAST_RACK, once it was so for `grace`. */
  execute(target: Called, action: PowerActionName, start: Start, options: Execution): Promise<Done>
  /** Asks each rack once, until one knows. */
  query(target: Called, timeout: number): Promise<{ readonly rack: string, readonly state: PowerStateName }>
  /** Has one rack after the other do what may be repeated (`what` is for errors), once each, until one can; within `timeout` ms. Its last error is thrown. */
  ask<T>(machine: string, what: string, timeout: number, call: (client: RackClient, options: CallOptions) => Promise<T>): Promise<{ readonly rack: string, readonly value: T }>
}

/** By machine: the rack that may still be at it. */
export type Doubts = Map<string, Doubt>

const between = { first: 500, longest: 8_000 } // ms between two rounds of the racks, half of it chance
const noRack = () => new BedplateError('UNAVAILABLE', { reason: 'no rack controller is linked to this region' })
const failed = (what: string, error: unknown): BedplateError => error instanceof BedplateError ? error : new BedplateError('POWER_FAILED', { action: what, reason: reasonOf(error) })

export function createRacks ({ clock, rack, racks, routes }: RackLinks, random: () => number = Math.random): Racks {
  const last = new Map<string, string>() // machine → the rack that last reached its BMC

  const inOrder = async (machine: string, but: readonly string[] = []): Promise<string[]> => order(racks().filter(id => !but.includes(id)), await routes(machine), last.get(machine) ?? null)

  /** Why it may not be done now: a rack on the machine itself is not asked, and its last peer does not make itself the only one. POWER_LAST_RACK. */
  function objection (machine: string, action: PowerActionName, hosts: readonly string[]): BedplateError | undefined {
    if (action === 'on' || hosts.length === 0) return undefined
    const others = racks().filter(id => !hosts.includes(id))
    return others.length < 2 ? new BedplateError('POWER_LAST_RACK', { machine, rack: hosts.join(', '), left: others.length === 0 ? 'none' : others.join(', ') }) : undefined
  }

  return {
    async execute ({ machine, driver, parameters }, action, start, { timeout, signal, hosts, doubts, hand }) {
      const end = clock.monotonic() + timeout
      let failure: unknown = noRack()
      let alone: number | undefined // since when too few racks were linked
      for (let round = 1; ; round++) {
        const asked = new Set<string>()
        const silent = new Set<string>()
        for (let racksNow = await inOrder(machine, hosts); ;) {
          const now = clock.monotonic()
          const left = end - now
          const objected = objection(machine, action, hosts)
          alone = objected === undefined ? undefined : alone ?? now
          if (objected !== undefined && alone !== undefined && !signal.aborted) {
            // The others may be linked in a moment: this region may have begun to lead just now.
            const rest = Math.min(alone + grace - now, left)
            if (rest <= 0) throw objected
            await clock.sleep(Math.min(glance, rest), signal)
            racksNow = await inOrder(machine, hosts)
            continue
          }
          if (signal.aborted || left <= 0) throw failed(action, failure)
          const linked = racks()
          const doubt = doubts.get(machine)
          const step = nextStep(racksNow.filter(id => linked.includes(id) && !asked.has(id)), doubt, clock.monotonic())
          if (step === undefined) break
          if ('wait' in step) { await clock.sleep(Math.min(step.wait, left), signal); racksNow = await inOrder(machine, hosts); continue }
          const id = step.ask
          if (!await hand(id)) throw failed(action, failure)
          try {
            const value = await rack(id).execute({ machine, driver, parameters: { ...parameters }, action, boot: start.boot, ...(start.firmware === undefined ? {} : { firmware: start.firmware }), ...(hosts[0] === undefined ? {} : { rack: hosts[0] }) }, { timeout: Math.max(1, end - clock.monotonic()), signal })
            doubts.delete(machine)
            last.set(machine, id)
            return { rack: id, ...value }
          } catch (error) {
            const known = error instanceof BedplateError ? error : undefined
            const outcome = outcomeOf(known?.code, { peerClosed: known?.details.peerClosed === true, cancelled: signal.aborted })
            if (outcome === 'silent') doubts.set(machine, { rack: id, until: clock.monotonic() + notice })
            else if (known?.code !== 'LINK_DOWN') doubts.delete(machine) // without a link it was not asked: what it had been handed before is as it was
            if (isFatal(error)) throw error
            failure = error
            // One that fell silent is asked again as soon as it is back, but not for ever before the others.
            if (outcome !== 'silent' || silent.has(id)) asked.add(id)
            silent.add(id)
            if (outcome === 'silent') await clock.sleep(glance, signal)
          }
        }
        const pause = Math.min(between.longest, between.first * 2 ** (round - 1)) * (0.5 + 0.5 * random())
        if (clock.monotonic() + pause >= end || signal.aborted) throw failed(action, failure)
        await clock.sleep(pause, signal)
      }
    },

    async ask (machine, what, timeout, call) {
      const end = clock.monotonic() + timeout
      let failure: unknown = noRack()
      for (const id of await inOrder(machine)) {
        const left = end - clock.monotonic()
        if (left <= 0) break
        try {
          const value = await call(rack(id), { timeout: left })
          last.set(machine, id)
          return { rack: id, value }
        } catch (error) {
          if (isFatal(error)) throw error
          failure = error
        }
      }
      throw failed(what, failure)
    },

    async query ({ machine, driver, parameters }, timeout) {
      const { rack: id, value } = await this.ask(machine, 'query', timeout, (client, options) => client.query({ machine, driver, parameters: { ...parameters } }, options))
      return { rack: id, state: value.state }
    }
  }
}
