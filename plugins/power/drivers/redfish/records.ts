/** The BMC's log (DSP0268 LogService, LogEntry). */
import { BedplateError } from '../../../../core/errors.ts'
import type { LogEntry } from '../../driver.ts'
import { managerOf } from './identity.ts'
import { link, text, type Json } from '../../connection/json.ts'
import { systemOf } from './power.ts'
import type { Found, Service } from './service.ts'

const newest = 500
const read = 5_000 // records read at most to find the newest: a log tells them in either order

const severities: Readonly<Record<string, LogEntry['severity']>> = { Warning: 'warning', Critical: 'critical' }

/** Newest first; those without a time keep their order, after the others. Pure. */
export function entriesFrom (bodies: readonly Json[]): readonly LogEntry[] {
  return bodies.map((body, index): LogEntry => ({ id: text(body.Id) ?? String(index + 1), at: timeFrom(body.Created) ?? timeFrom(body.EventTimestamp), severity: severities[text(body.Severity) ?? text(body.MessageSeverity) ?? ''] ?? 'info', message: (text(body.Message) ?? text(body.MessageId) ?? text(body.Name) ?? '').slice(0, 2_000) }))
    .sort((a, b) => (b.at ?? '').localeCompare(a.at ?? '') || 0)
    .slice(0, newest)
}

/** A time as ISO 8601 in UTC; null for what is none, and for the years before BMCs: they count from 1970 while their clock is not set. Pure. */
export function timeFrom (value: unknown): string | null {
  const at = Date.parse(text(value) ?? '')
  return Number.isNaN(at) || at < Date.UTC(2000, 0, 1) ? null : new Date(at).toISOString()
}

/** The log there is: the SEL if there is one, else the first. Pure. */
export const chosen = <T extends Pick<Found, 'path'>>(services: readonly T[]): T | undefined =>
  [/\/sel$/i, /\/(iml|eventlog|standardlog|log1?)$/i].flatMap(pattern => services.find(({ path }) => pattern.test(path.replace(/\/$/, ''))) ?? [])[0] ?? services[0]

/** The newest records of the system's log, or of the manager's where the system has none. POWER_UNSUPPORTED. */
export async function records (service: Service): Promise<readonly LogEntry[]> {
  const system = await service.get(await systemOf(service))
  const logs = [...await service.members(link(system.body.LogServices), 20), ...await service.members(link((await managerOf(service, system))?.body.LogServices), 20)]
  const log = chosen(logs)
  const entries = link(log?.body.Entries)
  if (entries === undefined) throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action: 'read a log on this BMC: it has none' })
  return entriesFrom((await service.members(entries, read)).map(one => one.body))
}
