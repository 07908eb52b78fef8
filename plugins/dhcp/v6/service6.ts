/** DHCPv6 on a rack: the service `dhcp6`, with a socket on every interface of a VLAN that wants it. */
import { dead, degraded, off, running } from '../../../core/health.ts'
import type { Health } from '../../../core/health.ts'
import type { Clock, Logger, Service } from '../../../core/plugin.ts'
import { Limits, starvedSentence } from '../rack/limits.ts'
import type { LimitsOptions } from '../rack/limits.ts'
import type { WantedEntry, WantedKey } from '../manifest.ts'
import { Sockets } from '../rack/socket.ts'
import type { Traffic } from '../rack/traffic.ts'
import { groups6, ports6 } from './codes6.ts'
import type { Memory6 } from './memory6.ts'
import { Server6 } from './server6.ts'
import type { Server6Options } from './server6.ts'

export interface Dhcp6Options extends Pick<Server6Options, 'report' | 'httpPort' | 'quarantineSeconds' | 'firmwareSeconds' | 'memory' | 'wishes' | 'served' | 'loaderOf'> {
  readonly memory: Memory6, readonly traffic: Traffic, readonly clock: Clock, readonly log: Logger
  /** The same figures as for IPv4, counted apart: a flood of one leaves the other its allowance. */
  readonly limits: LimitsOptions
  /** What is not as it should be between this rack and the regions. */
  problems(): readonly string[]
}
export interface Dhcp6 {
  readonly service: Service
  /** Takes in wanted state; what is not about IPv6 is passed over. */
  apply(put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean): void
  /** Opens and closes sockets as wanted, and tries again what failed. */
  reconcile(): Promise<void>
}

/** Wires DHCPv6; nothing runs before its service is started. */
export function createDhcp6 (options: Dhcp6Options): Dhcp6 {
  const { memory, clock, log } = options
  const limits = new Limits(options.limits)
  const server = new Server6({ ...options, limits })
  const sockets = new Sockets({
    log, port: ports6.server, family: 6, groups: [groups6.relaysAndServers, groups6.servers],
    received: (device, data, send, from, port) => { server.receive(device, data, send, from, port) }
  })
  let serving = false
  const devices = () => new Set([...memory.segments.values()].map(segment => segment.interface))
  const sync = () => sockets.serve(serving ? devices() : new Set())
  const service: Service = {
    name: 'dhcp6',
    async start (signal) {
      if (signal.aborted) return
      serving = true
      await sync()
    },
    async stop () {
      serving = false
      await sync()
    },
    health (): Health {
      if (!serving) return off('not started')
      if (memory.segments.size === 0) return off('DHCPv6 is enabled on no VLAN of this rack.')
      const seen = new Set<string>()
      const clashes = [...memory.segments.values()].flatMap(({ vlan, interface: device }) => seen.has(device) ? [`VLAN ${vlan} shares ${device} with another VLAN and is not served; give it an interface of its own`] : (seen.add(device), []))
      const problems = [...sockets.problems.values(), ...clashes]
      if (problems.length > 0) return (sockets.problems.size === devices().size ? dead : degraded)(problems.join('; '))
      const troubles = [...options.problems(), ...limits.starved(clock.monotonic()).slice(0, 3).map(starvedSentence)]
      return troubles.length === 0 ? running : degraded(troubles.join('; '))
    }
  }
  return {
    service,
    apply (put, remove, whole) {
      memory.apply(put, remove, whole, clock.now())
      limits.keep(memory.segments)
      if (serving) void sync()
    },
    reconcile: sync
  }
}
