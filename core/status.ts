/** How this controller is doing: its phase, services, leader, links, and what keeps it from being ready. */
import type { DatabaseHandle } from './database/pool.ts'
import type { Elector } from './parts.ts'
import type { Controller } from './plugin.ts'
import type { LinkState, RackEnd, RackLink, RegionEnd } from './rpc/ends.ts'
import type { ServiceStatus, Supervisor } from './supervise.ts'
import type { FloatingAddressService } from './vip/service.ts'

export type Phase = 'starting' | 'ready' | 'stopping'
export interface Trouble { readonly part: string, readonly state: string, readonly reason: string }

export interface Status {
  readonly controller: Controller
  readonly phase: Phase
  /** The rule of /readyz: started, not stopping, and the database and every service of the core run (degraded counts as running, off as wanted so). */
  readonly ready: boolean
  /** What keeps it from being ready. */
  readonly notReady: readonly Trouble[]
  /** Services of plugins that do not run as they should. They cost their own function only, so the controller stays ready. */
  readonly degraded: readonly Trouble[]
  readonly services: readonly ServiceStatus[]
  readonly leading?: { readonly term: string } // absent when another region leads
  readonly vip?: { readonly addresses: readonly string[], readonly holder: boolean } // absent without the setting; holder: they are here
  readonly links?: readonly LinkState[] // a rack's links to its regions
  readonly linkedRacks?: readonly string[] // the racks this region holds a link to
  readonly rackLinks?: readonly RackLink[] // the same, with since when and how they answer
}

export interface StatusSources {
  readonly controller: Controller
  readonly phase: () => Phase
  readonly supervisor: Supervisor
  readonly region?: { readonly db: DatabaseHandle, readonly end: RegionEnd } | undefined
  readonly rack?: RackEnd | undefined
  readonly elector?: Elector | undefined
  readonly floating?: FloatingAddressService | undefined
}

/** Reads the parts anew on each call; no I/O. */
export const createStatus = ({ controller, phase, supervisor, region, rack, elector, floating }: StatusSources) => (): Status => {
  const services = supervisor.list()
  const notReady: Trouble[] = []
  const degraded: Trouble[] = []
  if (phase() !== 'ready') notReady.push({ part: 'bedplate', state: phase(), reason: `Bedplate is ${phase()}.` })
  const database = region?.db.health()
  if (database !== undefined && database.state !== 'running') (database.state === 'degraded' ? degraded : notReady).push({ part: 'database', ...database })
  for (const { plugin, service, state, reason = '' } of services) {
    if (state === 'running' || state === 'off') continue
    const fatal = plugin === 'core' && state !== 'degraded'
    ;(fatal ? notReady : degraded).push({ part: `${plugin}/${service}`, state, reason })
  }
  const term = elector?.current()
  return {
    controller,
    phase: phase(),
    ready: notReady.length === 0,
    notReady,
    degraded,
    services,
    ...(term === undefined ? {} : { leading: { term: String(term.number) } }),
    ...(floating === undefined ? {} : { vip: { addresses: floating.addresses, holder: floating.held() } }),
    ...(rack === undefined ? {} : { links: rack.links() }),
    ...(region === undefined ? {} : { linkedRacks: region.end.racks(), rackLinks: region.end.links() })
  }
}
