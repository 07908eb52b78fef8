/** network on a rack: tells the regions which interfaces and addresses this host has. */
import { BedplateError, reasonOf } from '../../core/errors.ts'
import { degraded, off, running } from '../../core/health.ts'
import { defineRack } from '../../core/plugin.ts'
import type { Clock, Health, Service } from '../../core/plugin.ts'
import { systemInterfaces } from './getifaddrs.ts'
import { reported } from './interfaces.ts'
import type { SystemAddress } from './interfaces.ts'
import { manifest } from './manifest.ts'
import type { RackInterface } from './manifest.ts'

interface Scan {
  readonly look: () => Readonly<Record<string, readonly SystemAddress[] | undefined>>
  readonly ignore: readonly string[], readonly seconds: number, readonly clock: Clock
  readonly report: (interfaces: RackInterface[]) => void
}

/** The service `interfaces`: looks at the host every `seconds`, reports at start and then what differs from the last report. */
export function interfaceScan (scan: Scan): Service {
  let stopping: AbortController | undefined
  let ended: Promise<unknown> = Promise.resolve() // of every loop begun so far
  let last: string | undefined
  let health: Health = off('not started')

  const look = () => {
    try {
      const interfaces = reported(scan.look(), scan.ignore)
      const seen = JSON.stringify(interfaces)
      if (seen !== last) scan.report(interfaces)
      last = seen
      health = running
    } catch (error) {
      health = degraded(`The interfaces of this host cannot be read or reported: ${reasonOf(error)}`)
    }
  }
  return {
    name: 'interfaces',
    async start (signal) {
      if (signal.aborted) throw new BedplateError('START_FAILED', { what: 'interfaces', reason: 'the start was called off' })
      if (stopping !== undefined) return
      const { signal: stop } = stopping = new AbortController()
      last = undefined
      look()
      const loop = (async () => {
        for (;;) {
          await scan.clock.sleep(scan.seconds * 1000, stop)
          if (stop.aborted) return
          look()
        }
      })()
      ended = Promise.all([ended, loop])
    },
    async stop () {
      stopping?.abort()
      stopping = undefined
      if (health.state !== 'off') health = off('stopped')
      await ended
    },
    health: () => health
  }
}

export default defineRack(manifest, {
  requires: {},
  provides: {},
  setup (ctx) {
    const scan = interfaceScan({
      look: systemInterfaces, ignore: ctx.config.ignoreInterfaces, seconds: ctx.config.scanSeconds, clock: ctx.clock,
      report: interfaces => ctx.report('interfaces', { interfaces })
    })
    return { provides: {}, rpc: {}, services: [scan] }
  }
})
