/** The whole as every region sees it: read anew each time, so that each gives the same answer; and as metrics. */
import type { Clock, Database, KnownController, Logger, Metrics, Query } from '../../core/plugin.ts'
import { periodic } from './periodic.ts'
import type { Periodic } from './periodic.ts'
import { derive } from './state.ts'
import type { ControllerState, ServiceRow } from './state.ts'
import { everything } from './store.ts'
import type { Everything } from './store.ts'

export interface Seen { readonly known: readonly KnownController[], readonly stored: Everything, readonly controllers: readonly (ControllerState & { readonly since: Date })[], readonly services: readonly ServiceRow[] }
export type See = (q: Query) => Promise<Seen>

/** `quiet` in ms: how long a controller may be silent before what it said is no longer believed. */
export const createSee = (known: { list(): Promise<readonly KnownController[]> }, quiet: number): See => async q => {
  const controllers = await known.list()
  const stored = await everything(q)
  const whole = derive({ ...stored, controllers, quiet })
  const seenAt = new Map(controllers.map(one => [one.id, one.seenAt]))
  return {
    known: controllers, stored, services: whole.services,
    controllers: whole.controllers.map(one => {
      const before = stored.controllers.get(one.id)
      const since = before?.state === one.state ? before.since : one.state === 'unknown' ? seenAt.get(one.id) ?? stored.now : stored.now
      return { ...one, since }
    })
  }
}

/** The service that keeps the metrics of the whole. */
export function createView ({ db, see, metrics, clock, log }: { readonly db: Database, readonly see: See, readonly metrics: Metrics, readonly clock: Clock, readonly log: Logger }): Periodic {
  const services = metrics.gauge('tracking_service_state', 'Every service of every controller: 1 under the state it is in', ['controller', 'hostname', 'role', 'plugin', 'service', 'state'])
  const controllers = metrics.gauge('tracking_controller_state', 'Every controller: 1 under the state it is in', ['controller', 'hostname', 'state'])
  const links = metrics.gauge('tracking_links_missing', 'Links a controller should hold and does not', ['controller', 'hostname'])
  return periodic({
    name: 'view', clock, log, every: 5_000, settle: 250, trouble: 'The metrics of the controllers are old',
    async look () {
      const seen = await see(db)
      const hostnames = new Map(seen.known.map(({ id, hostname }) => [id, hostname]))
      for (const gauge of [services, controllers, links]) gauge.reset()
      for (const { controller, role, plugin, service, state } of seen.services) services.set({ controller, hostname: hostnames.get(controller) ?? '', role, plugin, service, state }, 1)
      for (const { id, state, regions, racks } of seen.controllers) {
        controllers.set({ controller: id, hostname: hostnames.get(id) ?? '', state }, 1)
        links.set({ controller: id, hostname: hostnames.get(id) ?? '' }, new Set([...regions, ...racks].filter(({ up }) => !up).map(peer => peer.id)).size)
      }
    }
  })
}
