/** tracking on a region: stores what racks tell, tells the database of itself, and shows the whole. */
import { networkInterfaces } from 'node:os'
import { Controllers, defineRegion, Self } from '../../core/plugin.ts'
import { Network } from '../network/manifest.ts'
import { routes } from './api.ts'
import { ownInterfaces } from './interfaces.ts'
import type { OwnInterface } from './interfaces.ts'
import { manifest } from './manifest.ts'
import { createTeller } from './report.ts'
import { putAll, putInterfaces, putLinks, putMissed, putServices, renewLink } from './store.ts'
import { createSee, createView } from './view.ts'
import { createWatch } from './watch.ts'

/** A sandbox may forbid the look; then there are none to show. */
function seenInterfaces (): OwnInterface[] {
  try { return ownInterfaces(networkInterfaces()) } catch { return [] }
}

export default defineRegion(manifest, {
  requires: { network: Network, self: Self, controllers: Controllers },
  provides: {},
  setup (ctx) {
    const { db, clock, log, config, deps, controller: { id } } = ctx
    const see = createSee(deps.controllers, id, config.quietSeconds * 1000)
    const view = createView({ db, see, metrics: ctx.metrics, clock, log })
    const watch = createWatch({ db, see, clock, log, keepDays: config.keepDays, keepRows: config.keepRows })
    let linked: string | undefined // as it was stored last
    const renewed = new Set<string>()
    const teller = createTeller({
      name: 'records', clock, log, status: deps.self.status, trouble: 'The database is not told how the services of this region are',
      async tell ({ make = '', whole, changes, links }) {
        await db.tx(async tx => {
          if (whole !== undefined) {
            await putAll(tx, id, make, whole)
            if (!ctx.controller.roles.includes('rack')) await putInterfaces(tx, id, seenInterfaces())
          }
          if (changes.length > 0) await putServices(tx, id, changes)
          if (links !== undefined) await putMissed(tx, id, links)
        })
        if (whole !== undefined) linked = undefined
      },
      async beside () {
        const racks = [...ctx.racks()].sort()
        const again = [...renewed].filter(rack => racks.includes(rack))
        const now = racks.join(' ')
        if (now === linked && again.length === 0) return
        await db.tx(async tx => {
          await putLinks(tx, id, racks)
          for (const rack of again) await renewLink(tx, id, rack)
        })
        for (const rack of again) renewed.delete(rack)
        linked = now
      }
    })
    ctx.hooks.service.tap('tracking', teller.changed)
    ctx.hooks.link.tap('tracking', ({ controller, up }) => { if (up) renewed.add(controller); else renewed.delete(controller); teller.service.wake() })
    return {
      provides: {}, rpc: {},
      services: [teller.service, view, watch],
      routes: routes({ db, see, network: deps.network }),
      async reconcile () { teller.whole() },
      changed (changes) {
        if (!changes.some(({ topic }) => topic.startsWith('tracking.'))) return
        view.wake()
        watch.wake()
      },
      /** What racks tell, in the order they told it. */
      async facts (tx, rack, batch) {
        for (const fact of batch) {
          if (fact.kind === 'services') await putAll(tx, rack, fact.body.make, fact.body.services)
          else if (fact.kind === 'service') await putServices(tx, rack, [fact.body])
          else await putMissed(tx, rack, fact.body.links)
        }
      }
    }
  }
})
