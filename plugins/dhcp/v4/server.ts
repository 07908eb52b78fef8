/** Carries out the decisions about packets: replies, bindings, facts and counts. What is promised has been stored before. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import type { AloneView, View } from './address.ts'
import type { Blocks } from '../rack/blocks.ts'
import type { Chain, Step } from './chain.ts'
import type { Decision } from './decision.ts'
import { ipText } from './ipv4.ts'
import { portOf } from '../rack/limits.ts'
import { answerLeaseQuery } from './leasequery.ts'
import type { Limits } from '../rack/limits.ts'
import type { Answer, Wish } from '../manifest.ts'
import type { Memory } from '../rack/memory.ts'
import { clientIdOf, hostnameOf, maxSizeOf } from '../options/client.ts'
import type { MessageType } from '../options/codes.ts'
import { option } from '../options/codes.ts'
import { relayInfoOf } from '../options/relay.ts'
import { readIp } from '../options/values.ts'
import { decode, encode } from './packet.ts'
import type { Packet } from './packet.ts'
import { targetOf } from './reply.ts'
import { poolOf } from './segment.ts'
import type { Segment } from './segment.ts'
import type { Traffic } from '../rack/traffic.ts'
import type { Standby } from '../rack/standby.ts'
import type { Wishes } from '../rack/wishes.ts'

export type Send = (data: Uint8Array, port: number, address: string) => void
export interface ServerOptions {
  readonly chain: Chain, readonly memory: Memory, readonly wishes: Wishes, readonly blocks: Blocks, readonly traffic: Traffic, readonly clock: Clock, readonly log: Logger
  readonly limits: Limits
  readonly standby: Standby
  readonly quarantineSeconds: number
  /** What this rack may do without a region. */
  readonly alone?: AloneView
  readonly report: (kind: 'released' | 'declined', body: { address: string, subnet: string, client: string, number: string | null }) => void
}
type Bind = Extract<Decision, { kind: 'bind' }>

const udpHeaders = 28

export class Server {
  private readonly options: ServerOptions

  constructor (options: ServerOptions) { this.options = options }

  /** Takes one datagram in. Never throws: whatever is wrong with it costs one counted drop. */
  receive (segment: Segment, data: Buffer, send: Send): void {
    this.guarded(segment, () => { this.handle(segment, decode(data), send) })
  }

  private guarded (segment: Segment, handle: () => void): void {
    const { traffic, log } = this.options
    try {
      handle()
    } catch (error) {
      const malformed = error instanceof BedplateError && error.code === 'PACKET_INVALID'
      traffic.dropped(malformed ? String(error.details.kind) : 'internal')
      if (!malformed) log.error({ reason: reasonOf(error), interface: segment.interface }, 'a packet could not be handled')
    }
  }

  private handle (segment: Segment, packet: Packet, send: Send): void {
    const { chain, memory, traffic, clock } = this.options
    const step = chain.open(segment, packet)
    if (typeof step === 'string') { traffic.dropped(step); return }
    const { type } = step
    const client = step.client = memory.clientOf(packet)
    traffic.received(type ?? 'none')
    const now = clock.now()
    const server = readIp(packet.options.get(option.serverId))
    if (type === 'DISCOVER' || (type === 'REQUEST' && server === undefined && packet.ciaddr === 0)) memory.ask(client, now)
    this.decide(step, segment.rank > 0 && type === 'DISCOVER' && this.leads(segment, client), send)
  }

  /** Decides and acts. Where nothing is left to offer but more is on its way, once more when it is there: a client that heard nothing asks again after 4 s only. */
  private decide (step: Step, leads: boolean, send: Send): void {
    const { chain, memory, traffic, clock, blocks, standby } = this.options
    const { segment, packet, client, type } = step
    const now = clock.now()
    const server = readIp(packet.options.get(option.serverId))
    const view = memory.view(segment, now, this.options.alone, leads)
    if (type === 'LEASEQUERY') { this.query(view, packet, now, send); return }
    const decision = chain.decide(step, view, now)
    if ((decision.kind === 'offer' || decision.kind === 'bind') && this.starved(view, packet, client)) { traffic.dropped('starved'); return }
    switch (decision.kind) {
      case 'drop':
        if (decision.reason === 'other-server' && type === 'REQUEST') {
          memory.tookAnother(client)
          if (server !== undefined && segment.peers.includes(server)) standby.heard(segment.vlan)
        }
        if (decision.subnets !== undefined) {
          const subnets = decision.subnets.map(({ id }) => id)
          for (const subnet of subnets) blocks.refill(subnet)
          memory.hasten(now)
          if (blocks.wait(subnets, client, () => { this.guarded(segment, () => { this.decide(step, leads, send) }) })) break
        }
        traffic.dropped(decision.reason)
        break
      case 'offer':
        memory.offer(decision.address, decision.subnet.id, client, now)
        blocks.refill(decision.subnet.id)
        this.send('OFFER', packet, chain.lease('OFFER', step, { ...decision, seconds: chain.seconds(step, decision.subnet) }), send)
        break
      case 'bind':
        if (type === 'DISCOVER') memory.offer(decision.address, decision.subnet.id, client, now) // rapid commit: nobody else is offered it while it is being stored
        this.bind(step, decision, send)
        break
      case 'nak': this.send('NAK', packet, chain.nak(step, decision.reason), send); break
      case 'inform': this.send('ACK', packet, chain.inform(step, decision.subnet), send); break
      case 'decline':
      case 'release': this.end(client, decision, now); break
    }
  }

  /** Whether the racks above this one have been silent so long that it goes first. */
  private leads ({ vlan, rank }: Segment, client: string): boolean {
    const { memory, standby } = this.options
    const asked = memory.askedBy(client)
    if (asked === rank + 1) standby.missed(vlan) // each client once
    return asked <= rank && standby.ahead(vlan) // who has asked more often is answered anyway
  }

  /** A relay asks who has an address (RFC 4388). */
  private query (view: View, packet: Packet, now: number, send: Send): void {
    const answer = answerLeaseQuery(view, packet, now)
    if (answer === undefined) this.options.traffic.dropped('foreign-relay')
    else this.send(answer.type, packet, answer.reply, send)
  }

  /** A client that nobody knows is given something new only while the allowance of its port and VLAN lasts. */
  private starved (view: View, { mac, giaddr, options }: Packet, client: string): boolean {
    if (view.offerTo(client) !== undefined || view.bindings(client).length > 0 || view.hosts(client).length > 0) return false
    const { vlan } = view.segment
    return !this.options.limits.admit(vlan, portOf(giaddr, options), poolOf(view.segment), mac, this.options.clock.monotonic())
  }

  /** Acknowledges once the region has stored the binding; without its answer the client hears nothing and asks again. */
  private bind (step: Step, { subnet, address, hostname, refused }: Bind, send: Send): void {
    const { chain, wishes, traffic, log } = this.options
    const { packet, client } = step
    const wished = chain.seconds(step, subnet)
    const clientId = clientIdOf(packet.options)
    const relay = relayInfoOf(packet.giaddr, packet.options)
    const wish: Wish = { address: ipText(address), subnet: subnet.id, client, clientId, hostname: hostname ?? hostnameOf(packet.options), seconds: wished, ...relay === undefined ? undefined : { relay } }
    wishes.ask(wish, (answer, seconds = wished) => {
      try {
        this.answered(step, { subnet, address, hostname, refused }, { answer, seconds, clientId }, send)
      } catch (error) { // it costs this reply alone, none of those that wait beside it
        traffic.dropped('internal')
        log.error({ reason: reasonOf(error) }, 'a stored binding could not be acknowledged')
      }
    })
  }

  private answered (step: Step, { subnet, address, hostname, refused }: Omit<Bind, 'kind'>, { answer, seconds, clientId }: { readonly answer: Answer | undefined, readonly seconds: number, readonly clientId: string | null }, send: Send): void {
    const { chain, memory, traffic, clock, blocks } = this.options
    const { packet, client } = step
    if (answer === undefined) { traffic.dropped('unanswered'); return }
    if (!answer.stored) {
      memory.refused(address, subnet.id, client, clock.now())
      if (answer.quiet) traffic.dropped('reserved')
      else if (refused === 'nak') this.send('NAK', packet, chain.nak(step, answer.reason ?? 'this address is taken'), send)
      else traffic.dropped('refused')
      return
    }
    memory.bound({ subnet: subnet.id, client, clientId, address, expires: clock.now() + seconds * 1000, number: answer.number })
    blocks.refill(subnet.id)
    this.send('ACK', packet, chain.lease('ACK', step, { subnet, address, hostname, seconds }), send)
  }

  private end (client: string, { kind, subnet, address }: Extract<Decision, { kind: 'decline' | 'release' }>, now: number): void {
    const { memory, report, log, traffic, quarantineSeconds } = this.options
    if (!memory.gave(address) || (kind === 'release' && memory.justGave(address))) { traffic.dropped('late'); return } // the lease then ends by itself
    const body = { address: ipText(address), subnet: subnet.id, client, number: memory.numberOf(address) }
    // A lease this rack gave alone has no number yet, and a word without one could end a later lease: such a lease ends by itself.
    if (body.number !== null) report(kind === 'decline' ? 'declined' : 'released', body)
    if (kind === 'release') { memory.released(address, now); return }
    memory.declined(address, now + quarantineSeconds * 1000, now)
    log.warn(body, 'a client found this address in use by somebody else; it is set aside')
  }

  private send (type: MessageType, request: Packet, reply: Packet, send: Send): void {
    const target = targetOf(request, type === 'NAK')
    // What the relay wants back does not count: it takes that off before the client gets the rest (RFC 3046 section 2.1).
    const relay = reply.options.get(option.relay)
    send(encode(reply, maxSizeOf(request.options) - udpHeaders + (relay === undefined ? 0 : relay.length + 2)), target.port, ipText(target.address))
    this.options.traffic.sent(type)
  }
}
