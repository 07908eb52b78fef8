/** A segment this rack serves, and which of its subnets a packet concerns. Pure. */
import type { SegmentEntry } from '../manifest.ts'
import type { Prefix } from './ipv4.ts'
import { holds, parseIp, parsePrefix } from './ipv4.ts'
import { linkOf } from '../options/relay.ts'
import type { Packet } from './packet.ts'

export interface Range { readonly start: number, readonly end: number }
export interface Subnet {
  readonly id: string, readonly prefix: Prefix, readonly gateway: number | null, readonly dnsServers: readonly number[]
  readonly dynamic: readonly Range[], readonly leaseSeconds: number
  /** Of boot firmware; absent: the configuration's. */
  readonly firmwareSeconds?: number
  /** The VLAN it is on, behind relays; absent: the segment itself. Clients get addresses of their own link only. */
  readonly link?: string
}
export interface Segment {
  readonly vlan: string, readonly interface: string, readonly address: number, readonly rank: number, readonly mtu: number, readonly subnets: readonly Subnet[]
  /** The subnets that are on the segment itself; the same array where all are. */
  readonly direct: readonly Subnet[]
  /** Whether addresses are given here, or only said what to boot, or nothing. */
  readonly mode: 'server' | 'proxy' | 'off'
  /** Where machines find what they boot: on the rack that has it now, or on this one. */
  readonly bootAddress?: number
  /** Addresses of the other racks of this installation here. */
  readonly peers: readonly number[]
}

/** Reads the wanted-state entry of a VLAN. Throws INVALID_REQUEST when an address in it is none. */
export function segmentOf (vlan: string, entry: SegmentEntry): Segment {
  const subnets = entry.subnets.map((subnet): Subnet => ({
    id: subnet.id,
    prefix: parsePrefix(subnet.cidr),
    gateway: subnet.gateway === null ? null : parseIp(subnet.gateway),
    dnsServers: subnet.dnsServers.map(parseIp),
    dynamic: subnet.dynamic.map(({ start, end }) => ({ start: parseIp(start), end: parseIp(end) })),
    leaseSeconds: subnet.leaseSeconds,
    ...subnet.firmwareSeconds === undefined ? {} : { firmwareSeconds: subnet.firmwareSeconds },
    ...subnet.link === undefined ? {} : { link: subnet.link }
  }))
  return {
    vlan,
    interface: entry.interface,
    address: parseIp(entry.address),
    rank: entry.rank,
    mtu: entry.mtu,
    mode: entry.mode ?? 'server',
    peers: (entry.peers ?? []).map(parseIp),
    ...entry.bootAddress === undefined ? {} : { bootAddress: parseIp(entry.bootAddress) },
    subnets,
    direct: subnets.some(({ link }) => link !== undefined) ? subnets.filter(({ link }) => link === undefined) : subnets
  }
}

export const subnetHolding = (subnets: readonly Subnet[], address: number): Subnet | undefined => subnets.find(subnet => holds(subnet.prefix, address))
export const isDynamic = (subnet: Subnet, address: number): boolean => subnet.dynamic.some(({ start, end }) => address >= start && address <= end)

/** How many addresses the ranges of a segment hold. */
export function poolOf ({ subnets }: Segment): number {
  let pool = 0
  for (const { dynamic } of subnets) for (const { start, end } of dynamic) pool += end - start + 1
  return pool
}

/**
 * The subnets a client of this packet may get an address in, the likeliest first; none when it came through a relay of another segment, or when the relay
 * or the client selects a subnet of another one (RFC 3527, RFC 3011).
 */
export function subnetsFor (segment: Segment, packet: Packet): readonly Subnet[] {
  const { subnets, direct } = segment
  const link = linkOf(packet.giaddr, packet.options)
  if (direct === subnets) {
    const nearest = subnetHolding(subnets, link || segment.address)
    return nearest === undefined ? (link === 0 ? subnets : []) : nearestFirst(nearest, subnets)
  }
  // A client behind a relay extends its lease past it (RFC 2131 section 4.4.5): then its address tells which link it is on.
  const nearest = subnetHolding(subnets, link || packet.ciaddr || segment.address)
  if (nearest === undefined) return link === 0 ? direct : []
  if (packet.giaddr === 0 && link !== 0 && nearest.link !== undefined) return [] // it is on the segment, and selects a link that is not
  return nearestFirst(nearest, nearest.link === undefined ? direct : subnets.filter(subnet => subnet.link === nearest.link))
}
const nearestFirst = (nearest: Subnet, subnets: readonly Subnet[]): readonly Subnet[] => subnets[0] === nearest ? subnets : [nearest, ...subnets.filter(subnet => subnet !== nearest)]
