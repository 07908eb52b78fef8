/** dhcp on a rack: answers the clients of the VLANs it is wanted on. */
import { dead, degraded, off, running } from '../../core/health.ts'
import type { Health } from '../../core/health.ts'
import { defineRack } from '../../core/plugin.ts'
import type { Service } from '../../core/plugin.ts'
import { systemBootClock } from './alone/boot-clock.ts'
import { ipText } from './v4/ipv4.ts'
import { openJournal } from './alone/journal-file.ts'
import { limitsOf } from './rack/limits.ts'
import { Dhcp, manifest } from './manifest.ts'
import { createAsk } from './watch/neighbours.ts'
import { occupiedSentence, Probes } from './watch/probe.ts'
import { createProxy } from './proxy/proxying.ts'
import { isOurProbe } from './watch/rogue.ts'
import { createResponder } from './rack/responder.ts'
import { Sockets } from './rack/socket.ts'
import { Memory6 } from './v6/memory6.ts'
import { Step } from './v4/chain.ts'
import { createDhcp6 } from './v6/service6.ts'
import { createWatch } from './watch/watch.ts'

export default defineRack(manifest, {
  requires: {},
  provides: { dhcp: Dhcp },
  setup ({ config, log, clock, metrics, region, report, controller }) {
    const journal = () => openJournal(controller.dataDirectory, (reason, kept) => { log.error({ reason, kept }, 'the journal of leases was damaged: it was put aside, and a new one begins') })
    const memory6 = new Memory6()
    const responder = createResponder({ config, log, clock, boot: systemBootClock(), metrics, region, report, journal, six: memory6 })
    const { memory, chain, traffic } = responder
    const segmentOn = (device: string) => {
      for (const segment of memory.segments.values()) if (segment.interface === device) return segment
      return undefined
    }
    const sockets = new Sockets({
      log,
      received (device, data, send, from, port) {
        const segment = segmentOn(device)
        if (segment === undefined) traffic.dropped('no-segment')
        else if (segment.mode === 'proxy') proxy.receive(segment, data, send, from, port)
        else responder.receive(segment, data, send)
      }
    })
    const proxy = createProxy({ segments: () => memory.segments, bootOf: (segment, packet) => chain.boot(new Step(segment, packet)), traffic, log })
    const six = createDhcp6({ memory: memory6, limits: limitsOf(config), wishes: responder.wishes, problems: responder.problems, traffic, clock, log, report, httpPort: config.rackHttpPort, quarantineSeconds: config.quarantineSeconds, firmwareSeconds: config.firmwareLeaseSeconds, served: address => chain.isServed(address), loaderOf: mac => chain.loaderOf(mac) })
    const probes = new Probes({
      ask: createAsk(clock), clock, log, again: config.probeSeconds * 1000, spoken: config.quarantineSeconds * 1000,
      segments: () => memory.segments.values(),
      free: (segment, subnet) => memory.view(segment, clock.now()).free(subnet.id),
      found (address, { id }, mac) {
        memory.declined(address, clock.now() + config.quarantineSeconds * 1000, clock.now(), mac ?? undefined)
        report('occupied', { address: ipText(address), subnet: id, mac })
      }
    })
    const rogues = createWatch({ segments: () => memory.segments, every: config.rogueProbeSeconds, report: ({ vlan, address, mac }) => { report('rogue', { vlan, address, mac }) }, clock, log })
    chain.hooks.parse.tap('rogues', ({ segment, packet }) => isOurProbe(segment, packet) ? 'probe' : undefined)
    let serving = false
    const devices = () => new Set([...memory.segments.values()].flatMap(segment => segment.mode === 'off' ? [] : [segment.interface]))
    const sync = async () => {
      if (serving) responder.refill()
      await Promise.all([sockets.serve(serving ? devices() : new Set()), proxy.sync()])
    }
    const service: Service = {
      name: 'dhcp',
      async start (signal) {
        if (signal.aborted) return
        serving = true
        responder.start()
        await sync()
        if (config.probeSeconds > 0 && serving) probes.start()
      },
      async stop () {
        serving = false
        await Promise.all([sync(), probes.stop(), responder.stop()])
      },
      health (): Health {
        if (!serving) return off('not started')
        if (memory.segments.size === 0) return off('DHCP is enabled on no VLAN of this rack.')
        const clashes = [...memory.segments.values()].filter(segment => segmentOn(segment.interface) !== segment).map(({ vlan, interface: device }) => `VLAN ${vlan} shares ${device} with another VLAN and is not served; give it an interface of its own`)
        const problems = [...sockets.problems.values(), ...clashes]
        if (problems.length > 0) return (sockets.problems.size === devices().size ? dead : degraded)(problems.join('; '))
        const troubles = [...responder.problems(), ...probes.inUse.slice(0, 3).map(occupiedSentence)]
        return troubles.length === 0 ? running : degraded(troubles.join('; '))
      }
    }
    return {
      provides: { dhcp: chain },
      rpc: {},
      services: [service, six.service, proxy.service, rogues],
      apply (change, whole) {
        six.apply(change.put, change.remove, whole)
        responder.apply(change, whole)
        if (!serving) return
        if (whole || [...change.put, ...change.remove].some(({ kind }) => kind === 'segment')) void sync()
        else responder.refill()
      },
      reconcile: async () => { await Promise.all([sync(), six.reconcile()]) }
    }
  }
})
