/** A segment this rack serves, and which of its subnets a packet concerns. Pure. */
import type { SegmentEntry } from './manifest.ts'
import type { Prefix } from './ipv4.ts'
import { holds, parseIp, parsePrefix } from './ipv4.ts'
import { linkOf } from './options/relay.ts'
import type { Packet } from './packet.ts'

export interface Range { readonly start: number, readonly end: number }
export interface Subnet {
  readonly id: string, readonly prefix: Prefix, readonly gateway: number | null, readonly dnsServers: readonly number[]
  readonly dynamic: readonly Range[], readonly leaseSeconds: number
  /** Of boot firmware; absent: the configuration's. */
  readonly firmwareSeconds?: number
}
export interface Segment {
  readonly vlan: string, readonly interface: string, readonly address: number, readonly rank: number, readonly mtu: number, readonly subnets: readonly Subnet[]
  /** Whether addresses are given here, or only said what to boot, or nothing. */
  readonly mode: 'server' | 'proxy' | 'off'
  /** Addresses of the other racks of this installation here. */
  readonly peers: readonly number[]
}

/** Reads the wanted-state entry of a VLAN. Throws INVALID_REQUEST when an address in it is none. */
export const segmentOf = (vlan: string, entry: SegmentEntry): Segment => ({
  vlan,
  interface: entry.interface,
  address: parseIp(entry.address),
  rank: entry.rank,
  mtu: entry.mtu,
  mode: entry.mode ?? 'server',
  peers: (entry.peers ?? []).map(parseIp),
  subnets: entry.subnets.map(subnet => ({
    id: subnet.id,
    prefix: parsePrefix(subnet.cidr),
    gateway: subnet.gateway === null ? null : parseIp(subnet.gateway),
    dnsServers: subnet.dnsServers.map(parseIp),
    dynamic: subnet.dynamic.map(({ start, end }) => ({ start: parseIp(start), end: parseIp(end) })),
    leaseSeconds: subnet.leaseSeconds,
    ...subnet.firmwareSeconds === undefined ? {} : { firmwareSeconds: subnet.firmwareSeconds }
  }))
})

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
  const link = linkOf(packet.giaddr, packet.options)
  const nearest = subnetHolding(segment.subnets, link || segment.address)
  if (nearest === undefined) return link === 0 ? segment.subnets : []
  return segment.subnets[0] === nearest ? segment.subnets : [nearest, ...segment.subnets.filter(subnet => subnet !== nearest)]
}
