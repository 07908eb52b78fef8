/** What a controller tells of its own services and links, whoever it tells: a rack its regions, a region the database. */
import type { Clock, Logger, ServiceStatus, Status } from '../../core/plugin.ts'
import { linkReports, worthTelling } from './links.ts'
import type { LinkReport, ServiceReport } from './manifest.ts'
import { periodic } from './periodic.ts'
import type { Periodic } from './periodic.ts'

export interface Teller {
  readonly service: Periodic
  /** One service changed. */
  changed(status: ServiceStatus): void
  /** Tell everything again: after the start, and now and then. */
  whole(): void
}

/** Everything that is to be told, in order: `whole` stands before the changes that came after it. */
export interface Telling { readonly make?: string, readonly whole?: readonly ServiceReport[], readonly changes: readonly ServiceReport[], readonly links?: readonly LinkReport[] }

export interface TellerOptions {
  readonly name: string, readonly clock: Clock, readonly log: Logger, readonly trouble: string
  readonly status: () => Status
  /** Rejects when it could not be told; then it is told again, together with what has happened since. */
  readonly tell: (telling: Telling) => Promise<void> | void
  /** Beside it, at each look. */
  readonly beside?: () => Promise<void>
  readonly every?: number // ms, default 2,000
}

const mostChanges = 1_000
const reasonPatience = 60_000 // ms until another reason for the same missing link is told

/** Nothing is told before the controller has started, when the list of its services is whole, nor once it stops. */
export function createTeller ({ name, clock, log, trouble, status, tell, beside, every = 2_000 }: TellerOptions): Teller {
  let whole = false
  let changes: ServiceReport[] = []
  let told: { readonly links: readonly LinkReport[], readonly at: number } | undefined
  const ready = (): boolean => status().phase === 'ready'

  async function look (): Promise<void> {
    if (!ready()) return
    const { services, links = [], controller } = status()
    const reports = linkReports(links)
    const linksToo = whole || worthTelling(told?.links, reports, clock.monotonic() - (told?.at ?? 0), reasonPatience)
    const telling: Telling = {
      ...(whole ? { make: `${controller.version} ${[...controller.roles].sort().join('+')}`, whole: services.map(reportOf) } : {}),
      changes: whole ? [] : changes,
      ...(linksToo && controller.roles.includes('rack') ? { links: reports } : {})
    }
    const [taken, asked] = [changes, whole]
    changes = []
    whole = false
    try {
      if (telling.whole !== undefined || telling.changes.length > 0 || telling.links !== undefined) await tell(telling)
    } catch (error) {
      whole = whole || asked || taken.length + changes.length > mostChanges
      changes = whole ? [] : [...taken, ...changes]
      throw error
    }
    if (telling.links !== undefined) told = { links: reports, at: clock.monotonic() }
    await beside?.()
  }

  const service = periodic({ name, clock, log, every, settle: 50, trouble, look })
  return {
    service,
    changed (status) {
      changes.push(reportOf(status))
      if (changes.length > mostChanges) { changes = []; whole = true }
      service.wake()
    },
    whole () { whole = true; service.wake() }
  }
}

export const reportOf = ({ plugin, role, service, on, state, reason, since, restarts }: ServiceStatus): ServiceReport => ({
  plugin, service, state, since, restarts,
  ...(role === undefined ? {} : { role }), ...(on === undefined ? {} : { leader: true }), ...(reason === undefined ? {} : { reason: reason.slice(0, 4000) })
})
