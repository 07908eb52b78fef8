/** The service that asks every BMC for its power state, spread over time. */
import { reasonOf } from '../../core/errors.ts'
import type { Clock, Database, Logger, Term } from '../../core/plugin.ts'
import { drivers } from './drivers.ts'
import { createLoop, type Loop } from './loop.ts'
import type { PowerStateName } from './manifest.ts'
import type { Racks } from './racks.ts'
import type { PowerCore } from './service.ts'
import * as store from './store.ts'

export interface PollOptions { readonly db: Database, readonly clock: Clock, readonly log: Logger, readonly power: PowerCore, readonly racks: Racks, readonly seconds: number }
interface Seen { readonly machine: string, readonly state: PowerStateName, readonly error: string | null, readonly news: boolean }

const beat = 1_000 // ms; each beat asks its share
const answerWithin = 15_000
const askable = drivers.filter(driver => driver.queries).map(driver => driver.name)

export function createPoll ({ db, clock, log, power, racks, seconds }: PollOptions): Loop {
  const asking = new Set<string>()
  const batches = new Set<Promise<void>>()

  async function ask (bmc: store.Bmc): Promise<Seen> {
    try {
      const { state } = await racks.query(power.opened(bmc), answerWithin)
      return { machine: bmc.machine, state, error: null, news: state !== bmc.state || bmc.error !== null }
    } catch (error) {
      const reason = reasonOf(error)
      return { machine: bmc.machine, state: 'error', error: reason, news: bmc.state !== 'error' || bmc.error !== reason }
    }
  }

  async function batch (term: Term, bmcs: readonly store.Bmc[]): Promise<void> {
    const seen = await Promise.all(bmcs.map(ask))
    const same = seen.filter(one => !one.news).map(one => one.machine)
    if (same.length > 0) await term.write(tx => store.touch(tx, same, new Date(clock.now())))
    for (const { machine, state, error, news } of seen) if (news) await term.write(tx => power.saw(tx, machine, state, error))
  }

  return createLoop({
    name: 'poll', every: beat, clock, log,
    async look (term, signal) {
      const share = Math.max(1, Math.ceil(await store.count(db, askable) / seconds * 1.25 * beat / 1000))
      const due = await store.due(db, askable, new Date(clock.now() - seconds * 1000), share + asking.size)
      const chosen = due.filter(bmc => !asking.has(bmc.machine)).slice(0, share)
      if (chosen.length === 0) return
      for (const { machine } of chosen) asking.add(machine)
      const work = batch(term, chosen)
        .catch((error: unknown) => { if (!signal.aborted) log.warn({ err: error }, 'power states could not be stored') })
        .finally(() => { batches.delete(work); for (const { machine } of chosen) asking.delete(machine) })
      batches.add(work)
    },
    async idle () { await Promise.allSettled(batches) }
  })
}
