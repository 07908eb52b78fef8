/** OFFER, ACK and NAK: the fields and options of a reply, and where it goes (RFC 2131 sections 4.1 and 4.3.1). Pure. */
import type { Boot } from './boot-file.ts'
import { everybody } from './ipv4.ts'
import { asksFor } from './options/client.ts'
import { messageType, option } from './options/codes.ts'
import { ip, text, u16, u32, u8 } from './options/values.ts'
import { broadcastFlag } from './packet.ts'
import type { Packet } from './packet.ts'
import type { Segment, Subnet } from './segment.ts'

export interface Lease { readonly subnet: Subnet, readonly address: number, readonly hostname: string | null, readonly seconds: number }
export interface Target { readonly address: number, readonly port: number }

const reply = (request: Packet, options: Map<number, Buffer>, fields: Partial<Packet>): Packet => {
  const relay = request.options.get(option.relay)
  if (relay !== undefined) options.set(option.relay, relay)
  // RFC 6842: a client id is given back, so that clients that share a hardware address can tell their replies apart.
  const clientId = request.options.get(option.clientId)
  if (clientId !== undefined) options.set(option.clientId, clientId)
  return {
    op: 2, htype: request.htype, hops: 0, xid: request.xid, secs: 0, flags: request.flags, ciaddr: 0, yiaddr: 0, siaddr: 0,
    giaddr: request.giaddr, mac: request.mac, sname: '', file: '', options, ...fields
  }
}

/** What every client of the subnet is told, what matters most first. */
function common (segment: Segment, subnet: Subnet, request: Packet, into: Map<number, Buffer>): void {
  into.set(option.subnetMask, ip(subnet.prefix.mask))
  if (subnet.gateway !== null) into.set(option.router, ip(subnet.gateway))
  if (subnet.dnsServers.length > 0) into.set(option.dnsServers, ip(...subnet.dnsServers))
  into.set(option.broadcast, ip(subnet.prefix.broadcast))
  if (asksFor(request.options, option.mtu)) into.set(option.mtu, u16(segment.mtu))
}

/** Fields and options that tell a client what to boot. Many firmwares read only one of the two places, so both are filled where asked for. */
function booting (boot: Boot | undefined, request: Packet, into: Map<number, Buffer>): Partial<Packet> {
  if (boot === undefined) return {}
  const fits = boot.file.length < 128
  const http = boot.file.startsWith('http:')
  if (boot.file !== '' && (!fits || http || asksFor(request.options, option.bootFile))) into.set(option.bootFile, text(boot.file))
  for (const [code, value] of boot.options) if (code !== option.tftpServer || asksFor(request.options, code)) into.set(code, value)
  if (!http && asksFor(request.options, option.tftpServers)) into.set(option.tftpServers, ip(boot.nextServer))
  return { siaddr: boot.nextServer, file: fits ? boot.file : '' }
}

/** An OFFER or ACK of a lease. T1 and T2 are half and seven eighths of it (RFC 2131 section 4.4.5). */
export function leaseReply (kind: 'OFFER' | 'ACK', segment: Segment, request: Packet, lease: Lease, boot: Boot | undefined): Packet {
  const options = new Map<number, Buffer>([
    [option.messageType, u8(messageType[kind])],
    [option.serverId, ip(segment.address)],
    [option.leaseTime, u32(lease.seconds)],
    [option.renewalTime, u32(Math.floor(lease.seconds / 2))],
    [option.rebindingTime, u32(Math.floor(lease.seconds * 7 / 8))]
  ])
  common(segment, lease.subnet, request, options)
  if (lease.hostname !== null) options.set(option.hostname, text(lease.hostname))
  const fields = booting(boot, request, options)
  return reply(request, options, { ...fields, ciaddr: kind === 'ACK' ? request.ciaddr : 0, yiaddr: lease.address })
}

/** The ACK of an INFORM: options only, no address and no lease (RFC 2131 section 4.3.5). */
export function informReply (segment: Segment, request: Packet, subnet: Subnet, boot: Boot | undefined): Packet {
  const options = new Map<number, Buffer>([[option.messageType, u8(messageType.ACK)], [option.serverId, ip(segment.address)]])
  common(segment, subnet, request, options)
  const fields = booting(boot, request, options)
  return reply(request, options, { ...fields, ciaddr: request.ciaddr })
}

/** A NAK. Through a relay the broadcast bit is set, so that the relay reaches a client whose address is wrong (RFC 2131 section 4.3.2). */
export function nakReply (segment: Segment, request: Packet, reason: string): Packet {
  const options = new Map<number, Buffer>([[option.messageType, u8(messageType.NAK)], [option.serverId, ip(segment.address)], [option.message, text(reason)]])
  return reply(request, options, { flags: request.giaddr === 0 ? request.flags : request.flags | broadcastFlag })
}

/**
 * Where a reply goes (RFC 2131 section 4.1): to the relay, to the client's own address, or to everybody. A client without an address
 * gets a broadcast even if it did not ask for one: unicast to it would need a raw socket, since it answers no ARP yet.
 */
export function targetOf (request: Packet, nak: boolean): Target {
  if (request.giaddr !== 0) return { address: request.giaddr, port: 67 }
  if (request.ciaddr !== 0 && !nak) return { address: request.ciaddr, port: 68 }
  return { address: everybody, port: 68 }
}
