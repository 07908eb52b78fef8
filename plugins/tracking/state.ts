/** What is made of what controllers said of themselves, of the links there are, and of silence. Pure. */
import type { Role } from '../../core/plugin.ts'
import type { ServiceReport, StateName } from './manifest.ts'
import { silence, silent } from './silence.ts'

export interface Known { readonly id: string, readonly hostname: string, readonly roles: readonly Role[], readonly version: string, readonly seenAt: Date }
export interface Said { readonly state: StateName, readonly reason: string | null, readonly since: Date }
export interface ServiceKey { readonly role: string, readonly plugin: string, readonly service: string }
export interface ServiceRow extends ServiceKey, Said { readonly controller: string, readonly leader: boolean, readonly restarts: number }
export interface Link { readonly region: string, readonly rack: string, readonly since: Date }
export interface Missed { readonly rack: string, readonly region: string, readonly url: string, readonly reason: string | null, readonly since: Date }

/** One end of a link as a controller sees it. */
export interface Peer { readonly id: string, readonly hostname: string, readonly up: boolean, readonly since: Date | null, readonly reason: string | null }
export interface ControllerState { readonly id: string, readonly state: StateName, readonly reason: string | null, readonly regions: readonly Peer[], readonly racks: readonly Peer[] }
export interface Whole { readonly controllers: readonly ControllerState[], readonly services: readonly ServiceRow[] }

export interface Given {
  readonly controllers: readonly Known[], readonly services: readonly ServiceRow[], readonly links: readonly Link[], readonly missed: readonly Missed[]
  readonly now: Date
  readonly quiet: number // ms
}

/** How long no region may lead before that is a fault: a lease runs out (5 s), and another takes it within 2 s. */
export const leaderless = 7_000

export const partOf = ({ plugin, service }: Pick<ServiceKey, 'plugin' | 'service'>): string => `${plugin}/${service}`
export const keyOf = ({ role, plugin, service }: ServiceKey): string => `${plugin}/${service}${role === '' ? '' : `@${role}`}`
const plainly = (moment: Date): string => moment.toISOString().replace(/\.\d+Z$/, 'Z')

/** The state of every controller and service at `now`. Services of a controller that is not known are left out. */
export function derive ({ controllers, services: said, links, missed, now, quiet }: Given): Whole {
  const known = new Map(controllers.map(controller => [controller.id, controller]))
  const heard = (controller: Known): boolean => !silent(controller, now, quiet)
  const idle = idleSince(said.filter(row => { const owner = known.get(row.controller); return owner !== undefined && heard(owner) }), now)

  const services = said.flatMap((row): ServiceRow[] => {
    const owner = known.get(row.controller)
    if (owner === undefined) return []
    if (!heard(owner)) return [{ ...row, state: 'unknown', reason: silence(owner), since: owner.seenAt }]
    const since = row.leader && row.state === 'off' ? idle : undefined
    return [since === undefined ? row : { ...row, state: 'dead', reason: `no region leads since ${plainly(since)}, so it runs nowhere; see the service core/elector-region of each region, and whether the database accepts writes`, since }]
  })

  const byController = Map.groupBy(services, row => row.controller)
  const peersOf = linked(controllers, links, missed, heard)
  return {
    services,
    controllers: controllers.map(controller => {
      const { regions, racks } = peersOf(controller)
      return { id: controller.id, regions, racks, ...heard(controller) ? judge(controller, byController.get(controller.id) ?? [], regions, racks) : { state: 'unknown', reason: silence(controller) } }
    })
  }
}

/** Since when no region heard of leads, where that is longer than a change of leader takes: a leader runs at least one of its services (others may be off by their own will). */
function idleSince (rows: readonly ServiceRow[], now: Date): Date | undefined {
  const leading = rows.filter(row => row.leader)
  if (leading.length === 0 || leading.some(row => row.state !== 'off')) return undefined
  const since = new Date(Math.max(...leading.map(row => row.since.getTime())))
  return now.getTime() - since.getTime() > leaderless ? since : undefined
}

/** What a controller that is heard of is: dead when a part of the core is, degraded when anything else does not run or a link is missing. */
function judge ({ roles, version }: Known, services: readonly ServiceRow[], regions: readonly Peer[], racks: readonly Peer[]): { state: StateName, reason: string | null } {
  if (version === '' || services.length === 0) return { state: 'unknown', reason: nothingTold }
  const wrong = services.filter(({ state }) => state === 'dead' || state === 'degraded' || state === 'unknown').sort((a, b) => rank(a) - rank(b))
  const sentences = (rows: readonly ServiceRow[]): string[] => rows.map(row => `${partOf(row)} is ${row.state}: ${row.reason ?? 'no reason was given'}`)
  const reasons = [
    ...sentences(wrong.filter(({ state }) => state === 'dead')),
    ...roles.includes('rack') ? missing('regions', regions) : [],
    ...roles.includes('region') ? missing('racks', racks) : [],
    ...sentences(wrong.filter(({ state }) => state !== 'dead'))
  ]
  if (reasons.length === 0) return { state: 'running', reason: null }
  return { state: wrong.some(({ plugin, state }) => plugin === 'core' && state === 'dead') ? 'dead' : 'degraded', reason: reasons.join('; ') }
}
export const nothingTold = 'it has not told yet how its services are'
const rank = ({ plugin }: ServiceRow): number => plugin === 'core' ? 0 : 1

function missing (what: 'regions' | 'racks', peers: readonly Peer[]): string[] {
  const gone = peers.filter(({ up }) => !up)
  return gone.length === 0 ? [] : [`linked to ${peers.length - gone.length} of ${peers.length} ${what}: misses ${gone.map(({ hostname, reason }) => `${hostname} (${reason ?? 'no link yet'})`).join(', ')}`]
}

/** The two ends of every link that should be: each rack with each region. A rack's word of a link counts when it is the later one. */
function linked (controllers: readonly Known[], links: readonly Link[], missed: readonly Missed[], heard: (controller: Known) => boolean) {
  const up = new Map(links.map(link => [`${link.region}\0${link.rack}`, link]))
  const told = Map.groupBy(missed, ({ rack }) => rack)
  const reached = new Set(links.filter(({ region }) => controllers.some(one => one.id === region && heard(one))).map(({ rack }) => rack))
  const joined = controllers.filter(({ version }) => version !== '') // one that enrolled and never came is nobody's loss
  const end = (peer: Known, region: Known, rack: Known): Peer => {
    const link = up.get(`${region.id}\0${rack.id}`)
    const gaps = told.get(rack.id) ?? []
    const gap = gaps.find(one => one.region === region.id)
    const { id, hostname } = peer
    if (!heard(peer)) return { id, hostname, up: false, since: peer.seenAt, reason: silence(peer) }
    if (link !== undefined && (gap === undefined || gap.since <= link.since)) return { id, hostname, up: true, since: link.since, reason: null }
    const why = gap ?? gaps.find(one => one.region === '') // a rack that never got through does not know who is there
    return { id, hostname, up: false, since: why?.since ?? null, reason: why === undefined ? reached.has(rack.id) ? 'the rack does not say why; see its log' : 'no region is linked with it: it has stopped or is cut off' : `${why.url.replace(/^wss:\/\//, '')}: ${why.reason ?? 'no link yet'}` }
  }
  return (controller: Known): { regions: readonly Peer[], racks: readonly Peer[] } => ({
    regions: controller.roles.includes('rack') ? joined.filter(({ roles }) => roles.includes('region')).map(region => end(region, region, controller)) : [],
    racks: controller.roles.includes('region') ? joined.filter(({ roles }) => roles.includes('rack')).map(rack => end(rack, controller, rack)) : []
  })
}

export type Change = ServiceRow & { readonly history: boolean }

/** `text` without the numbers that stand alone: a reason that only counts on is no news. */
export const essence = (text: string | null): string => (text ?? '').replace(/(?<=^|[\s(])\d+(?=[\s,;)]|$)/g, '#')

/** Which of the reports are news, and whether the history is to know. */
export function news (before: readonly ServiceRow[], controller: string, reports: readonly ServiceReport[]): Change[] {
  const old = new Map(before.map(row => [keyOf(row), row]))
  const changes: Change[] = []
  for (const report of reports) {
    const row = rowOf(controller, report)
    const was = old.get(keyOf(row))
    const turned = was === undefined || was.state !== row.state || was.since.getTime() !== row.since.getTime()
    if (turned || was.reason !== row.reason || was.restarts !== row.restarts || was.leader !== row.leader) changes.push({ ...row, history: turned || essence(was.reason) !== essence(row.reason) })
    old.set(keyOf(row), row)
  }
  return changes
}

export function rowOf (controller: string, { plugin, service, role, leader = false, state, reason, since, restarts }: ServiceReport): ServiceRow {
  const at = new Date(since)
  return { controller, role: role ?? '', plugin, service, leader, state, reason: state === 'running' ? null : reason ?? null, since: Number.isNaN(at.getTime()) ? new Date(0) : at, restarts }
}

/**
 * What a whole report lacks of what was there before. A plugin that reports nothing at all was left out of the configuration, and another version
 * or role brings other services: then there is nothing to expect.
 */
export function lacking (before: readonly ServiceRow[], sameMake: boolean, reports: readonly ServiceReport[], now: Date): { readonly expected: readonly Change[], readonly gone: readonly ServiceRow[] } {
  const there = new Set(reports.map(report => keyOf({ ...report, role: report.role ?? '' })))
  const plugins = new Set(reports.map(({ plugin }) => plugin))
  const lost = before.filter(row => !there.has(keyOf(row)))
  const expected = (row: ServiceRow): boolean => sameMake && plugins.has(row.plugin)
  const marked = (row: ServiceRow): boolean => row.reason?.startsWith(notReported) === true
  return {
    gone: lost.filter(row => !expected(row)),
    expected: lost.filter(row => expected(row) && !marked(row)).map(row => ({ ...row, state: 'dead', reason: `${notReported}: it was ${row.state} before; restart the controller (systemctl restart bedplate) and read its log`, since: now, history: true }))
  }
}
const notReported = 'expected but not reported'
