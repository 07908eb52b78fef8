/** Which address a client gets, from what this rack knows. Pure: reads a view, changes nothing. */
import { holds } from './ipv4.ts'
import type { Segment, Subnet } from './segment.ts'
import { isDynamic } from './segment.ts'

export interface Host { readonly subnet: string, readonly client: string, readonly address: number, readonly hostname: string | null }
/** `expires` in ms since the epoch, by this rack's clock: a hint. The region is the referee. `number`: null when this rack gave it alone. */
export interface Binding { readonly subnet: string, readonly client: string, readonly clientId: string | null, readonly address: number, readonly expires: number, readonly number: string | null }

/** What a rack knows of one segment. Machines are told apart by MAC: firmware, boot loader and system of one machine send different client ids. */
export interface View {
  readonly segment: Segment
  /** Addresses set aside for a MAC, in any subnet. */
  hosts(client: string): readonly Host[]
  hostAt(address: number): Host | undefined
  /** What is known to have been bound to a MAC, expired or not. */
  bindings(client: string): readonly Binding[]
  bindingAt(address: number): Binding | undefined
  /** Whom the address was offered to lately, if anyone. */
  offeredTo(address: number): string | undefined
  offerTo(client: string): number | undefined
  quarantined(address: number): boolean
  /** Whether the region lately refused this address to this client. */
  refused(address: number, client: string): boolean
  /** Addresses of this rack's own block that are neither offered nor bound nor quarantined. */
  free(subnet: string): readonly number[]
  /** DISCOVERs of this client since it was last seen to take an offer, this one included. */
  asked(client: string): number
}

export interface Choice { readonly subnet: Subnet, readonly address: number, readonly hostname: string | null }

/** True when nobody but `client` has a claim on the address that this rack knows of. */
export function open (view: View, address: number, client: string, now: number): boolean {
  if (view.quarantined(address) || view.refused(address, client)) return false
  const host = view.hostAt(address)
  if (host !== undefined && host.client !== client) return false
  const offered = view.offeredTo(address)
  if (offered !== undefined && offered !== client) return false
  const binding = view.bindingAt(address)
  return binding === undefined || binding.client === client || binding.expires <= now
}

/** The address set aside for the client on these subnets, if it may have it now. */
export function reserved (view: View, subnets: readonly Subnet[], client: string, now: number): Choice | undefined {
  for (const subnet of subnets) {
    for (const host of view.hosts(client)) if (holds(subnet.prefix, host.address) && open(view, host.address, client, now)) return { subnet, address: host.address, hostname: host.hostname }
  }
  return undefined
}

/** The address the client has or had, if nobody else got it since. */
export function known (view: View, subnets: readonly Subnet[], client: string, now: number): Choice | undefined {
  let best: Binding | undefined
  for (const binding of view.bindings(client)) {
    if (subnets.some(subnet => holds(subnet.prefix, binding.address)) && (best === undefined || binding.expires > best.expires) && usable(view, subnets, binding, now)) best = binding
  }
  const subnet = best && subnets.find(subnet => holds(subnet.prefix, best.address))
  return best && subnet && { subnet, address: best.address, hostname: null }
}

/** A lapsed binding outside the ranges is one of a former fixed address: it is not given again. */
const usable = (view: View, subnets: readonly Subnet[], { address, client, expires }: Binding, now: number): boolean =>
  open(view, address, client, now) && (expires > now || subnets.some(subnet => isDynamic(subnet, address)))

/** RFC 2131 section 4.3.1: the address set aside, else the one it has or had, else the one it was just offered or asks for, else a free one of this rack's block. */
export function choose (view: View, subnets: readonly Subnet[], client: string, requested: number, now: number): Choice | undefined {
  const sure = reserved(view, subnets, client, now) ?? known(view, subnets, client, now)
  if (sure !== undefined) return sure
  const offered = view.offerTo(client)
  for (const subnet of subnets) if (offered !== undefined && holds(subnet.prefix, offered) && open(view, offered, client, now)) return { subnet, address: offered, hostname: null }
  for (const subnet of subnets) if (isDynamic(subnet, requested) && view.free(subnet.id).includes(requested) && open(view, requested, client, now)) return { subnet, address: requested, hostname: null }
  for (const subnet of subnets) {
    for (const address of view.free(subnet.id)) if (isDynamic(subnet, address) && open(view, address, client, now)) return { subnet, address, hostname: null }
  }
  return undefined
}
