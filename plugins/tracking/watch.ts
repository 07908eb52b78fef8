/** The leader's look at the whole: what nobody reports, because it is silence or absence, comes into the history and the events here. */
import type { Clock, Database, Logger, Term } from '../../core/plugin.ts'
import { periodic } from './periodic.ts'
import type { Periodic } from './periodic.ts'
import { essence, nothingTold } from './state.ts'
import type { Said } from './state.ts'
import { forget, holdAll, prune, show, shownKey } from './store.ts'
import type { See, Seen } from './view.ts'

export interface WatchOptions { readonly db: Database, readonly see: See, readonly clock: Clock, readonly log: Logger, readonly keepDays: number, readonly keepRows: number, readonly every?: number }

const pruneEvery = 600_000 // ms

/** What is shown differs from what is to be: by its state, or by the words of its reason. */
const differs = (shown: Said | undefined, { state, reason }: Pick<Said, 'state' | 'reason'>): boolean => shown === undefined || shown.state !== state || essence(shown.reason) !== essence(reason)

/** Of a controller that nothing is known of yet it is no news that nothing is known. */
const unheard: Said = { state: 'unknown', reason: nothingTold, since: new Date(0) }

/** In doubt there is none: it waits until those who live have been written down again. */
const news = ({ stored, services, controllers, doubt }: Seen) => doubt ? { services: [], controllers: [] } : {
  services: services.filter(row => differs(stored.shown.get(shownKey(row)), row)),
  controllers: controllers.filter(one => differs(stored.controllers.get(one.id) ?? unheard, one))
}

/** `every` in ms: how often silence is looked at; changes are looked at soon after they come. */
export function createWatch ({ db, see, clock, log, keepDays, keepRows, every = 2_000 }: WatchOptions): Periodic {
  let pruned = -Infinity
  let strangers = new Set<string>()

  async function look (_signal: AbortSignal, term: Term | undefined): Promise<void> {
    if (term === undefined) return
    const seen = await see(db)
    const first = news(seen)
    if (first.services.length + first.controllers.length > 0) {
      await term.write(async tx => {
        await holdAll(tx)
        const now = await see(tx) // a report may have come in between
        const { services, controllers } = news(now)
        await show(tx, services, controllers, now.stored.now)
      })
    }
    const known = new Set(seen.known.map(({ id }) => id))
    const unknown = [...seen.stored.controllers.keys()].filter(id => !known.has(id))
    const gone = unknown.filter(id => strangers.has(id)) // twice in a row: not one that is just joining
    if (gone.length > 0) await term.write(tx => forget(tx, gone))
    strangers = new Set(unknown)
    if (clock.monotonic() - pruned >= pruneEvery) {
      await term.write(tx => prune(tx, keepDays, keepRows))
      pruned = clock.monotonic()
    }
  }

  return periodic({ name: 'watch', on: 'leader', clock, log, every, settle: 250, trouble: 'Controllers that fall silent are not noticed', look })
}
