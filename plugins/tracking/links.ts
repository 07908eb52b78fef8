/** A rack's links as the tracking tells them: what it misses, and when that is worth telling. Pure. */
import type { LinkState } from '../../core/plugin.ts'
import type { LinkReport } from './manifest.ts'

/** One entry a region or address: a second way to a region that is linked already is none that is missed. */
export function linkReports (links: readonly LinkState[]): LinkReport[] {
  const linked = new Set(links.filter(({ up }) => up).map(({ controller }) => controller))
  return links
    .filter(({ up, controller }) => up || !linked.has(controller))
    .map(({ controller, url, up, reason }) => ({ controller, url, up, ...(up || reason === undefined ? {} : { reason: reason.slice(0, 4000) }) }))
    .sort((a, b) => a.controller < b.controller ? -1 : a.controller > b.controller ? 1 : a.url < b.url ? -1 : a.url > b.url ? 1 : 0)
}

/** Whether it is to be told: at once when a link came or went, after `patience` ms when only a reason differs. */
export function worthTelling (told: readonly LinkReport[] | undefined, now: readonly LinkReport[], sinceTold: number, patience: number): boolean {
  if (told === undefined) return true
  const shape = (links: readonly LinkReport[]) => JSON.stringify(links.map(({ reason: _, ...link }) => link))
  return shape(told) !== shape(now) || (sinceTold >= patience && JSON.stringify(told) !== JSON.stringify(now))
}
