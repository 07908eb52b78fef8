/** Which rack asks a BMC, and in which order racks are handed an action. Pure. */
import { hashOf } from '../hash.ts'
import type { Route } from '../store/routes.ts'

/** ms a rack may be away before it counts as gone: a restart of it, or of this region, whose links are not there yet, is no reason. */
export const grace = 5_000

/** Another rack is taken only when it is this much nearer: times, and ms. Less is weather. */
export const much = { times: 2, ms: 10 }

export interface Asked { readonly machine: string, readonly endpoint: string | null, readonly poller: string | null }
/** `poller`: who asks it. `unreached`: every linked rack says that it does not reach it. */
export interface Assigned { readonly poller: string | null, readonly unreached: boolean }

// What has no time (a broadcast is not answered) is as near as anything that has none.
const alike = (a: number, b: number): boolean => a === b || Math.abs(a - b) < much.ms || Math.max(a, b) < much.times * Math.min(a, b)

/**
 * The poller of a machine, `routes` being those of any racks and `linked` the racks that may be chosen: who it was, while it reaches it and no other is much nearer;
 * else the nearest, of those that are alike each machine another one. Racks that have not looked yet neither win nor lose.
 */
export function assigned ({ machine, endpoint, poller }: Asked, routes: readonly Route[], linked: readonly string[]): Assigned {
  if (endpoint === null) return { poller: poller !== null && linked.includes(poller) ? poller : spread(machine, linked) ?? poller, unreached: false }
  const told = routes.filter(route => linked.includes(route.rack))
  const reaching = told.filter(route => route.reachable)
  const own = told.find(route => route.rack === poller)
  if (reaching.length === 0) {
    const unreached = linked.length > 0 && linked.every(rack => told.some(route => route.rack === rack))
    // Nobody that is linked reaches it. Who asked it goes on while it may: it is linked and has not looked.
    return { poller: poller !== null && linked.includes(poller) && own === undefined ? poller : null, unreached }
  }
  const nearest = Math.min(...reaching.map(rtt))
  if (own?.reachable === true && alike(rtt(own), nearest)) return { poller, unreached: false }
  return { poller: spread(machine, reaching.filter(route => alike(rtt(route), nearest)).map(route => route.rack)) ?? null, unreached: false }
}

const rtt = (route: Route): number => route.rtt ?? Infinity

/** One of them, by chance that is the same each time (rendezvous hashing): when one goes, only its share moves. */
const spread = (machine: string, racks: readonly string[]): string | undefined => [...racks].sort((a, b) => hashOf(`${machine}/${b}`) - hashOf(`${machine}/${a}`) || a.localeCompare(b))[0]

/** The racks in the order to hand them an action: those that reach the BMC, the nearest first; those that do not know; those that do not. `first` is asked before the others of its kind. */
export function order (racks: readonly string[], routes: readonly Route[], first: string | null): string[] {
  const rank = (rack: string): readonly [number, number, number] => {
    const route = routes.find(one => one.rack === rack)
    return [route === undefined ? 1 : route.reachable ? 0 : 2, route?.reachable === true ? rtt(route) : 0, rack === first ? 0 : 1]
  }
  return racks.map(rack => ({ rack, rank: rank(rack) })).sort((a, b) => a.rank[0] - b.rank[0] || compare(a.rank[1], b.rank[1]) || a.rank[2] - b.rank[2] || a.rack.localeCompare(b.rack)).map(one => one.rack)
}
const compare = (a: number, b: number): number => a === b ? 0 : a < b ? -1 : 1

/** Which of the racks run on the machine: an interface of theirs has a MAC address of its. */
export function racksOn (macs: readonly string[], interfaces: readonly { readonly rack: string, readonly mac: string }[]): string[] {
  const own = new Set(macs.map(mac => mac.toLowerCase()))
  return [...new Set(interfaces.filter(({ mac }) => own.has(mac.toLowerCase())).map(({ rack }) => rack))].sort()
}
