/** A client by RFC 2131 section 4.4: counts its lease from the sending of its request, by a clock of its own that drifts, and uses the address until it believes that it has ended. */
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { messageName, messageType, option } from '../../../plugins/dhcp/options/codes.ts'
import type { MessageType } from '../../../plugins/dhcp/options/codes.ts'
import { ip, readIp, readU8, text, u8 } from '../../../plugins/dhcp/options/values.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import type { Dice } from '../dice.ts'
import type { Due, World } from '../world.ts'
import type { Air, Mouth } from './air.ts'

/** How a kind of firmware or system goes about it. Times in ms. */
export interface Persona {
  readonly name: string
  readonly secs: boolean // says truly how long it has been asking
  readonly collect: number // waits so long for further offers, and takes the last
  readonly remembers: boolean // its last lease outlives its restart: INIT-REBOOT, and it keeps using it unless told otherwise
  readonly wishes: boolean // asks for its former address in a DISCOVER
  readonly renews: 'unicast' | 'broadcast' | 'never'
  readonly clientId: boolean
  readonly declines: number // chance that it finds an address in use
  readonly first: number // until its first retransmission, doubled each time up to `longest`
  readonly longest: number
}
const usual = { secs: true, collect: 0, remembers: true, wishes: true, renews: 'unicast', clientId: true, declines: 0.01, first: 4_000, longest: 16_000 } as const
export const personas: readonly Persona[] = [
  { ...usual, name: 'dhclient' },
  { ...usual, name: 'networkd', wishes: false, declines: 0.03 },
  { ...usual, name: 'udhcpc', secs: false, clientId: false, remembers: false, longest: 6_000 },
  { ...usual, name: 'dhcpcd', collect: 500, declines: 0.05 },
  { ...usual, name: 'firmware', secs: true, renews: 'never', remembers: false, wishes: false, clientId: false, first: 4_000, longest: 16_000, declines: 0 },
  { ...usual, name: 'broadcaster', renews: 'broadcast', secs: false, first: 1_000, longest: 8_000 }
]

export interface Belief { readonly address: number, readonly since: number, readonly until: number, readonly seconds: number, readonly server: string }
type State = 'off' | 'selecting' | 'requesting' | 'rebooting' | 'bound' | 'renewing' | 'rebinding'
export interface ClientEvents { believed (client: Client): void, ended (client: Client, how: string): void, nak (client: Client, from: string): void }

export class Client implements Mouth {
  readonly name: string
  readonly mac: string
  readonly persona: Persona
  segment: string
  state: State = 'off'
  /** What it believes to have. It may be looked at only while `until` is ahead of the world's time. */
  belief: Belief | undefined
  /** Since when it asks without a break, world time. */
  asking: number | undefined
  private former: Belief | undefined // outlives a restart, if it remembers
  private xid = 0
  private begun = 0 // of this transaction
  private sent = 0 // world time of its last REQUEST
  private wanted = 0
  private offer: { readonly address: number, readonly server: number, readonly from: string } | undefined
  private due: Due | undefined
  private ending: Due | undefined
  private readonly rate: number
  private readonly world: World
  private readonly dice: Dice
  private readonly air: Air
  private readonly events: ClientEvents

  constructor (number: number, persona: Persona, segment: string, o: { readonly world: World, readonly dice: Dice, readonly air: Air, readonly drift: number, readonly events: ClientEvents }) {
    this.name = `c${number}`
    this.mac = `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`
    this.persona = persona
    this.segment = segment
    this.world = o.world
    this.dice = o.dice
    this.air = o.air
    this.events = o.events
    this.rate = 1 + o.dice.between(-o.drift, o.drift)
  }

  get believes (): Belief | undefined { return this.belief !== undefined && this.belief.until > this.world.now ? this.belief : undefined }

  /** It is switched on. */
  appear (): void {
    if (this.state !== 'off') return
    this.world.tell(`${this.name}: appears on ${this.segment} (${this.persona.name})`)
    const { former } = this
    if (this.persona.remembers && former !== undefined && former.until > this.world.now) {
      this.belief = former
      this.watchEnd()
      this.events.believed(this)
      this.reboot(former.address)
    } else this.discover(this.dice.between(0, 1_000))
  }

  /** Power is cut: it says nothing, and uses nothing any more. */
  vanish (): void {
    if (this.state === 'off') return
    this.world.tell(`${this.name}: vanishes`)
    this.drop('vanished', true)
    this.turn('off')
  }

  /** It gives its address back in good order. */
  release (): void {
    const lease = this.believes
    if (lease === undefined) { this.vanish(); return }
    this.world.tell(`${this.name}: releases ${ipText(lease.address)}`)
    this.send('RELEASE', { ciaddr: lease.address }, [[option.serverId, ip(parseIp(lease.server))]], lease.server)
    this.drop('released', false)
    this.former = undefined
    this.turn('off')
  }

  /** Its cable is put elsewhere. When it notices, it asks whether its address is right there. */
  move (segment: string, notices: boolean): void {
    this.segment = segment
    this.world.tell(`${this.name}: moved to ${segment}${notices ? '' : ', unawares'}`)
    if (this.asking !== undefined) this.asking = this.world.now
    if (!notices || this.state === 'off') return
    const lease = this.believes
    if (lease === undefined) this.discover(0)
    else this.reboot(lease.address)
  }

  hear (data: Uint8Array, from: string): void {
    if (this.state === 'off') return
    const packet = decode(Buffer.from(data))
    if (packet.xid !== this.xid || packet.mac !== this.mac) return
    const type = messageName(readU8(packet.options.get(option.messageType)))
    const server = readIp(packet.options.get(option.serverId)) ?? 0
    if (type === 'OFFER' && this.state === 'selecting') this.offered(packet.yiaddr, server, from)
    else if (type === 'ACK' && (this.state === 'requesting' || this.state === 'rebooting' || this.state === 'renewing' || this.state === 'rebinding')) this.acknowledged(packet, server)
    else if (type === 'NAK' && (this.state === 'requesting' || this.state === 'rebooting' || this.state === 'renewing' || this.state === 'rebinding')) {
      this.world.tell(`${this.name}: NAK from ${from}`)
      this.events.nak(this, from)
      this.drop('NAK', false)
      this.former = undefined
      this.discover(this.dice.between(0, 500))
    }
  }

  private offered (address: number, server: number, from: string): void {
    const first = this.offer === undefined
    this.offer = { address, server, from }
    if (this.persona.collect === 0) this.request()
    else if (first) this.timer(this.persona.collect, () => { this.request() })
  }

  private acknowledged (packet: Packet, server: number): void {
    const seconds = packet.options.get(option.leaseTime)?.readUInt32BE(0) ?? 0
    const address = packet.yiaddr
    if (this.dice.chance(this.persona.declines) && this.state === 'requesting') {
      this.world.tell(`${this.name}: declines ${ipText(address)}`)
      this.send('DECLINE', {}, [[option.serverId, ip(server)], [option.requestedAddress, ip(address)]])
      this.drop('declined', false)
      this.former = undefined
      this.discover(10_000)
      return
    }
    this.belief = { address, since: this.sent, until: this.sent + seconds * 1000 / this.rate, seconds, server: ipText(server) }
    this.former = this.belief
    this.asking = undefined
    this.world.tell(`${this.name}: has ${ipText(address)} for ${seconds} s, from ${ipText(server)}`)
    this.turn('bound')
    this.events.believed(this)
    if (this.belief === undefined || this.believes === undefined) { this.expired(); return }
    this.watchEnd()
    if (this.persona.renews !== 'never') this.timer(seconds * 500 - (this.world.now - this.sent) * this.rate, () => { this.extend('renewing') })
  }

  private watchEnd (): void {
    if (this.ending !== undefined) this.world.cancel(this.ending)
    const { belief } = this
    if (belief !== undefined) this.ending = this.world.at(belief.until, () => { if (this.belief === belief) this.expired() })
  }

  private expired (): void {
    const old = this.belief
    this.world.tell(`${this.name}: its lease of ${ipText(old?.address ?? 0)} ends`)
    this.drop('expired', false)
    if (this.persona.renews === 'never' && this.dice.chance(0.5)) { this.turn('off'); return } // what it booted has taken over, or not
    this.discover(0)
  }

  /** T1 and T2. */
  private extend (state: 'renewing' | 'rebinding'): void {
    const lease = this.believes
    if (lease === undefined) return
    if (this.state !== state) { this.turn(state); this.begin() }
    const rebindAt = lease.since + lease.seconds * 875 / this.rate
    if (state === 'renewing' && this.world.now >= rebindAt) { this.extend('rebinding'); return }
    this.sent = this.world.now
    this.send('REQUEST', { ciaddr: lease.address }, [], state === 'renewing' && this.persona.renews === 'unicast' ? lease.server : undefined)
    const left = (state === 'renewing' ? rebindAt : lease.until) - this.world.now
    this.timer(Math.max(1_500, left / 2), () => { this.extend(state) })
  }

  private discover (wait: number): void {
    this.turn('selecting')
    this.offer = undefined
    this.timer(wait, () => {
      this.begin()
      this.asking ??= this.world.now
      this.ask(this.persona.first)
    })
  }

  private ask (again: number): void {
    const options: [number, Buffer][] = this.persona.wishes && this.former !== undefined ? [[option.requestedAddress, ip(this.former.address)]] : []
    this.send('DISCOVER', {}, options)
    this.timer(again * this.dice.between(0.9, 1.1), () => { this.ask(Math.min(this.persona.longest, again * 2)) })
  }

  private request (tries = 0): void {
    const { offer } = this
    if (offer === undefined) return
    if (tries === 0) this.turn('requesting')
    if (tries === 3) { this.discover(0); return }
    this.sent = this.world.now
    this.send('REQUEST', {}, [[option.serverId, ip(offer.server)], [option.requestedAddress, ip(offer.address)]])
    this.timer(Math.min(this.persona.longest, this.persona.first * 2 ** tries), () => { this.request(tries + 1) })
  }

  private reboot (address: number, tries = 0): void {
    if (tries === 0) { this.turn('rebooting'); this.begin() }
    if (tries === 3) {
      // RFC 2131 section 3.2: it may go on using the address for what is left.
      const lease = this.believes
      if (lease === undefined) { this.discover(0); return }
      this.turn('bound')
      this.timer(Math.max(500, (lease.until - this.world.now) / 2), () => { this.extend('rebinding') })
      return
    }
    this.sent = this.world.now
    this.wanted = address
    this.send('REQUEST', {}, [[option.requestedAddress, ip(this.wanted)]])
    this.timer(Math.min(this.persona.longest, this.persona.first * 2 ** tries), () => { this.reboot(address, tries + 1) })
  }

  private begin (): void {
    this.xid = Math.floor(this.dice.random() * 0x100000000)
    this.begun = this.world.now
  }

  private turn (state: State): void {
    this.state = state
    if (this.due !== undefined) this.world.cancel(this.due)
    if (state === 'off') { this.asking = undefined; this.offer = undefined }
  }

  private timer (ms: number, happen: () => void): void {
    if (this.due !== undefined) this.world.cancel(this.due)
    this.due = this.world.after(Math.max(0, ms) / this.rate, happen)
  }

  private drop (how: string, keep: boolean): void {
    if (this.ending !== undefined) this.world.cancel(this.ending)
    if (!keep && how !== 'expired') this.former = undefined
    if (this.belief === undefined) return
    this.belief = undefined
    this.events.ended(this, how)
  }

  private send (type: MessageType, fields: Partial<Packet>, more: readonly (readonly [number, Buffer])[], to?: string): void {
    const options = new Map<number, Buffer>([[option.messageType, u8(messageType[type])], ...more])
    if (this.persona.clientId) options.set(option.clientId, Buffer.concat([u8(1), text(this.name)]))
    const data = encode({
      op: 1, htype: 1, hops: 0, xid: this.xid, secs: this.persona.secs ? Math.floor((this.world.now - this.begun) / 1000) : 0, flags: 0,
      ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, mac: this.mac, sname: '', file: '', options, ...fields
    })
    this.air.speak(this, data, to)
  }
}
