/** The leader's service that sets boot addresses aside and gives them back, as VLANs and racks come and go. Level-triggered. */
import { reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Change, Clock, Database, Health, Logger, Service } from '../../../core/plugin.ts'
import { listBootVlans } from '../store/addresses.ts'
import { settle } from './addresses.ts'
import type { Plan } from './addresses.ts'

const every = 60_000 // ms: what frees an address is no topic of its own
const again = 3_000 // ms after a failure
const topics: ReadonlySet<string> = new Set(['dhcp.vlan', 'dhcp.serving', 'network.vlan', 'network.subnet', 'network.attachment', 'boot.vlan'])

/** Whether any of these changes may concern boot addresses, or who holds them. */
export const touchesAddresses = (changes: readonly Change[]): boolean => changes.some(({ topic }) => topics.has(topic))

export interface AddressKeeper extends Service { changed(changes: readonly Change[]): void }

export function createAddressKeeper ({ db, plan, clock, log }: { readonly db: Database, readonly plan: Plan, readonly clock: Clock, readonly log: Logger }): AddressKeeper {
  const standby = off('Another region leads; this one stands by.')
  let life: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve()
  let health: Health = standby
  let stale = true
  let wake = Promise.withResolvers<void>()

  async function look (): Promise<Health> {
    await db.tx(tx => settle(tx, plan))
    const problems = (await listBootVlans(db)).flatMap(({ problem4, problem6 }) => [problem4 ?? [], problem6 ?? []].flat())
    return problems.length === 0 ? running : degraded(problems.join(' '))
  }

  async function run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      stale = false
      wake = Promise.withResolvers()
      let rest = every
      try {
        const found = await look()
        if (!signal.aborted) health = found
      } catch (error) {
        if (signal.aborted) return
        rest = again
        health = degraded(`Boot addresses are not set aside: ${reasonOf(error)}`)
        log.warn({ reason: reasonOf(error) }, 'boot addresses could not be set aside; it is tried again')
      }
      const over = new AbortController()
      if (!stale) await Promise.race([clock.sleep(rest, AbortSignal.any([signal, over.signal])), wake.promise])
      over.abort()
    }
  }

  return {
    name: 'boot-addresses',
    on: 'leader',
    async start (signal, term) {
      if (term === undefined || life !== undefined || signal.aborted) return
      const stop = new AbortController()
      health = { state: 'unknown', reason: 'It has not looked yet.' }
      life = { stop, done: ended.then(() => run(AbortSignal.any([stop.signal, term.signal]))) } // never two at once
    },
    async stop () {
      life?.stop.abort()
      ended = life?.done ?? ended
      life = undefined
      await ended
      health = standby
    },
    health: () => health,
    changed (changes) {
      if (!touchesAddresses(changes)) return
      stale = true
      wake.resolve()
    }
  }
}
