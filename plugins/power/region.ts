/** power on a region. */
import { defineRegion } from '../../core/plugin.ts'
import { createActions } from './actions.ts'
import { routes } from './api.ts'
import { manifest, Power } from './manifest.ts'
import { createPoll } from './poll.ts'
import { createRacks } from './racks.ts'
import { createPower } from './service.ts'

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
      rpc: {},
      services: [actions, createPoll({ db, clock, log, power, racks, seconds: config.pollSeconds })],
      routes: routes({ db, power }),
      changed (changes) { if (changes.some(({ topic }) => topic === 'power.action')) actions.wake() }
    }
  }
})
