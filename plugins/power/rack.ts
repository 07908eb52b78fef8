/** power on a rack: hands calls to the drivers, looks which BMCs it reaches, and asks those that are its own. */
import { defineRack } from '../../core/plugin.ts'
import { createKept } from './kept.ts'
import { manifest } from './manifest.ts'
import { createBmcs } from './rack/bmcs.ts'
import { createCall, createCalls } from './rack/calls.ts'
import { createHardware } from './rack/hardware.ts'
import { createHello } from './rack/hello.ts'
import { createPoll } from './rack/poll.ts'
import { createQueue } from './rack/queue.ts'
import { createReach } from './rack/reach.ts'
import { createScanning } from './rack/scan.ts'
import { createStanding } from './rack/standing.ts'
import { createWay } from './rack/way.ts'

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup ({ clock, config, log, controller, region, report }) {
    const kept = createKept()
    const queue = createQueue()
    const rack = controller.id
    const reach = createReach({ clock, log, rack, hello: createHello(kept), seconds: config.reachSeconds, report: routes => report('routes', { routes: [...routes] }) })
    const poll = createPoll({ clock, log, rack, kept, queue, region, reaching: reach, seconds: config.pollSeconds, report: seen => report('states', { seen: [...seen] }) })
    const way = createWay()
    const call = createCall({ kept, queue, way, standing: createStanding(clock) })
    const calls = createCalls({ call, rack, timeout: config.actionTimeoutSeconds * 1000, begins (machine) { poll.yield(machine); way.clear(machine) } })
    const hardware = createHardware({ call })
    const scanning = createScanning({ clock, log, kept })
    return {
      provides: {},
      rpc: { ...calls, ...hardware, ...scanning },
      services: [reach.service, poll.service],
      apply: createBmcs([reach, poll]),
      stop: () => kept.close()
    }
  }
})
