/** A segment this rack serves with DHCPv6, and which of its subnets a message concerns. Pure. */
import type { Segment6Entry } from '../manifest.ts'
import { duidOfUuid } from './duid.ts'
import { fromValue, holds6, isLinkLocal, parseIp6, parsePrefix6, toValue } from './ipv6.ts'
import type { Ip6, Prefix6 } from './ipv6.ts'
import { linkOf6 } from './relay6.ts'
import type { Relay6 } from './relay6.ts'

export interface Range6 { readonly start: Ip6, readonly end: Ip6, readonly first: bigint, readonly size: bigint }
export interface Subnet6 {
  readonly id: string, readonly prefix: Prefix6, readonly leaseSeconds: number
  readonly dnsServers: readonly Ip6[], readonly search: readonly string[], readonly ntpServers: readonly Ip6[]
  readonly dynamic: readonly Range6[], readonly size: bigint // addresses in all ranges
  readonly taken: ReadonlySet<Ip6> // addresses in the ranges that somebody has without a binding
  readonly link: string // the VLAN its clients are on
}
export interface Segment6 {
  readonly vlan: string, readonly interface: string, readonly rank: number, readonly mode: 'stateless' | 'stateful'
  readonly address: Ip6 | null // this rack's own there; boot files cannot be named without one
  readonly bootAddress?: Ip6 // where machines find what they boot, on whatever rack; absent: at `address`
  readonly server: string // the server's DUID in hexadecimal, the same on every rack
  readonly subnets: readonly Subnet6[]
}

/** Reads the wanted-state entry of a VLAN. Throws INVALID_REQUEST when an address in it is none. */
export const segment6Of = (vlan: string, entry: Segment6Entry): Segment6 => ({
  vlan,
  interface: entry.interface,
  rank: entry.rank,
  mode: entry.mode,
  address: entry.address === null ? null : parseIp6(entry.address),
  ...entry.bootAddress === undefined ? {} : { bootAddress: parseIp6(entry.bootAddress) },
  server: duidOfUuid(entry.server).toString('hex'),
  subnets: entry.subnets.map(subnet => {
    const dynamic = subnet.dynamic.map(({ start, end }): Range6 => {
      const [low, high] = [parseIp6(start), parseIp6(end)]
      return { start: low, end: high, first: toValue(low), size: toValue(high) - toValue(low) + 1n }
    })
    return {
      id: subnet.id,
      prefix: parsePrefix6(subnet.cidr),
      dnsServers: subnet.dnsServers.map(parseIp6),
      search: subnet.search,
      ntpServers: subnet.ntpServers.map(parseIp6),
      leaseSeconds: subnet.leaseSeconds,
      dynamic,
      size: dynamic.reduce((sum, { size }) => sum + size, 0n),
      taken: new Set(subnet.taken.map(parseIp6)),
      link: subnet.link ?? vlan
    }
  })
})

export const isDynamic6 = (subnet: Subnet6, ip: Ip6): boolean => !subnet.taken.has(ip) && subnet.dynamic.some(({ start, end }) => ip >= start && ip <= end)
export const subnetHolding6 = (subnets: readonly Subnet6[], ip: Ip6): Subnet6 | undefined => subnets.find(({ prefix }) => holds6(prefix, ip))

/** The address at a place among all addresses of a subnet's ranges, counted from 0. */
export function addressAt (subnet: Subnet6, place: bigint): Ip6 {
  let left = place
  for (const { first, size } of subnet.dynamic) {
    if (left < size) return fromValue(first + left)
    left -= size
  }
  return subnet.dynamic[0]?.start ?? subnet.prefix.first
}

/**
 * The subnets of the client's link, the likeliest first: by the link a relay names, none when the segment has no such link; without a relay (or with one that names
 * a link-local address) those of the segment's own link.
 */
export function subnetsFor6 (segment: Segment6, relays: readonly Relay6[]): readonly Subnet6[] {
  const link = linkOf6(relays)
  const place = link === undefined || isLinkLocal(link) ? segment.address ?? undefined : link
  const nearest = place === undefined ? undefined : subnetHolding6(segment.subnets, place)
  if (nearest === undefined) return place === link && link !== undefined ? [] : segment.subnets.filter(subnet => subnet.link === segment.vlan)
  return [nearest, ...segment.subnets.filter(subnet => subnet !== nearest && subnet.link === nearest.link)]
}
