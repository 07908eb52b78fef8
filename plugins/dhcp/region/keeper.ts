/** The leader's service that keeps the table of addresses in order: silent racks, racks that are gone, claims of what is set aside, rows of nobody. Level-triggered. */
import { reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Change, Clock, Health, Logger, Service, Term } from '../../../core/plugin.ts'

export interface KeeperOptions {
  readonly clock: Clock, readonly log: Logger
  /** Every few seconds. */
  readonly sweep: (term: Term) => Promise<void>
  /** Every minute, and soon after something was set aside or taken back. */
  readonly claims: (term: Term) => Promise<void>
}
export interface Keeper extends Service { changed(changes: readonly Change[]): void }

const every = 3_000 // ms
const claimsEvery = 60_000 // ms

export function createKeeper ({ clock, log, sweep, claims }: KeeperOptions): Keeper {
  let life: { readonly controller: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve()
  let health: Health = off('Another region leads; this one stands by.')
  let stale = true
  let wake = Promise.withResolvers<void>()

  async function run (term: Term, signal: AbortSignal): Promise<void> {
    let last = -Infinity
    stale = true
    while (!signal.aborted) {
      try {
        if (stale || clock.monotonic() - last >= claimsEvery) {
          stale = false
          wake = Promise.withResolvers()
          last = clock.monotonic()
          await claims(term)
        }
        await sweep(term)
        if (signal.aborted) return
        health = running
      } catch (error) {
        stale = true
        if (signal.aborted) return
        health = degraded(`Addresses of leases that ended are not freed: ${reasonOf(error)}`)
        log.warn({ reason: reasonOf(error) }, 'the table of addresses could not be kept in order; it is tried again')
        await clock.sleep(every, signal)
        continue
      }
      await Promise.race([clock.sleep(every, signal), wake.promise])
    }
  }

  return {
    name: 'addresses',
    on: 'leader',
    async start (signal, term) {
      if (term === undefined || life !== undefined || signal.aborted) return
      const controller = new AbortController()
      health = { state: 'unknown', reason: 'It has not looked yet.' }
      life = { controller, done: ended.then(() => run(term, AbortSignal.any([controller.signal, term.signal]))) } // never two at once
    },
    async stop () {
      life?.controller.abort()
      ended = life?.done ?? ended
      life = undefined
      health = off('Another region leads; this one stands by.')
      await ended
    },
    health: () => health,
    changed (changes) {
      if (!changes.some(({ topic }) => topic === 'network.address' || topic === 'dhcp.serving')) return
      stale = true
      wake.resolve()
    }
  }
}
