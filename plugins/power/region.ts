/** power on a region. */
import { defineRegion } from '../../core/plugin.ts'
import { Network } from '../network/manifest.ts'
import { routes } from './api.ts'
import { manifest, Power } from './manifest.ts'
import { createActions } from './region/actions.ts'
import { racksOn } from './region/assign.ts'
import { createAssigner } from './region/assigner.ts'
import { takeFacts } from './region/facts.ts'
import { createFound } from './region/found.ts'
import { createScans } from './region/found-scans.ts'
import { createRacks } from './region/racks.ts'
import { createPower } from './region/service.ts'
import { bmcEntries, credentialsFor, touchedBmcs } from './region/wanted.ts'
import { routesFor } from './store/routes.ts'

export default defineRegion(manifest, {
  requires: { network: Network },
  provides: { power: Power },
  setup (ctx) {
    const { db, clock, log, secrets, config, deps: { network } } = ctx
    const racks = createRacks({ clock, rack: id => ctx.rack(id), racks: () => ctx.racks(), routes: machine => routesFor(db, machine) })
    const power = createPower({ db, clock, secrets, racks, timeout: 15_000 })
    const actions = createActions({
      db, clock, log, power, racks, timeout: config.actionTimeoutSeconds * 1000,
      async hosts (machine) {
        const macs = await power.hooks.macs.promise(db, machine) ?? []
        return macs.length === 0 ? [] : racksOn(macs, await network.interfaces(db))
      }
    })
    const assigner = createAssigner({ db, clock, log, power, racks: () => ctx.racks() })
    const found = createFound({ log, secrets, power, racks })
    const scans = createScans({ db, clock, log, secrets, network, hooks: power.hooks, rack: id => ctx.rack(id), racks: () => ctx.racks() })
    return {
      provides: { power: { ...power, ...found } },
      rpc: { credentials: async ({ machines }, { controller }) => ({ machines: await credentialsFor(db, log, power.opened, controller, machines) }) },
      services: [actions, assigner, scans],
      routes: routes({ db, clock, secrets, power, racks }),
      changed (changes) {
        if (changes.some(({ topic }) => topic === 'power.action')) actions.wake()
        if (changes.some(({ topic }) => topic === 'power.bmc' || topic === 'power.route')) assigner.wake()
        if (changes.some(({ topic }) => topic === 'power.scan')) scans.wake()
      },
      wanted: (rack, keys) => bmcEntries(db, rack, keys),
      touches: async changes => touchedBmcs(changes),
      facts: (tx, rack, batch) => takeFacts({ clock, power }, tx, rack, batch)
    }
  }
})
