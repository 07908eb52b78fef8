/** dhcp on a rack: answers the clients of the VLANs it is wanted on. */
import { reasonOf } from '../../core/errors.ts'
import { dead, degraded, off, running } from '../../core/health.ts'
import type { Health } from '../../core/health.ts'
import { defineRack } from '../../core/plugin.ts'
import type { Service } from '../../core/plugin.ts'
import { Blocks } from './blocks.ts'
import { Chain } from './chain.ts'
import { ipText } from './ipv4.ts'
import { Limits, starvedSentence } from './limits.ts'
import { Dhcp, manifest } from './manifest.ts'
import { Memory } from './memory.ts'
import { createAsk } from './neighbours.ts'
import { occupiedSentence, Probes } from './probe.ts'
import { isOurProbe } from './rogue.ts'
import { Server } from './server.ts'
import { Sockets } from './socket.ts'
import { createTraffic } from './traffic.ts'
import { isOf6 } from './v6/memory6.ts'
import { createDhcp6 } from './v6/service6.ts'
import { createWatch } from './watch.ts'
import { Wishes } from './wishes.ts'

export default defineRack(manifest, {
  requires: {},
  provides: { dhcp: Dhcp },
  setup ({ config, log, clock, metrics, region, report }) {
    const traffic = createTraffic(metrics)
    const memory = new Memory()
    const tapFailures = metrics.counter('dhcp_tap_failures', 'Extensions of the DHCP chain that failed and were passed over, by stage and name.', ['stage', 'tap'])
    const chain = new Chain({ httpPort: config.rackHttpPort, firmwareLeaseSeconds: config.firmwareLeaseSeconds, rapidCommit: config.rapidCommit, log, failed: (stage, tap) => { tapFailures.inc({ stage, tap }) } })
    let unstored: string | undefined // why the last batch of bindings was not stored
    const wishes = new Wishes({
      call: async batch => (await region.bind({ wishes: [...batch] })).answers,
      batched (count, seconds, failure) {
        traffic.bound(count, seconds)
        unstored = failure === undefined ? undefined : reasonOf(failure)
        if (failure !== undefined) log.warn({ count, reason: unstored }, 'bindings were not stored, so their clients were not answered')
      },
      monotonic: clock.monotonic
    })
    const blocks = new Blocks({ memory, grant: region.grant, low: Math.ceil(config.blockSize / 2), log, clock })
    const limits = new Limits({ poolSeconds: config.newClientPoolSeconds, leastPerSecond: config.newClientsPerSecond, portPerSecond: config.newClientsPerPort, portBurst: config.newClientsPortBurst })
    const server = new Server({ chain, limits, memory, wishes, blocks, traffic, clock, log, report, quarantineSeconds: config.quarantineSeconds })
    const segmentOn = (device: string) => {
      for (const segment of memory.segments.values()) if (segment.interface === device) return segment
      return undefined
    }
    const sockets = new Sockets({
      log,
      received (device, data, send) {
        const segment = segmentOn(device)
        if (segment === undefined) traffic.dropped('no-segment')
        else server.receive(segment, data, send)
      }
    })
    const six = createDhcp6({ bind: region.bind, traffic, clock, log, report, httpPort: config.rackHttpPort, quarantineSeconds: config.quarantineSeconds, firmwareSeconds: config.firmwareLeaseSeconds })
    const probes = new Probes({
      ask: createAsk(clock), clock, log, again: config.probeSeconds * 1000, spoken: config.quarantineSeconds * 1000,
      segments: () => memory.segments.values(),
      free: (segment, subnet) => memory.view(segment, clock.now()).free(subnet.id),
      found (address, { id }, mac) {
        memory.declined(address, clock.now() + config.quarantineSeconds * 1000, clock.now())
        report('occupied', { address: ipText(address), subnet: id, mac })
      }
    })
    const rogues = createWatch({ segments: () => memory.segments, every: config.rogueProbeSeconds, report: ({ vlan, address, mac }) => { report('rogue', { vlan, address, mac }) }, clock, log })
    chain.hooks.parse.tap('rogues', ({ segment, packet }) => isOurProbe(segment, packet) ? 'probe' : undefined)
    let serving = false
    const refill = () => { for (const { subnets } of memory.segments.values()) for (const { id, dynamic } of subnets) if (dynamic.length > 0) blocks.refill(id) }
    const devices = () => new Set([...memory.segments.values()].map(segment => segment.interface))
    const sync = async () => {
      if (serving) refill()
      await sockets.serve(serving ? devices() : new Set())
    }
    const service: Service = {
      name: 'dhcp',
      async start (signal) {
        if (signal.aborted) return
        serving = true
        await sync()
        if (config.probeSeconds > 0 && serving) probes.start()
      },
      async stop () {
        serving = false
        await Promise.all([sync(), probes.stop()])
      },
      health (): Health {
        if (!serving) return off('not started')
        if (memory.segments.size === 0) return off('DHCP is enabled on no VLAN of this rack.')
        const clashes = [...memory.segments.values()].filter(segment => segmentOn(segment.interface) !== segment).map(({ vlan, interface: device }) => `VLAN ${vlan} shares ${device} with another VLAN and is not served; give it an interface of its own`)
        const problems = [...sockets.problems.values(), ...clashes]
        if (problems.length > 0) return (sockets.problems.size === devices().size ? dead : degraded)(problems.join('; '))
        const troubles = probes.inUse.slice(0, 3).map(occupiedSentence)
        troubles.push(...limits.starved(clock.monotonic()).slice(0, 3).map(starvedSentence))
        if (unstored !== undefined) troubles.unshift(`The regions do not store bindings, so new leases are not acknowledged: ${unstored}`)
        return troubles.length === 0 ? running : degraded(troubles.join('; '))
      }
    }
    return {
      provides: { dhcp: chain },
      rpc: {},
      services: [service, six.service, rogues],
      apply (change, whole) {
        six.apply(change.put, change.remove, whole)
        memory.apply(change.put.filter(entry => !isOf6(entry)), change.remove.filter(key => !isOf6(key)), whole, clock.now())
        chain.told.apply(change.put, change.remove, whole)
        limits.keep(memory.segments)
        if (!serving) return
        if (whole || [...change.put, ...change.remove].some(({ kind }) => kind === 'segment')) void sync()
        else refill()
      },
      reconcile: async () => { await Promise.all([sync(), six.reconcile()]) }
    }
  }
})
