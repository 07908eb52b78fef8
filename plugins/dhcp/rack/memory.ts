/** What a rack knows in memory: wanted state indexed for the decisions, and the short-lived offers. Time is handed in. */
import type { AloneView, Binding, Host, View } from '../v4/address.ts'
import { Claims } from './claims.ts'
import { parseIp } from '../v4/ipv4.ts'
import type { WantedEntry, WantedKey } from '../manifest.ts'
import { MemoryView } from './memory-view.ts'
import { Recent } from './recent.ts'
import { Retirements } from './retirements.ts'
import { clientIdOf } from '../options/client.ts'
import type { Packet } from '../v4/packet.ts'
import type { Segment } from '../v4/segment.ts'
import { segmentOf } from '../v4/segment.ts'

interface Offer { readonly client: string, readonly subnet: string, readonly until: number }
interface Asked { count: number, at: number }

const offerFor = 60_000 // ms an offer is remembered
const takenWithin = 10_000 // ms in which an offer is taken, if ever
const refusedFor = 60_000 // ms an address the region refused to a client is not tried again for it
const askedFor = 30_000 // ms without a DISCOVER after which counting starts again
const echoFor = 2_000 // ms after a grant in which a block that was read before it may come
const askers = 10_000 // clients whose DISCOVERs are counted at least; twice as many at most

const none: readonly number[] = Object.freeze([])

export class Memory {
  readonly segments = new Map<string, Segment>()
  /** Addresses set aside. For others to read. */
  readonly hosts = new Claims<Host>()
  /** Bindings, lapsed ones included. For others to read. */
  readonly bindings = new Claims<Binding>()
  private byClientId = false // whether any address is fixed for a client id
  private readonly acknowledged = new Map<number, string | null>() // address → the act of binding, where this rack was the last that told the client
  readonly recent = new Recent() // the responder beats the time
  private readonly blocks = new Map<string, Set<number>>() // as granted
  private readonly granted = new Map<string, { readonly addresses: readonly number[], readonly until: number }>() // lately, by the region's answer
  private readonly freeOf = new Map<string, number[]>() // what of a block can be offered now
  private readonly offers = new Map<number, Offer>() // in the order they end
  private readonly offersByClient = new Map<string, number>()
  private readonly quarantine = new Map<number, number>()
  private readonly occupants = new Map<number, string>() // whose MAC answered for an address in quarantine
  private readonly refusals = new Map<string, number>() // address and MAC → until, in the order they end
  private asked = new Map<string, Asked>()
  private askedBefore = new Map<string, Asked>()
  private readonly retirements = new Retirements()
  /** The standing the wanted state shows. */
  standing: string | undefined

  /** Takes in wanted state. Entries that cannot be read throw before anything has changed. */
  apply (put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean, now: number): void {
    const segments: Segment[] = []
    const hosts: Host[] = []
    const bindings: Binding[] = []
    const blocks: { readonly subnet: string, readonly addresses: readonly number[] }[] = []
    for (const { kind, id, value } of put) {
      if (kind === 'binding') bindings.push({ subnet: value.subnet, client: value.client, clientId: value.clientId, address: parseIp(id), expires: Date.parse(value.expires), number: value.number })
      else if (kind === 'segment') segments.push(segmentOf(id, value))
      else if (kind === 'host') hosts.push({ ...value, address: parseIp(id) })
      else if (kind === 'block') blocks.push({ subnet: id, addresses: value.addresses.map(parseIp) })
    }
    const gone = remove.filter(({ kind }) => kind === 'host' || kind === 'binding').map(({ kind, id }) => ({ kind, address: parseIp(id) }))
    if (whole) this.standing = undefined
    if (whole) for (const map of [this.retirements, this.segments, this.hosts, this.bindings, this.blocks, this.freeOf]) map.clear()
    for (const { kind, id } of remove) {
      if (kind === 'segment') this.segments.delete(id)
      if (kind === 'standing') this.standing = undefined
      if (kind === 'retiring') this.retirements.end(id)
      if (kind === 'block') { this.blocks.delete(id); this.freeOf.delete(id); this.granted.delete(id) }
    }
    if (whole) this.keepAcknowledged(new Set(bindings.map(({ address }) => address)))
    for (const { kind, address } of gone) {
      if (kind === 'host') { this.hosts.delete(address); continue }
      this.bindings.delete(address)
      this.acknowledged.delete(address)
    }
    for (const { address, number } of bindings) if (Number(number ?? 0) > Number(this.acknowledged.get(address) ?? 0)) this.acknowledged.delete(address) // an older one is news that comes late
    for (const { kind, id, value } of put) {
      if (kind === 'standing') this.standing = value.number
      if (kind === 'retiring') this.retire(id, value.round, now)
    }
    for (const segment of segments) this.segments.set(segment.vlan, segment)
    for (const host of hosts) this.addHost(host)
    for (const binding of bindings) this.addBinding(binding)
    for (const { subnet, addresses } of blocks) this.replaceBlock(subnet, addresses, now)
  }

  view (segment: Segment, now: number, alone?: AloneView, leads = false): View {
    this.endOffers(now)
    return new MemoryView(this, segment, now, alone, leads)
  }

  /** Who the client is to the referee: its MAC; where an address is fixed for the client id it sends, that id. */
  clientOf (packet: Packet): string {
    const id = this.byClientId ? clientIdOf(packet.options) : null
    return id !== null && this.hosts.has(`id:${id}`) ? `id:${id}` : packet.mac
  }

  /** Names the binding known at an address; null when there is none, or this rack gave it alone. */
  numberOf (address: number): string | null { return this.bindings.at(address)?.number ?? null }

  /**
   * Whether this rack was the last to acknowledge the binding it knows at an address. A client gives up what it has at the server it has it from, so its word about
   * a binding that another rack made since is an old one: it lay in the socket of a rack that was paused.
   */
  gave (address: number): boolean { return this.acknowledged.has(address) }
  /** Whether it acknowledged it so lately that a RELEASE may be one of an earlier lease: doubled, or late on its way. */
  justGave (address: number): boolean { return this.recent.has(address) }

  private keepAcknowledged (known: ReadonlySet<number>): void { for (const address of this.acknowledged.keys()) if (!known.has(address)) this.acknowledged.delete(address) }

  /** Whose binding is known at an address, lapsed or not. */
  holderOf (address: number): string | undefined { return this.bindings.at(address)?.client }
  offeredTo (address: number): string | undefined { return this.offers.get(address)?.client }
  offerTo (client: string): number | undefined { return this.offersByClient.get(client) }
  /** Whether it is in use by somebody else, as far as this rack knows. */
  isQuarantined (address: number, client: string, now: number): boolean { return this.quarantine.size > 0 && (this.quarantine.get(address) ?? 0) > now && this.occupants.get(address) !== client }
  /** Whether the region lately refused this address to this client. */
  wasRefused (address: number, client: string, now: number): boolean { return this.refusals.size > 0 && (this.refusals.get(`${address} ${client}`) ?? 0) > now }
  /** What of the subnet's block can be offered. */
  free (subnet: string): readonly number[] { return this.freeOf.get(subnet) ?? none }
  /** DISCOVERs of the client since it was last seen to take an offer. */
  askedBy (client: string): number { return (this.asked.get(client) ?? this.askedBefore.get(client))?.count ?? 0 }

  /** What this rack was asked to forget, and has. */
  forgotten (): { readonly address: string, readonly round: string }[] { return this.retirements.all() }

  /** How many addresses of a subnet this rack could offer now. */
  freeCount (subnet: string): number { return this.freeOf.get(subnet)?.length ?? 0 }

  /** Adds granted addresses to the subnet's block. */
  grant (subnet: string, addresses: readonly number[], now: number): void {
    this.setBlock(subnet, [...this.blocks.get(subnet) ?? [], ...addresses], now)
    const late = this.granted.get(subnet)
    this.granted.set(subnet, { addresses: late !== undefined && late.until > now ? [...late.addresses, ...addresses] : addresses, until: now + echoFor })
  }

  /** The block as the wanted state has it. It may have been read before the last grant: what that gave stays; if it was taken back since, the region refuses it to whoever takes the offer. */
  private replaceBlock (subnet: string, addresses: readonly number[], now: number): void {
    const granted = this.granted.get(subnet)
    const own = this.blocks.get(subnet)
    const late = granted === undefined || granted.until <= now || own === undefined ? [] : granted.addresses.filter(address => own.has(address))
    this.setBlock(subnet, late.length === 0 ? addresses : [...addresses, ...late], now)
  }

  /** Remembers that an address was offered, so that nobody else is offered it for a minute. */
  offer (address: number, subnet: string, client: string, now: number): void {
    const before = this.offersByClient.get(client)
    if (before !== undefined && before !== address) this.endOffer(before)
    this.offers.delete(address)
    this.offers.set(address, { client, subnet, until: now + offerFor })
    this.offersByClient.set(client, address)
    this.takeFree(subnet, address)
  }

  /** The client took another server's offer: ours is void, and it is not waiting any more. */
  tookAnother (client: string): void {
    this.answered(client)
    const address = this.offersByClient.get(client)
    if (address !== undefined) this.endOffer(address)
  }

  /** Counts a DISCOVER. Bounded, by two generations: forgetting the oldest one by one would walk the holes of the map, for every packet of a flood. */
  ask (client: string, now: number): void {
    const known = this.asked.get(client) ?? this.askedBefore.get(client)
    const count = known !== undefined && now - known.at < askedFor ? known.count + 1 : 1
    const own = this.asked.get(client)
    if (own !== undefined) { own.count = count; own.at = now; return }
    if (this.asked.size >= askers) { this.askedBefore = this.asked; this.asked = new Map() }
    this.asked.set(client, { count, at: now })
  }
  private answered (client: string): void {
    this.asked.delete(client)
    this.askedBefore.delete(client)
  }

  /** A binding was stored: the address leaves the block and the offers. */
  bound (binding: Binding): void {
    this.answered(binding.client)
    this.dropOffer(binding.address)
    this.leaveBlock(binding.address, binding.subnet)
    const known = this.bindings.at(binding.address)
    // Another rack extended it since, and that was told before the answer to this one came: the last word is its.
    if (binding.number !== null && known?.client === binding.client && Number(known.number ?? 0) > Number(binding.number)) return
    this.addBinding(binding)
    this.acknowledged.set(binding.address, binding.number)
    this.recent.add(binding.address)
  }

  /** The region refused the address to this client: it is not offered from here, and what made this rack think it was theirs is forgotten. */
  refused (address: number, subnet: string, client: string, now: number): void {
    if (this.bindings.at(address)?.client === client) this.bindings.delete(address)
    this.dropOffer(address)
    this.leaveBlock(address, subnet)
    for (const [old, until] of this.refusals) {
      if (until > now) break
      this.refusals.delete(old)
    }
    this.refusals.delete(`${address} ${client}`)
    this.refusals.set(`${address} ${client}`, now + refusedFor)
  }

  /** The client gave the address back: it is still its favourite, but no longer bound. */
  released (address: number, now: number): void {
    const binding = this.bindings.at(address)
    if (binding !== undefined) this.addBinding({ ...binding, expires: Math.min(binding.expires, now) })
  }

  /** A client found the address in use: nobody gets it until `until`, but `occupant`, whose MAC answered for it: it may have it by right, from before this rack's blocks were as they are. */
  declined (address: number, until: number, now: number, occupant?: string): void {
    for (const [old, end] of this.quarantine) if (end <= now) { this.quarantine.delete(old); this.occupants.delete(old) }
    if (occupant === undefined) this.occupants.delete(address)
    else this.occupants.set(address, occupant)
    this.bindings.delete(address)
    this.dropOffer(address)
    this.quarantine.set(address, until)
    for (const [subnet] of this.blocks) this.takeFree(subnet, address)
  }

  private addHost (host: Host): void {
    this.hosts.put(host)
    if (host.client.startsWith('id:')) this.byClientId = true
  }

  private retire (id: string, round: string, now: number): void {
    const address = this.retirements.begin(id, round, now)
    const binding = address === undefined ? undefined : this.bindings.at(address)
    if (binding !== undefined && this.retirements.isVoid(binding.address, binding.number)) this.bindings.delete(binding.address)
  }

  private addBinding (binding: Binding): void {
    if (this.retirements.isVoid(binding.address, binding.number)) this.bindings.delete(binding.address)
    else this.bindings.put(binding)
  }

  private setBlock (subnet: string, addresses: readonly number[], now: number): void {
    const block = new Set(addresses)
    this.blocks.set(subnet, block)
    this.freeOf.set(subnet, [...block].filter(address => this.isFree(address, now)))
  }

  private isFree (address: number, now: number): boolean {
    const binding = this.bindings.at(address)
    return !this.offers.has(address) && (binding === undefined || binding.expires <= now) && (this.quarantine.get(address) ?? 0) <= now
  }

  private leaveBlock (address: number, subnet: string): void {
    this.takeFree(subnet, address)
    this.blocks.get(subnet)?.delete(address)
  }

  private takeFree (subnet: string, address: number): void {
    const free = this.freeOf.get(subnet)
    const at = free?.indexOf(address) ?? -1
    if (at !== -1) free?.splice(at, 1)
  }

  private dropOffer (address: number): Offer | undefined {
    const offer = this.offers.get(address)
    if (offer === undefined) return undefined
    this.offers.delete(address)
    if (this.offersByClient.get(offer.client) === address) this.offersByClient.delete(offer.client)
    return offer
  }

  /** Ends an offer and gives its address back to the block it came from, if it came from one. */
  private endOffer (address: number): void {
    const offer = this.dropOffer(address)
    if (offer !== undefined && this.blocks.get(offer.subnet)?.has(address) === true) this.freeOf.get(offer.subnet)?.push(address)
  }

  /** Addresses have run out: offers that nobody took in good time are void, so that a flood of clients that never take any keeps none from others. */
  hasten (now: number): void {
    for (const [address, { until }] of this.offers) {
      if (until - offerFor + takenWithin > now) return
      this.endOffer(address)
    }
  }

  private endOffers (now: number): void {
    for (const [address, { until }] of this.offers) {
      if (until > now) return
      this.endOffer(address)
    }
  }
}
