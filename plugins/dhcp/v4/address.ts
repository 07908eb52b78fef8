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
  /** Whether it is in use by somebody else, as far as this rack knows. */
  quarantined(address: number, client: string): boolean
  /** Whether the region lately refused this address to this client. */
  refused(address: number, client: string): boolean
  /** Addresses of this rack's own block that are neither offered nor bound nor quarantined. */
  free(subnet: string): readonly number[]
  /** What this rack may do without a region; undefined: nothing. */
  readonly alone?: AloneView | undefined
  /** DISCOVERs of this client since it was last seen to take an offer, this one included. */
  asked(client: string): number
  /** Whether the racks above this one are known to be silent. */
  readonly leads?: boolean
}

export interface AloneView {
  /** No region answers: what this rack has no right of its own to is given to nobody. */
  readonly cut: boolean
  /** Whether the address is of this rack's reserve. */
  holds(address: number): boolean
  /** Whose it is now, of the reserve. */
  holder(address: number): string | undefined
  /** What the client had last from the reserve. */
  leaseOf(client: string): number | undefined
  /** Of the reserve, what is nobody's. */
  free(subnet: string): Iterable<number>
  /** Whether the region told that the address is the client's, lately enough. */
  knows(address: number, client: string): boolean
}

export interface Choice { readonly subnet: Subnet, readonly address: number, readonly hostname: string | null }

/** True when nobody but `client` has a claim on the address that this rack knows of. */
export function open (view: View, address: number, client: string, now: number): boolean {
  if (view.quarantined(address, client) || view.refused(address, client)) return false
  const host = view.hostAt(address)
  if (host !== undefined && host.client !== client) return false
  const holder = view.alone?.holder(address)
  if (holder !== undefined) return holder === client
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
  if (view.alone?.cut === true) return chooseAlone(view, view.alone, subnets, client, now)
  const sure = reserved(view, subnets, client, now) ?? leased(view, subnets, client, now) ?? known(view, subnets, client, now)
  if (sure !== undefined) return sure
  const offered = view.offerTo(client)
  for (const subnet of subnets) if (offered !== undefined && holds(subnet.prefix, offered) && open(view, offered, client, now)) return { subnet, address: offered, hostname: null }
  for (const subnet of subnets) if (isDynamic(subnet, requested) && view.free(subnet.id).includes(requested) && open(view, requested, client, now)) return { subnet, address: requested, hostname: null }
  for (const subnet of subnets) {
    for (const address of view.free(subnet.id)) if (isDynamic(subnet, address) && open(view, address, client, now)) return { subnet, address, hostname: null }
  }
  return undefined
}

/** What this rack gave the client alone, and no region has taken over yet. */
function leased (view: View, subnets: readonly Subnet[], client: string, now: number): Choice | undefined {
  const address = view.alone?.leaseOf(client)
  const subnet = address === undefined ? undefined : subnets.find(subnet => holds(subnet.prefix, address))
  return address === undefined || subnet === undefined || !open(view, address, client, now) ? undefined : { subnet, address, hostname: null }
}

/** Without a region: what the client is known to have, else what it has of this rack's reserve, else a free one of that. */
function chooseAlone (view: View, alone: AloneView, subnets: readonly Subnet[], client: string, now: number): Choice | undefined {
  const fixed = reserved(view, subnets, client, now)
  if (fixed !== undefined && alone.knows(fixed.address, client)) return fixed
  const own = leased(view, subnets, client, now)
  if (own !== undefined) return own
  const had = known(view, subnets, client, now)
  if (had !== undefined && alone.knows(had.address, client)) return had
  const offered = view.offerTo(client)
  for (const subnet of subnets) if (offered !== undefined && holds(subnet.prefix, offered) && alone.holds(offered) && open(view, offered, client, now)) return { subnet, address: offered, hostname: null }
  for (const subnet of subnets) {
    for (const address of alone.free(subnet.id)) if (open(view, address, client, now)) return { subnet, address, hostname: null }
  }
  return undefined
}

/** Whether this rack may give the client the address without a region. */
export const mayAlone = (alone: AloneView, address: number, client: string): boolean => {
  if (!alone.holds(address)) return alone.knows(address, client)
  const holder = alone.holder(address)
  return holder === undefined ? alone.leaseOf(client) === address : holder === client
}
