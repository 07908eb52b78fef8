/** power on a region. */
import { defineRegion } from '../../core/plugin.ts'
import { routes } from './api.ts'
import { manifest, Power } from './manifest.ts'
import { createActions } from './region/actions.ts'
import { createRacks } from './region/racks.ts'
import { createPower } from './region/service.ts'

export default defineRegion(manifest, {
  requires: {},
  provides: { power: Power },
  setup (ctx) {
    const { db, clock, log, secrets, config } = ctx
    const racks = createRacks({ clock, rack: id => ctx.rack(id), racks: () => ctx.racks() })
    const power = createPower({ db, clock, secrets, racks, timeout: 15_000 })
    const actions = createActions({ db, clock, log, power, racks, timeout: config.actionTimeoutSeconds * 1000 })
    return {
      provides: { power },
      rpc: { credentials: async () => ({ machines: [] }) },
      services: [actions],
      routes: routes({ db, power }),
      changed (changes) { if (changes.some(({ topic }) => topic === 'power.action')) actions.wake() }
    }
  }
})
