/** The service that gives every BMC that can be asked one rack to ask it. */
import type { Clock, Database, Logger, Term } from '../../../core/plugin.ts'
import { drivers } from '../drivers.ts'
import * as store from '../store/routes.ts'
import { assigned, grace, much } from './assign.ts'
import { createLoop, type Loop } from './loop.ts'
import type { PowerCore } from './service.ts'

export interface AssignerOptions { readonly db: Database, readonly clock: Clock, readonly log: Logger, readonly power: PowerCore, readonly racks: () => readonly string[] }

const every = 3_000 // ms
const atOnce = 500 // machines in one transaction
const cleanEvery = 600_000 // ms
export const asking = drivers.filter(driver => driver.queries).map(driver => driver.name)

export function createAssigner ({ db, clock, log, power, racks }: AssignerOptions): Loop {
  let seen = new Map<string, number>() // rack → when it was linked last
  let led: Term | undefined
  let since = 0
  let cleaned = -Infinity

  /** The racks that may be chosen: linked now, or lately. None before this region had time to be linked with them. */
  function usable (term: Term): readonly string[] | undefined {
    const now = clock.monotonic()
    if (led !== term) { led = term; since = now; seen = new Map(); cleaned = -Infinity }
    for (const rack of racks()) seen.set(rack, now)
    for (const [rack, at] of seen) if (now - at >= grace) seen.delete(rack)
    return now - since < grace ? undefined : [...seen.keys()].sort()
  }

  async function change (term: Term, found: readonly store.Candidate[], linked: readonly string[]): Promise<void> {
    const decided = found.map(one => ({ ...one, next: assigned(one, one.routes, linked) }))
    const moved = decided.filter(({ poller, next }) => next.poller !== poller)
    const lost = decided.filter(({ error, next }) => next.unreached && error !== store.noRack)
    if (moved.length === 0 && lost.length === 0) return
    await term.write(async tx => {
      const others = await store.assign(tx, moved.map(({ machine, poller, next }) => ({ machine, from: poller, to: next.poller })))
      for (const machine of others.sort()) await tx.changed('power.bmc', machine)
      const acted = await store.busy(tx, lost.map(({ machine }) => machine))
      for (const { machine } of lost) if (!acted.has(machine)) await power.saw(tx, machine, 'error', store.noRack)
    })
    if (moved.length > 0) log.info({ machines: moved.length, racks: [...new Set(moved.map(({ next }) => next.poller))] }, 'other racks ask these BMCs now')
  }

  return createLoop({
    name: 'pollers', every, clock, log,
    async look (term, signal) {
      const linked = usable(term)
      if (clock.monotonic() - cleaned >= cleanEvery) {
        for (;;) if (signal.aborted || !await backfill(term)) break
        await term.write(tx => store.forgetRoutes(tx))
        cleaned = clock.monotonic()
      }
      // Until then only machines nobody asks are given to racks that are here: the others may be linked in a moment.
      const now = linked ?? racks()
      if (now.length === 0) return
      for (let after = ''; !signal.aborted;) {
        const found = await store.candidates(db, { asking, racks: now, much: much.times, ms: much.ms, after, limit: atOnce })
        await change(term, linked === undefined ? found.filter(({ poller, routes }) => poller === null && routes.some(({ reachable }) => reachable)) : found, now)
        if (found.length < atOnce) return
        after = found.at(-1)?.machine ?? ''
      }
    },
    async idle () {}
  })

  /** BMCs configured before there were endpoints get theirs. False when there is none left. */
  async function backfill (term: Term): Promise<boolean> {
    const rows = await store.unplaced(db, atOnce)
    if (rows.length === 0) return false
    await term.write(async tx => {
      for (const { machine } of rows) {
        await store.place(tx, machine, await power.endpoint(tx, machine))
        await tx.changed('power.bmc', machine)
      }
    })
    return true
  }
}
