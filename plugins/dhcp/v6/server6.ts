/** Carries out the decisions about DHCPv6 messages: replies, bindings, facts and counts. What is promised has been stored before. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import type { Limits } from '../rack/limits.ts'
import type { Wish } from '../manifest.ts'
import type { Send } from '../v4/server.ts'
import type { Traffic } from '../rack/traffic.ts'
import type { Wishes } from '../rack/wishes.ts'
import type { View6 } from './address6.ts'
import { bootOf6 } from './boot6.ts'
import type { Boot6 } from './boot6.ts'
import type { LoaderKind } from '../options/loaders.ts'
import { duidOf, hostname6, macOf6 } from './client6.ts'
import { message6, message6Name, ports6 } from './codes6.ts'
import { decide6, second6 } from './decision6.ts'
import type { Decision6, Plan6 } from './decision6.ts'
import { ip6Text, parseIp6 } from './ipv6.ts'
import type { Ip6 } from './ipv6.ts'
import { Lulls } from './lulls.ts'
import type { Memory6 } from './memory6.ts'
import type { Packet6 } from './packet6.ts'
import { linkOf6, ownPort, portOf6, unwrap, wrap } from './relay6.ts'
import type { Datagram6 } from './relay6.ts'
import { confirmReply6, endReply6, informReply6, leaseReply6 } from './reply6.ts'
import type { Segment6, Subnet6 } from './segment6.ts'

export interface Server6Options {
  readonly memory: Memory6, readonly wishes: Pick<Wishes, 'ask'>, readonly limits: Pick<Limits, 'admit'>, readonly traffic: Traffic, readonly clock: Clock, readonly log: Logger
  readonly httpPort: number, readonly quarantineSeconds: number, readonly firmwareSeconds: number
  /** Whether a rack has a boot address now; left out: it is believed. */
  readonly served?: (address: string) => boolean
  /** Which loader the firmware of a machine gets; undefined: the usual one. */
  readonly loaderOf?: (mac: string) => LoaderKind | undefined
  /** Left out: by the turns of the event loop. */
  readonly lulls?: Pick<Lulls, 'count' | 'heard' | 'watch'>
  readonly report: (kind: 'released' | 'declined', body: { address: string, subnet: string, client: string, number: string | null }) => void
}
/** Where a datagram came from; `address` with the zone of a link-local one. */
interface Origin { readonly address: string, readonly port: number, readonly ip: Ip6 }
interface Exchange { readonly segment: Segment6, readonly datagram: Datagram6, readonly from: Origin, readonly boot: Boot6 | undefined, readonly send: Send }
type Lease = Extract<Decision6, { kind: 'lease' }>

const pool = 6000 // new clients are limited as if a VLAN had so many addresses: a binding is a row, however large the range
const choices = 4 // how many addresses are tried for one client in one exchange

export class Server6 {
  private readonly options: Server6Options
  private readonly lulls: Pick<Lulls, 'count' | 'heard' | 'watch'>

  constructor (options: Server6Options) {
    this.options = options
    this.lulls = options.lulls ?? new Lulls()
  }

  /** Takes one datagram in. Never throws: whatever is wrong with it costs one counted drop. `address` may carry a zone. */
  receive (device: string, data: Buffer, send: Send, address: string, port: number): void {
    const { traffic, log } = this.options
    this.lulls.heard()
    try {
      this.handle(device, unwrap(data), { address, port, ip: parseIp6(address.split('%', 1)[0] as string) }, send)
    } catch (error) {
      const malformed = error instanceof BedplateError && error.code === 'PACKET_INVALID'
      traffic.dropped(malformed ? String(error.details.kind) : 'internal')
      if (!malformed) log.error({ reason: reasonOf(error), interface: device }, 'a DHCPv6 message could not be handled')
    }
  }

  /** A boot address that no rack has helps nobody: then it is this one's own. */
  private bootAddress ({ address, bootAddress }: Segment6): Ip6 | null {
    return bootAddress !== undefined && (this.options.served?.(ip6Text(bootAddress)) ?? true) ? bootAddress : address
  }

  private handle (device: string, datagram: Datagram6, from: Origin, send: Send): void {
    const { memory, traffic, clock } = this.options
    const { message, relays } = datagram
    traffic.received(message6Name(message.type) ?? 'none')
    const segment = memory.segmentFor(device, linkOf6(relays))
    if (segment === undefined) { traffic.dropped('no-segment'); return }
    const now = clock.now()
    const duid = duidOf(message.options)
    if (duid !== undefined && (message.type === message6.SOLICIT || message.type === message6.REQUEST || message.type === message6.CONFIRM || message.type === message6['INFORMATION-REQUEST'])) memory.ask(duid, now)
    const view = memory.view(segment, now)
    const decision = decide6(view, datagram, from.ip, now)
    const mac = macOf6(datagram, from.ip)
    const boot = decision.kind === 'lease' || decision.kind === 'inform' ? bootOf6(message.options, this.bootAddress(segment), this.options.httpPort, mac, mac === undefined ? undefined : this.options.loaderOf?.(mac)) : undefined
    const exchange = { segment, datagram, from, boot, send }
    switch (decision.kind) {
      case 'drop': traffic.dropped(decision.reason); break
      case 'lease':
        if (decision.type === 'ADVERTISE') this.lease(exchange, decision)
        else this.bind(exchange, view, decision)
        break
      case 'confirm': this.reply(exchange, confirmReply6(segment, message, decision.onLink)); break
      case 'inform': this.inform(exchange, decision.subnets); break
      case 'end': this.end(exchange, decision, now); break
    }
  }

  /** Replies once the region has stored or refused every binding; without its answer the client hears nothing and asks again. */
  private bind (exchange: Exchange, view: View6, decision: Lease): void {
    const { traffic, clock, memory } = this.options
    const plans: Plan6[] = [...decision.plans]
    if (plans.some(({ give }) => give?.fresh) && !this.admit(exchange)) { traffic.dropped('starved'); return }
    let waiting = 0
    let silent = false
    const done = () => {
      if (waiting > 0) return
      if (silent) traffic.dropped('unanswered')
      else this.lease(exchange, { ...decision, plans })
    }
    const ask = (index: number, left: number): void => {
      const plan = plans[index] as Plan6
      if (plan.give === undefined) return
      waiting++
      const wish = this.wishOf(exchange, plan.give, plan.who.holder)
      this.options.wishes.ask(wish, (answer, seconds = wish.seconds) => {
        waiting--
        if (answer === undefined || (!answer.stored && answer.quiet)) silent = true
        else if (answer.stored) {
          plans[index] = { ...plan, seconds }
          memory.bound({ subnet: wish.subnet, client: wish.client, holder: wish.clientId, address: plan.give.address, expires: clock.now() + seconds * 1000, number: answer.number }, plan.who.duid, this.lulls.count)
          this.lulls.watch()
        } else {
          memory.refused(plan.give.address, wish.client, clock.now())
          const others = new Set(plans.flatMap(({ give }) => give === undefined ? [] : [give.address]))
          plans[index] = second6(view, decision.subnets, plan, clock.now(), others)
          if (left > 1) ask(index, left - 1)
          else if (plans[index]?.give !== undefined) plans[index] = { iaid: plan.iaid, status: 'NoAddrsAvail', gone: plans[index]?.gone ?? [] }
        }
        done()
      })
    }
    // counted up before the first may answer, so that no reply goes out early
    waiting++
    plans.forEach((_, index) => { ask(index, choices) })
    waiting--
    done()
  }

  /** Whether a client nobody knows may be given something now. */
  private admit ({ segment, datagram: { relays, message }, from }: Exchange): boolean {
    const size = segment.subnets.reduce((sum, subnet) => sum + subnet.size, 0n)
    return this.options.limits.admit(segment.vlan, portOf6(relays), size < pool ? Number(size) : pool, macOf6({ relays, message }, from.ip) ?? duidOf(message.options) ?? '', this.options.clock.monotonic())
  }

  private wishOf (exchange: Exchange, { address, subnet, client, hostname }: NonNullable<Plan6['give']>, holder: string): Wish {
    return { address: ip6Text(address), subnet: subnet.id, client, clientId: holder, hostname: hostname ?? hostname6(exchange.datagram.message.options), seconds: this.secondsOf(exchange, subnet) }
  }

  private lease (exchange: Exchange, decision: Lease): void {
    const { segment, datagram: { message } } = exchange
    this.reply(exchange, leaseReply6(segment, message, decision, subnet => this.secondsOf(exchange, subnet), exchange.boot))
  }

  private inform (exchange: Exchange, [subnet]: readonly Subnet6[]): void {
    const { segment, datagram: { message } } = exchange
    this.reply(exchange, informReply6(segment, message, subnet, subnet?.leaseSeconds ?? 0, exchange.boot))
  }

  /**
   * Every rack that hears it replies, for to the client they are one server; only the rack that was the last to acknowledge the binding acts on it, and names that act of
   * binding (docs/dhcp-availability.md section 3). A binding whose rack does not hear it runs out.
   */
  private end (exchange: Exchange, { ended, bindings, unbound }: Extract<Decision6, { kind: 'end' }>, now: number): void {
    const { memory, report, log, quarantineSeconds } = this.options
    for (const { client, address, subnet } of bindings) {
      const number = memory.given(address, this.lulls.count)
      if (number === undefined) continue
      const body = { address: ip6Text(address), subnet: subnet.id, client, number }
      report(ended, body)
      if (ended === 'released') { memory.released(address, now); continue }
      memory.declined(address, now + quarantineSeconds * 1000, now)
      log.warn(body, 'a client found this address in use by somebody else; it is set aside')
    }
    this.reply(exchange, endReply6(exchange.segment, exchange.datagram.message, unbound))
  }

  /** Firmware and boot loaders have DUIDs of their own: what they hold is soon free again. */
  private secondsOf ({ boot }: Exchange, { leaseSeconds }: Subnet6): number { return boot === undefined ? leaseSeconds : Math.min(leaseSeconds, this.options.firmwareSeconds) }

  /** To the relay it came from, on the relays' port; else to the client, on the clients'. */
  private reply ({ datagram: { relays }, from, send }: Exchange, message: Packet6): void {
    const port = relays.length === 0 ? ports6.client : ownPort(relays) ? from.port : ports6.server
    send(wrap({ relays, message }), port, from.address)
    this.options.traffic.sent(message.type === message6.ADVERTISE ? 'ADVERTISE' : 'REPLY')
  }
}

