/** Carries out the decisions about packets: replies, bindings, facts and counts. What is promised has been stored before. */
import { BedplateError, reasonOf } from '../../core/errors.ts'
import type { Clock, Logger } from '../../core/plugin.ts'
import type { Blocks } from './blocks.ts'
import { bootOf } from './boot-file.ts'
import type { Decision } from './decision.ts'
import { decide } from './decision.ts'
import { ipText } from './ipv4.ts'
import type { Wish } from './manifest.ts'
import type { Memory } from './memory.ts'
import { clientIdOf, hostnameOf, maxSizeOf } from './options/client.ts'
import { messageName, option } from './options/codes.ts'
import { readIp, readU8 } from './options/values.ts'
import { decode, encode } from './packet.ts'
import type { Packet } from './packet.ts'
import { informReply, leaseReply, nakReply, targetOf } from './reply.ts'
import type { Segment } from './segment.ts'
import type { Traffic } from './traffic.ts'
import type { Wishes } from './wishes.ts'

export type Send = (data: Uint8Array, port: number, address: string) => void
export interface ServerOptions {
  readonly memory: Memory, readonly wishes: Wishes, readonly blocks: Blocks, readonly traffic: Traffic, readonly clock: Clock, readonly log: Logger
  readonly httpPort: number, readonly quarantineSeconds: number
  readonly report: (kind: 'released' | 'declined', body: { address: string, subnet: string, mac: string }) => void
}
type Bind = Extract<Decision, { kind: 'bind' }>

const udpHeaders = 28

export class Server {
  private readonly options: ServerOptions

  constructor (options: ServerOptions) { this.options = options }

  /** Takes one datagram in. Never throws: whatever is wrong with it costs one counted drop. */
  receive (segment: Segment, data: Buffer, send: Send): void {
    const { traffic, log } = this.options
    try {
      this.handle(segment, decode(data), send)
    } catch (error) {
      const malformed = error instanceof BedplateError && error.code === 'PACKET_INVALID'
      traffic.dropped(malformed ? String(error.details.kind) : 'internal')
      if (!malformed) log.error({ reason: reasonOf(error), interface: segment.interface }, 'a packet could not be handled')
    }
  }

  private handle (segment: Segment, packet: Packet, send: Send): void {
    const { memory, traffic, clock, blocks } = this.options
    const type = messageName(readU8(packet.options.get(option.messageType)))
    traffic.received(type ?? 'none')
    const now = clock.now()
    const server = readIp(packet.options.get(option.serverId))
    if (type === 'DISCOVER' || (type === 'REQUEST' && server === undefined && packet.ciaddr === 0)) memory.ask(packet.mac, now)
    const decision = decide(memory.view(segment, now), packet, now)
    switch (decision.kind) {
      case 'drop':
        if (decision.reason === 'other-server' && type === 'REQUEST') memory.tookAnother(packet.mac)
        decision.subnets?.forEach(({ id }) => { blocks.refill(id) })
        traffic.dropped(decision.reason)
        break
      case 'offer':
        memory.offer(decision.address, decision.subnet.id, packet.mac, now)
        blocks.refill(decision.subnet.id)
        this.send('OFFER', packet, leaseReply('OFFER', segment, packet, { ...decision, seconds: decision.subnet.leaseSeconds }, this.boot(segment, packet)), send)
        break
      case 'bind': this.bind(segment, packet, decision, send); break
      case 'nak': this.send('NAK', packet, nakReply(segment, packet, decision.reason), send); break
      case 'inform': this.send('ACK', packet, informReply(segment, packet, decision.subnet, this.boot(segment, packet)), send); break
      case 'decline':
      case 'release': this.end(packet, decision, now); break
    }
  }

  /** Acknowledges once the region has stored the binding; without its answer the client hears nothing and asks again. */
  private bind (segment: Segment, packet: Packet, { subnet, address, hostname, refused }: Bind, send: Send): void {
    const { memory, wishes, traffic, clock, blocks } = this.options
    const seconds = subnet.leaseSeconds
    const clientId = clientIdOf(packet.options)
    const wish: Wish = { address: ipText(address), subnet: subnet.id, mac: packet.mac, clientId, hostname: hostname ?? hostnameOf(packet.options), seconds }
    wishes.ask(wish, answer => {
      if (answer === undefined) { traffic.dropped('unanswered'); return }
      if (!answer.stored) {
        memory.refused(address, subnet.id, packet.mac, clock.now())
        if (refused === 'nak') this.send('NAK', packet, nakReply(segment, packet, answer.reason ?? 'this address is taken'), send)
        else traffic.dropped('refused')
        return
      }
      memory.bound({ subnet: subnet.id, mac: packet.mac, clientId, address, expires: clock.now() + seconds * 1000 })
      blocks.refill(subnet.id)
      this.send('ACK', packet, leaseReply('ACK', segment, packet, { subnet, address, hostname, seconds }, this.boot(segment, packet)), send)
    })
  }

  private end ({ mac }: Packet, { kind, subnet, address }: Extract<Decision, { kind: 'decline' | 'release' }>, now: number): void {
    const { memory, report, log, quarantineSeconds } = this.options
    const body = { address: ipText(address), subnet: subnet.id, mac }
    report(kind === 'decline' ? 'declined' : 'released', body)
    if (kind === 'release') { memory.released(address, now); return }
    memory.declined(address, now + quarantineSeconds * 1000, now)
    log.warn(body, 'a client found this address in use by somebody else; it is set aside')
  }

  private boot (segment: Segment, packet: Packet) { return bootOf(packet, segment.address, this.options.httpPort) }

  private send (type: 'OFFER' | 'ACK' | 'NAK', request: Packet, reply: Packet, send: Send): void {
    const target = targetOf(request, type === 'NAK')
    send(encode(reply, maxSizeOf(request.options) - udpHeaders), target.port, ipText(target.address))
    this.options.traffic.sent(type)
  }
}
