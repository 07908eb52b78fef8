/** The rules of a network plan: what may be added or changed, and the sentence that says why not. Pure. */
import { BedplateError } from '../../core/errors.ts'
import { compare, contains, formatCidr, formatIp, hostsOf, overlap, parseCidr, parseIp } from './address.ts'
import type { Ip } from './address.ts'
import type { Range, Subnet } from './manifest.ts'

/** A subnet as wished for; `id` is absent while it is new. */
export type SubnetWish = Omit<Subnet, 'id' | 'family'> & { readonly id?: string }
export type RangeWish = Omit<Range, 'id'> & { readonly id?: string }
/** An address that is taken, and by whom, in words. */
export interface Taken { readonly address: string, readonly by: string }

const refuse = (reason: string): never => { throw new BedplateError('NETWORK_INVALID', { reason }) }
const named = (subnet: { readonly name: string, readonly cidr: string }) => subnet.name === subnet.cidr ? subnet.cidr : `"${subnet.name}" (${subnet.cidr})`
const spanned = (range: { readonly kind: string, readonly start: string, readonly end: string }) => `the ${range.kind} range ${range.start} to ${range.end}`
const within = (ip: Ip, range: { readonly start: string, readonly end: string }) => compare(parseIp(range.start), ip) <= 0 && compare(ip, parseIp(range.end)) <= 0

/** Refuses a subnet that cannot stand beside the others, or that would leave out ranges or addresses it has. NETWORK_INVALID. */
export function checkSubnet (wish: SubnetWish, others: readonly { readonly id: string, readonly name: string, readonly cidr: string }[], taken: readonly Taken[]): void {
  const cidr = parseCidr(wish.cidr)
  for (const other of others) {
    if (other.id !== wish.id && overlap(cidr, parseCidr(other.cidr))) refuse(`Subnet ${formatCidr(cidr)} overlaps subnet ${named(other)}.`)
  }
  if (wish.gateway !== null) {
    const gateway = parseIp(wish.gateway)
    if (!contains(cidr, gateway)) refuse(`Gateway ${formatIp(gateway)} is not in subnet ${formatCidr(cidr)}.`)
    const { first, last } = hostsOf(cidr)
    if (cidr.family === 4 && (compare(gateway, first) < 0 || compare(gateway, last) > 0)) refuse(`Gateway ${formatIp(gateway)} is the ${compare(gateway, first) < 0 ? 'network' : 'broadcast'} address of subnet ${formatCidr(cidr)}.`)
    const holder = wish.ranges.find(range => range.kind === 'dynamic' && within(gateway, range))
    if (holder !== undefined) refuse(`Gateway ${formatIp(gateway)} lies in ${spanned(holder)} of subnet ${formatCidr(cidr)}.`)
    const user = taken.find(({ address }) => compare(parseIp(address), gateway) === 0)
    if (user !== undefined) refuse(`Gateway ${formatIp(gateway)} is in use: ${user.by}.`)
  }
  for (const range of wish.ranges) if (!contains(cidr, parseIp(range.start)) || !contains(cidr, parseIp(range.end))) refuse(`Subnet ${formatCidr(cidr)} would leave out ${spanned(range)}. Delete the range first.`)
  for (const { address, by } of taken) if (!contains(cidr, parseIp(address))) refuse(`Subnet ${formatCidr(cidr)} would leave out ${address}, which is in use: ${by}. Release it first.`)
}

/** Refuses a range that does not fit into its subnet, or that covers what is in use. NETWORK_INVALID. */
export function checkRange (wish: RangeWish, subnet: Subnet, taken: readonly Taken[]): void {
  const start = parseIp(wish.start)
  const end = parseIp(wish.end)
  const cidr = parseCidr(subnet.cidr)
  if (!contains(cidr, start)) refuse(`Range start ${formatIp(start)} is outside subnet ${named(subnet)}.`)
  if (!contains(cidr, end)) refuse(`Range end ${formatIp(end)} is outside subnet ${named(subnet)}.`)
  if (compare(start, end) > 0) refuse(`Range start ${formatIp(start)} comes after range end ${formatIp(end)}.`)
  const { first, last } = hostsOf(cidr)
  if (compare(start, first) < 0) refuse(`Range start ${formatIp(start)} is the ${cidr.family === 4 ? 'network' : 'subnet-router anycast'} address of subnet ${named(subnet)}; the first usable one is ${formatIp(first)}.`)
  if (compare(end, last) > 0) refuse(`Range end ${formatIp(end)} is the broadcast address of subnet ${named(subnet)}; the last usable one is ${formatIp(last)}.`)
  const span = { kind: wish.kind, start: formatIp(start), end: formatIp(end) }
  for (const other of subnet.ranges) {
    if (other.id !== wish.id && compare(start, parseIp(other.end)) <= 0 && compare(parseIp(other.start), end) <= 0) refuse(`The ${spanned(span).slice(4)} overlaps ${spanned(other)} of subnet ${named(subnet)}.`)
  }
  if (wish.kind === 'dynamic' && subnet.gateway !== null && within(parseIp(subnet.gateway), span)) refuse(`The ${spanned(span).slice(4)} would swallow ${subnet.gateway}, the gateway of subnet ${named(subnet)}.`)
  const swallowed = taken.find(({ address }) => within(parseIp(address), span))
  if (swallowed !== undefined) refuse(`The ${spanned(span).slice(4)} would swallow ${swallowed.address}, which is in use: ${swallowed.by}.`)
}

/** Refuses an address, asked for by name, that nobody may be given. NETWORK_INVALID. */
export function checkAddress (text: string, subnet: Subnet): string {
  const ip = parseIp(text)
  const cidr = parseCidr(subnet.cidr)
  if (!contains(cidr, ip)) refuse(`Address ${formatIp(ip)} is outside subnet ${named(subnet)}.`)
  const { first, last } = hostsOf(cidr)
  if (compare(ip, first) < 0 || compare(ip, last) > 0) refuse(`Address ${formatIp(ip)} is the ${compare(ip, first) < 0 ? 'network' : 'broadcast'} address of subnet ${named(subnet)}.`)
  if (subnet.gateway !== null && compare(parseIp(subnet.gateway), ip) === 0) refuse(`Address ${formatIp(ip)} is the gateway of subnet ${named(subnet)}.`)
  const holder = subnet.ranges.find(range => range.kind === 'dynamic' && within(ip, range))
  if (holder !== undefined) refuse(`Address ${formatIp(ip)} lies in ${spanned(holder)} of subnet ${named(subnet)}; only DHCP leases come from there.`)
  return formatIp(ip)
}
