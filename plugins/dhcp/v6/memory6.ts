/** What a rack knows of IPv6 in memory: wanted state indexed for the decisions, and what the region refused lately. Time is handed in. */
import type { WantedEntry, WantedKey } from '../manifest.ts'
import type { Binding6, Host6, View6 } from './address6.ts'
import { parseIp6 } from './ipv6.ts'
import type { Ip6 } from './ipv6.ts'
import { segment6Of, subnetHolding6 } from './segment6.ts'
import type { Segment6 } from './segment6.ts'

/** What this rack itself told the client last: the act of binding, and how many lulls there had been then. */
interface Given6 { readonly number: string, readonly lulls: number }
/** `number` names the act of binding; null: this rack gave it alone. `given`: where no other rack is known to have bound it since. */
export interface Numbered6 extends Binding6 { readonly number: string | null, readonly given?: Given6 }
interface Asked { readonly count: number, readonly at: number }

const refusedFor = 60_000 // ms an address the region refused to a client is not tried again for it
const askedFor = 30_000 // ms without a question after which counting starts again
const lateFor = 60_000 // ms a retirement is remembered after it was told: answers that are under way may name what it ended
const most = 10_000 // clients counted and refusals kept at most

/** Whether an entry of kind `host`, `binding` or `retiring` is about an IPv6 address. */
export const isOf6 = ({ kind, id }: { readonly kind: WantedKey['kind'], readonly id: string }): boolean => kind === 'segment6' || ((kind === 'host' || kind === 'binding' || kind === 'retiring') && id.includes(':'))

export class Memory6 {
  readonly segments = new Map<string, Segment6>()
  private readonly hosts = new Held<Host6>(({ client }) => client)
  private bindings = new Held<Numbered6>(({ client }) => client)
  private readonly quarantine = new Map<Ip6, number>()
  private readonly refusals = new Map<string, number>() // address and client → until, in the order they end
  private readonly asked = new Map<string, Asked>()
  private readonly ended = new Map<Ip6, { readonly round: number, readonly until: number }>() // retirements of late, in the order they are forgotten

  /** Takes in wanted state; entries of IPv4 are passed over. Those that cannot be read throw before anything has changed. */
  apply (put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean, now: number): void {
    const segments: Segment6[] = []
    const hosts: Host6[] = []
    const bindings: Numbered6[] = []
    const retirements: { address: Ip6, round: string }[] = []
    for (const entry of put) {
      if (!isOf6(entry)) continue
      if (entry.kind === 'segment6') segments.push(segment6Of(entry.id, entry.value))
      else if (entry.kind === 'host') hosts.push({ subnet: entry.value.subnet, client: entry.value.client, hostname: entry.value.hostname, address: parseIp6(entry.id) })
      else if (entry.kind === 'binding') bindings.push({ subnet: entry.value.subnet, client: entry.value.client, holder: entry.value.clientId, number: entry.value.number, address: parseIp6(entry.id), expires: Date.parse(entry.value.expires) })
      else if (entry.kind === 'retiring') retirements.push({ address: parseIp6(entry.id), round: entry.value.round })
    }
    const gone = remove.filter(isOf6).map(({ kind, id }) => ({ kind, id: kind === 'segment6' ? id : parseIp6(id) }))
    const before = this.bindings
    if (whole) {
      this.segments.clear()
      this.hosts.clear()
      this.bindings = new Held(({ client }) => client)
    }
    for (const { kind, id } of gone) {
      if (kind === 'segment6') this.segments.delete(id)
      if (kind === 'host') this.hosts.forget(id)
      if (kind === 'binding') this.bindings.forget(id)
    }
    for (const { address, round } of retirements) this.retire(address, round, now)
    for (const segment of segments) this.segments.set(segment.vlan, segment)
    for (const host of hosts) this.hosts.add(host)
    for (const binding of bindings) this.addBinding(toldOf(binding, before.at(binding.address)))
  }

  /** Whose binding is known at an address, lapsed or not; the address as text. */
  holderOf (address: string): string | undefined { return this.bindings.at(parseIp6(address))?.client }
  /** Names that binding; null when there is none, or this rack gave it alone. */
  numberOf (address: string): string | null { return this.numberAt(parseIp6(address)) }
  private numberAt (address: Ip6): string | null { return this.bindings.at(address)?.number ?? null }

  /** The claim of the address's last client has come to an end: what was bound before counts no more, whatever brings it here later. */
  private retire (address: Ip6, round: string, now: number): void {
    for (const [old, { until }] of this.ended) {
      if (until > now) break
      this.ended.delete(old)
    }
    this.ended.delete(address)
    this.ended.set(address, { round: Number(round), until: now + lateFor })
    const binding = this.bindings.at(address)
    if (binding !== undefined && this.isVoid(binding)) this.bindings.forget(address)
  }

  private isVoid ({ address, number }: Numbered6): boolean {
    const ended = this.ended.size === 0 ? undefined : this.ended.get(address)
    return ended !== undefined && Number(number ?? 0) < ended.round
  }

  private addBinding (binding: Numbered6): void {
    this.bindings.forget(binding.address)
    if (!this.isVoid(binding)) this.bindings.add(binding)
  }

  view (segment: Segment6, now: number): View6 {
    return {
      segment,
      hosts: client => this.hosts.of(client),
      hostAt: address => this.hosts.at(address),
      bindings: client => this.bindings.of(client),
      bindingAt: address => this.bindings.at(address),
      quarantined: address => (this.quarantine.get(address) ?? 0) > now,
      refused: (address, client) => (this.refusals.get(`${address} ${client}`) ?? 0) > now,
      asked: duid => this.asked.get(duid)?.count ?? 0
    }
  }

  /** The segment a message concerns: that of the interface, or the one that holds the link a relay names. */
  segmentFor (device: string, link: Ip6 | undefined): Segment6 | undefined {
    let here: Segment6 | undefined
    for (const segment of this.segments.values()) {
      if (link !== undefined && subnetHolding6(segment.subnets, link) !== undefined) return segment
      if (segment.interface === device) here ??= segment
    }
    return here
  }

  bindingAt (address: Ip6): Numbered6 | undefined { return this.bindings.at(address) }

  /** Counts a question of a client that nobody is known to have answered. Bounded: the client counted longest ago is forgotten. */
  ask (duid: string, now: number): void {
    const before = this.asked.get(duid)
    this.asked.delete(duid)
    this.asked.set(duid, { count: before !== undefined && now - before.at < askedFor ? before.count + 1 : 1, at: now })
    dropOldest(this.asked)
  }

  /** A binding was stored, and its client is told. `lulls`: how many there were so far. */
  bound (binding: Numbered6, duid: string, lulls: number): void {
    this.asked.delete(duid)
    const { address, number } = binding
    const overtaken = Number(this.numberAt(address) ?? 0) > Number(number ?? 0) // the news of what another rack stored were faster than this answer
    this.addBinding(number === null || overtaken ? binding : { ...binding, given: { number, lulls } })
  }

  /**
   * The act of binding a client's word read now can be about: the one this rack was the last to acknowledge, if its sockets have been empty since. A word about
   * a binding that another rack made, or that lay in the socket already, may be an older one.
   */
  given (address: Ip6, lulls: number): string | undefined {
    const given = this.bindings.at(address)?.given
    return given !== undefined && given.lulls < lulls ? given.number : undefined
  }

  /** The region refused the address to this client: what made this rack think it was theirs is forgotten. */
  refused (address: Ip6, client: string, now: number): void {
    if (this.bindings.at(address)?.client === client) this.bindings.forget(address)
    for (const [old, until] of this.refusals) {
      if (until > now) break
      this.refusals.delete(old)
    }
    this.refusals.delete(`${address} ${client}`)
    this.refusals.set(`${address} ${client}`, now + refusedFor)
    dropOldest(this.refusals)
  }

  /** The client gave the address back: it is still its favourite, but no longer bound. */
  released (address: Ip6, now: number): void {
    const binding = this.bindings.at(address)
    if (binding !== undefined) this.addBinding({ ...binding, expires: Math.min(binding.expires, now) })
  }

  /** A client found the address in use: nobody gets it until `until`. */
  declined (address: Ip6, until: number, now: number): void {
    for (const [old, end] of this.quarantine) if (end <= now) this.quarantine.delete(old)
    this.bindings.forget(address)
    this.quarantine.set(address, until)
  }
}

function dropOldest (map: Map<string, unknown>): void {
  if (map.size <= most) return
  for (const oldest of map.keys()) { map.delete(oldest); return }
}

/** What is told of a binding this rack gave: its own word come back, or an older one that comes late, leaves it the last to have acknowledged it. */
const toldOf = (told: Numbered6, before: Numbered6 | undefined): Numbered6 =>
  before?.given === undefined || before.client !== told.client || Number(told.number) > Number(before.given.number) ? told : { ...told, given: before.given }

const none: readonly never[] = []

/** Things by address, and by whose they are. */
class Held<T extends { readonly address: Ip6 }> {
  private readonly ownerOf: (held: T) => string
  private readonly byAddress = new Map<Ip6, T>()
  private readonly byOwner = new Map<string, T[]>()

  constructor (ownerOf: (held: T) => string) { this.ownerOf = ownerOf }

  at (address: Ip6): T | undefined { return this.byAddress.get(address) }
  of (owner: string): readonly T[] { return this.byOwner.get(owner) ?? none }

  add (held: T): void {
    this.forget(held.address)
    this.byAddress.set(held.address, held)
    const owner = this.ownerOf(held)
    const own = this.byOwner.get(owner)
    if (own === undefined) this.byOwner.set(owner, [held])
    else own.push(held)
  }

  forget (address: Ip6): void {
    const held = this.byAddress.get(address)
    if (held === undefined) return
    this.byAddress.delete(address)
    const owner = this.ownerOf(held)
    const left = (this.byOwner.get(owner) ?? []).filter(other => other !== held)
    if (left.length === 0) this.byOwner.delete(owner)
    else this.byOwner.set(owner, left)
  }

  clear (): void {
    this.byAddress.clear()
    this.byOwner.clear()
  }
}
