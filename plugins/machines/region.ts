/** machines on a region. */
import { defineRegion } from '../../core/plugin.ts'
import { Power } from '../power/manifest.ts'
import { routes } from './api.ts'
import { createBmcLinks } from './bmc.ts'
import { createChassis } from './chassis.ts'
import { createDeadlines } from './deadlines.ts'
import { createEnlistment } from './enlist.ts'
import { createLifecycle } from './lifecycle.ts'
import { parseMac } from './mac.ts'
import { Machines, manifest, statuses } from './manifest.ts'
import * as store from './store.ts'
import { purpose } from './transition.ts'

export default defineRegion(manifest, {
  requires: { power: Power },
  provides: { machines: Machines },
  setup ({ config, db, clock, log, metrics, deps: { power } }) {
    const lifecycle = createLifecycle({ clock, power, limits: { commissioning: config.commissioningMinutes, deploying: config.deployingMinutes, releasing: config.releasingMinutes } })
    const bmcs = createBmcLinks(power, lifecycle)
    const enlistment = createEnlistment(lifecycle, clock, bmcs)
    const chassis = createChassis({ db, power, lifecycle, enlistment })
    power.hooks.found.tapPromise('machines', bmcs.found)
    power.hooks.outcome.tapPromise('machines', lifecycle.heardOfPower)
    power.hooks.macs.tapPromise('machines', async (q, machine) => (await store.get(q, machine))?.interfaces.map(({ mac }) => mac) ?? [])
    power.hooks.state.tapPromise('machines', async (tx, { machine, from, to }) => {
      if (await store.lock(tx, machine) === undefined) return
      await lifecycle.record(tx, machine, { type: 'power', level: to === 'error' ? 'warning' : 'debug', message: `Power was ${from}, is ${to}`, data: { from, to } })
      await store.bump(tx, machine)
      await tx.changed('machines.machine', machine)
    })

    const gauge = metrics.gauge('machines', 'Machines by status', ['status'])
    Object.assign(gauge, { // counted when somebody looks; a failing database leaves the last figures
      async collect () {
        const counts = await store.census(db).catch(() => undefined)
        if (counts === undefined) return
        for (const status of statuses) gauge.set({ status }, counts.find(one => one.status === status)?.count ?? 0)
      }
    })

    return {
      provides: {
        machines: {
          get: store.get,
          byMac: (q, mac) => store.byMac(q, parseMac(mac)),
          list: store.list,
          purpose,
          act: lifecycle.act,
          record: lifecycle.record,
          enlist: enlistment.enlist,
          saveInventory: enlistment.saveInventory,
          hooks: lifecycle.hooks
        }
      },
      rpc: {},
      services: [createDeadlines({ db, clock, log, lifecycle })],
      routes: routes({ db, lifecycle, enlistment, power, chassis })
    }
  }
})
