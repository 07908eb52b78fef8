/** The whole as every region sees it: read anew each time, so that each gives the same answer; and as metrics. */
import type { Clock, Database, KnownController, Logger, Metrics, Query } from '../../core/plugin.ts'
import { periodic } from './periodic.ts'
import type { Periodic } from './periodic.ts'
import { doubtful, vigilAfter } from './silence.ts'
import type { Vigil } from './silence.ts'
import { derive } from './state.ts'
import type { ControllerState, ServiceRow } from './state.ts'
import { everything } from './store.ts'
import type { Everything } from './store.ts'

/** `doubt`: somebody is silent, which may only be because nobody could write. */
export interface Seen { readonly known: readonly KnownController[], readonly stored: Everything, readonly controllers: readonly (ControllerState & { readonly since: Date })[], readonly services: readonly ServiceRow[], readonly doubt: boolean }
export type See = (q: Query) => Promise<Seen>

/** `self`: the id of this region. `quiet` in ms: how long a controller may be silent before what it said is no longer believed. */
export function createSee (known: { list(): Promise<readonly KnownController[]> }, self: string, quiet: number): See {
  let vigil: Vigil | undefined // of all looks of this region, so that one that comes to lead has kept it already
  const read = async (q: Query) => {
    try {
      return { controllers: await known.list(), stored: await everything(q) }
    } catch (error) {
      vigil = undefined
      throw error
    }
  }
  return async q => {
    const { controllers, stored } = await read(q)
    const { now } = stored
    const whole = derive({ ...stored, controllers, quiet })
    const byId = new Map(controllers.map(one => [one.id, one]))
    vigil = vigilAfter(vigil, byId.get(self), now, quiet)
    return {
      known: controllers, stored, services: whole.services, doubt: doubtful(vigil, controllers, stored.controllers, now, quiet),
      controllers: whole.controllers.map(one => {
        const before = stored.controllers.get(one.id)
        const since = before?.state === one.state ? before.since : one.state === 'unknown' ? byId.get(one.id)?.seenAt ?? now : now
        return { ...one, since }
      })
    }
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
