/** One rack's part in one boot address: carries out what the election decides, on the interface and on the segment. Every step returns at once. */
import { lifetime } from '../../../core/address/address.ts'
import type { FloatingAddress, Link } from '../../../core/address/address.ts'
import { formatMac } from '../../../core/address/announcement.ts'
import type { Interfaces } from '../../../core/address/interface.ts'
import type { Segment } from '../../../core/address/segment.ts'
import { reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { Election, isHolder } from './election.ts'
import type { Act } from './election.ts'
import { advertisement, readAdvertisement } from './packet.ts'
import type { Heard } from './packet.ts'

/** Where advertisements go and come from. Both throw UNAVAILABLE or PRIVILEGE_MISSING; `receive` gives undefined when there is nothing (any more). */
export interface Channel { send(frame: Uint8Array): void, receive(): Uint8Array | undefined, close(): void }
export interface Place {
  readonly vlan: string, readonly address: FloatingAddress, readonly link: Link, readonly vrid: number
  readonly source: Uint8Array // this rack's own address there; of IPv6 the link-local one
}
/** May change without giving the address up. `peers`: the other racks of the VLAN by the MAC of their interface there. */
export interface Company { readonly rank: number, readonly peers: ReadonlyMap<string, string> }
export interface MemberOptions {
  readonly place: Place, readonly company: Company, readonly channel: Channel
  readonly interfaces: Pick<Interfaces, 'put' | 'remove'>, readonly segment: Pick<Segment, 'whoHas' | 'announce'>
  readonly clock: Clock, readonly log: Logger
  /** The address has come to this rack, or gone. */
  readonly moved?: () => void
}

const many = 64 // frames of one step
const renewEvery = 200 // ms
const tellAfter = [0, 100, 300, 800, 1800] // ms after taking: each may be lost, and a switch may need a moment
const tellEvery = 5000 // ms after that: hosts that were told of another rack while this one could not be heard, and that one is gone
const lookEvery = 10_000 // ms between two looks, while holding, whether somebody else answers for the address
const recent = 60_000 // ms a fault of others is told about
const swift = 100 // ms from a decision to its doing: later, this process was stopped in between, and it counts no more
const heardFor = 5000 // ms a holder is believed in without a word

export class Member {
  readonly place: Place
  private readonly o: MemberOptions
  private readonly election: Election
  private company: Company
  private holding = false
  private putAt = -Infinity
  private lookAt = Infinity
  private tell: number[] = []
  private turn = 0
  private trouble: string | undefined // we cannot
  private claimed: string | undefined // somebody else has it
  private stranger: { readonly reason: string, readonly at: number } | undefined

  constructor (options: MemberOptions) {
    this.o = options
    this.place = options.place
    this.company = options.company
    this.election = new Election(options.company.rank, options.place.source, options.clock.monotonic())
  }

  get held (): boolean { return this.holding }
  /** Whether the address is on some rack, as far as this one knows. */
  get served (): boolean { return this.holding || (this.election.heardFrom !== undefined && this.o.clock.monotonic() - this.election.heardFrom.at < heardFor) }

  /** What is wrong, with what to do. */
  get problem (): string | undefined {
    const { stranger } = this
    return this.trouble ?? this.claimed ?? (stranger !== undefined && this.o.clock.monotonic() - stranger.at < recent ? stranger.reason : undefined)
  }

  meet (company: Company): void {
    this.company = company
    this.election.rank = company.rank
  }

  /** Takes in what came, and does what is due; gives the moment (monotonic) it wants to be called at the latest. */
  step (): number {
    const { clock, channel } = this.o
    try {
      for (let n = 0; n < many; n++) {
        const frame = channel.receive()
        if (frame === undefined) break
        const heard = readAdvertisement(frame)
        if (typeof heard !== 'string') this.hear(heard, clock.monotonic())
      }
    } catch (error) { this.fail(error) }
    const now = clock.monotonic()
    this.act(this.election.tick(now), now)
    if (this.holding) this.keep()
    return Math.min(this.election.next, this.tell[0] ?? Infinity, this.holding ? this.putAt + renewEvery : Infinity)
  }

  /** Gives the address up, and says so; without a word when it cannot be taken off. */
  resign (): void {
    const now = this.o.clock.monotonic()
    this.act(this.election.resign(now), now)
    this.turn++
    this.o.channel.close()
  }

  /** Takes the address off without a word: there is nobody to say it to. */
  drop (): void {
    this.turn++
    this.takeOff()
    this.o.channel.close()
  }

  private hear (heard: Heard, now: number): void {
    const { address, vrid, link } = this.place
    const mac = formatMac(heard.mac)
    if (heard.family !== address.family || heard.vrid !== vrid || mac === formatMac(link.mac)) return
    if (!heard.addresses.some(one => Buffer.compare(one, address.bytes) === 0)) {
      this.warn(`Another VRRP on ${link.name}, of ${mac}, uses the virtual router ${vrid} for another address, as ${address.text} does: give one of them another number (a boot address with another last byte has another), or they disturb each other.`, now)
      return
    }
    if (this.company.peers.size > 0 && !this.company.peers.has(mac)) this.warn(`${address.text} is also held by ${mac} on ${link.name}, which is no rack of this VLAN: if it belongs to another installation, set another boot address here.`, now)
    if (isHolder(heard.priority)) this.claimed = undefined
    this.act(this.election.heard(heard, now), now)
  }

  private warn (reason: string, at: number): void {
    if (this.stranger?.reason !== reason || at - this.stranger.at > recent) this.o.log.warn({ reason }, 'a stranger speaks for a boot address')
    this.stranger = { reason, at }
  }

  private act (acts: readonly Act[], decided: number): void {
    const { clock } = this.o
    for (const [index, act] of acts.entries()) {
      if (act.kind === 'yield') {
        if (!this.takeOff()) return // nobody is told that it is free while it may be here
        continue
      }
      const now = clock.monotonic()
      if (now - decided > swift) {
        // The election goes on from these: who neither asked nor has the address would speak for it, and keep the others from it, for good.
        if (acts.slice(index).some(({ kind }) => kind === 'probe' || kind === 'hold')) this.act(this.election.refuse(now), now)
        return
      }
      if (act.kind === 'advertise') this.advertise(act.priority)
      else if (act.kind === 'probe') this.ask(mac => { this.answered(mac) })
      else if (act.kind === 'hold') this.hold()
      else this.announce(2)
    }
  }

  private advertise (priority: number): void {
    const { place: { vrid, address, link, source }, o: { channel, clock } } = this
    try {
      channel.send(advertisement({ vrid, priority, interval: this.election.interval, addresses: [address.bytes] }, link.mac, source))
      this.election.sent(clock.monotonic())
    } catch (error) { this.fail(error) } // said again at the next interval, or believed no more
  }

  private hold (): void {
    const { place: { address, link, vlan }, o: { clock, log } } = this
    this.trouble = undefined
    if (!this.put()) {
      const now = clock.monotonic()
      this.act(this.election.refuse(now), now)
      return
    }
    this.holding = true
    this.lookAt = clock.monotonic() + lookEvery
    log.info({ vlan, address: address.text, interface: link.name }, `holds the boot address ${address.text}`)
    this.announce(tellAfter.length)
    this.o.moved?.()
  }

  /** Puts the address on, or renews its lifetime: it is gone, by the kernel's own clock, before another rack can have taken it. */
  private put (): boolean {
    const { place: { address, link }, o: { clock, interfaces } } = this
    const { trustedUntil } = this.election
    const seconds = lifetime(clock.monotonic(), trustedUntil)
    if (seconds < 1) return false
    try {
      interfaces.put(address, link.index, seconds)
      this.putAt = clock.monotonic()
      if (this.putAt + seconds * 1000 <= trustedUntil + swift) return true
      interfaces.remove(address, link.index) // stopped in between: it came too late
      return false
    } catch (error) {
      this.fail(error)
      const now = clock.monotonic()
      this.act(this.election.refuse(now), now)
      return false
    }
  }

  private keep (): void {
    const now = this.o.clock.monotonic()
    if (now - this.putAt >= renewEvery) this.put()
    if (!this.holding) return
    if (now >= this.lookAt) {
      this.lookAt = now + lookEvery
      this.ask(mac => { this.doubled(mac) })
    }
    let due = false
    while ((this.tell[0] ?? Infinity) <= now) { this.tell.shift(); due = true }
    if (this.tell.length === 0) this.tell.push(now + tellEvery)
    if (due) this.o.segment.announce(this.place).catch((error: unknown) => { this.o.log.warn({ err: error }, `${this.place.address.text} could not be announced on ${this.place.link.name}`) })
  }

  private announce (times: number): void {
    const now = this.o.clock.monotonic()
    this.tell = tellAfter.slice(0, Math.max(times, this.tell.length)).map(after => now + after)
  }

  /** False when it may still be on the interface. */
  private takeOff (): boolean {
    const { place: { address, link, vlan }, o: { interfaces, log } } = this
    const held = this.holding
    if (held) log.info({ vlan, address: address.text }, `gives up the boot address ${address.text}`)
    this.holding = false
    this.tell = []
    this.lookAt = Infinity
    let off = true
    try { interfaces.remove(address, link.index) } catch (error) {
      off = false
      log.error({ err: error }, `${address.text} could not be taken off ${link.name}; the kernel does it within 2 s`)
    }
    if (held) this.o.moved?.()
    return off
  }

  private ask (then: (mac: string | undefined) => void): void {
    const turn = ++this.turn
    this.o.segment.whoHas(this.place).then(mac => { if (turn === this.turn) then(mac) }, (error: unknown) => {
      if (turn !== this.turn) return
      this.fail(error)
      const now = this.o.clock.monotonic()
      this.act(this.election.refuse(now), now)
    })
  }

  private answered (mac: string | undefined): void {
    const { address, link } = this.place
    const before = this.claimed
    this.claimed = mac === undefined ? undefined : this.inUse(mac)
    if (this.claimed !== undefined && before === undefined) this.o.log.warn({ reason: this.claimed, interface: link.name }, `the boot address ${address.text} is in use`)
    const now = this.o.clock.monotonic()
    this.act(this.election.probed(mac === undefined, now), now)
  }

  private doubled (mac: string | undefined): void {
    const before = this.claimed
    this.claimed = mac === undefined ? undefined : this.inUse(mac)
    if (this.claimed === undefined) return
    if (before === undefined) this.o.log.warn({ reason: this.claimed }, 'a boot address is in use twice')
    this.announce(2)
  }

  private inUse (mac: string): string {
    const { address, link } = this.place
    const rack = this.company.peers.get(mac)
    if (rack !== undefined) return `${address.text} is on rack ${rack} (${mac}) as well, whose advertisements do not arrive on ${link.name}: let multicast to 224.0.0.18 and ff02::12 (IP protocol 112) through on that network.`
    return `${address.text} is in use on ${link.name} by ${mac}: find that machine and take the address off it, or set another boot address. Racks do not take it until then.`
  }

  private fail (error: unknown): void {
    const reason = `${this.place.address.text} cannot be held on ${this.place.link.name}: ${reasonOf(error)}`
    if (reason !== this.trouble) this.o.log.warn({ reason }, 'a boot address cannot be held')
    this.trouble = reason
  }
}
