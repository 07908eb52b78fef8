/** OFFER, ACK and NAK: the fields and options of a reply, and where it goes (RFC 2131 sections 4.1 and 4.3.1). Pure. */
import type { Boot } from './boot-file.ts'
import { everybody } from './ipv4.ts'
import { messageType, option } from '../options/codes.ts'
import { serverOverride } from '../options/relay.ts'
import type { Told } from '../options/told.ts'
import { onlyAsked, plainTold } from '../options/told.ts'
import { ip, readIp, readText, text, u32, u8 } from '../options/values.ts'
import { broadcastFlag } from './packet.ts'
import type { Packet } from './packet.ts'
import { extensionTimes } from './renewal.ts'
import type { Segment, Subnet } from './segment.ts'

export interface Lease { readonly subnet: Subnet, readonly address: number, readonly hostname: string | null, readonly seconds: number }
export interface Target { readonly address: number, readonly port: number }

const reply = (request: Packet, options: Map<number, Buffer>, fields: Partial<Pick<Packet, 'flags' | 'ciaddr' | 'yiaddr' | 'siaddr' | 'file'>>): Packet => {
  const relay = request.options.get(option.relay)
  if (relay !== undefined) options.set(option.relay, relay)
  // RFC 6842: a client id is given back, so that clients that share a hardware address can tell their replies apart.
  const clientId = request.options.get(option.clientId)
  if (clientId !== undefined) options.set(option.clientId, clientId)
  const selected = request.options.get(option.subnetSelection) // RFC 3011 section 3: given back by a server that went by it
  if (selected !== undefined) options.set(option.subnetSelection, selected)
  return {
    op: 2, htype: request.htype, hops: 0, xid: request.xid, secs: 0, flags: fields.flags ?? request.flags, ciaddr: fields.ciaddr ?? 0, yiaddr: fields.yiaddr ?? 0, siaddr: fields.siaddr ?? 0,
    giaddr: request.giaddr, mac: request.mac, sname: '', file: fields.file ?? '', options
  }
}

/** What this server is called in replies: its address on the segment, or what the relay wants it to be called (RFC 5107). */
const serverId = ({ address }: Segment, { giaddr, options }: Packet): Buffer => ip(serverOverride(giaddr, options) ?? address)

/**
 * Puts in what the client is told: first what it asks for, in its own order (RFC 2132 section 9.8), then the rest, what matters most first, so that
 * what does not fit is what nobody asked for. Operators' options stand above those of booting, and these above the plan's.
 */
function tell (into: Map<number, Buffer>, told: Told, boot: Boot | undefined, hostname: string | null, request: Packet): void {
  const wanted = request.options.get(option.parameterList)
  if (wanted !== undefined) {
    for (const code of wanted) {
      const value = into.has(code) ? undefined : valueOf(code, told, boot, hostname)
      if (value !== undefined) into.set(code, value)
    }
  }
  for (const [code, value] of told.values) if (!into.has(code) && !onlyAsked.has(code) && !told.set.has(code)) into.set(code, value)
  if (hostname !== null && !into.has(option.hostname) && !told.set.has(option.hostname)) into.set(option.hostname, text(hostname))
  if (boot !== undefined) for (const [code, value] of boot.options) if (!into.has(code) && !told.set.has(code)) into.set(code, value)
  for (const code of told.set) if (!into.has(code) && !onlyAsked.has(code)) into.set(code, told.values.get(code) as Buffer)
}

function valueOf (code: number, { values, set }: Told, boot: Boot | undefined, hostname: string | null): Buffer | undefined {
  if (set.has(code)) return values.get(code)
  if (code === option.hostname && hostname !== null) return text(hostname)
  return boot?.options.get(code) ?? boot?.asked.get(code) ?? values.get(code)
}

/** The header's fields for booting: firmware that looks only there finds what the options say. */
function booting (told: Told, boot: Boot | undefined): Partial<Packet> {
  const file = told.set.has(option.bootFile) ? readText(told.values.get(option.bootFile)) : boot?.file
  const named = told.set.has(option.tftpServer) ? quad(readText(told.values.get(option.tftpServer))) : undefined
  const listed = told.set.has(option.tftpServers) ? readIp(told.values.get(option.tftpServers)?.subarray(0, 4)) : undefined
  return { siaddr: named ?? listed ?? boot?.nextServer ?? 0, file: file !== undefined && file.length < 128 ? file : '' }
}
function quad (value: string | undefined): number | undefined {
  const parts = value?.split('.').map(Number)
  return parts?.length === 4 && parts.every(part => Number.isInteger(part) && part >= 0 && part < 256) ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined
}

/** An OFFER or ACK of a lease. The ACK of a DISCOVER says that it is one (RFC 4039 section 3.1). */
export function leaseReply (kind: 'OFFER' | 'ACK', segment: Segment, request: Packet, lease: Lease, boot: Boot | undefined, told: Told = plainTold(segment, lease.subnet)): Packet {
  const { renew, rebind } = extensionTimes(lease.seconds)
  const options = new Map<number, Buffer>([
    [option.messageType, u8(messageType[kind])],
    [option.serverId, serverId(segment, request)],
    [option.leaseTime, u32(lease.seconds)],
    [option.renewalTime, u32(renew)],
    [option.rebindingTime, u32(rebind)]
  ])
  if (kind === 'ACK' && request.options.get(option.messageType)?.[0] === messageType.DISCOVER) options.set(option.rapidCommit, Buffer.alloc(0))
  tell(options, told, boot, lease.hostname, request)
  return reply(request, options, { ...booting(told, boot), ciaddr: kind === 'ACK' ? request.ciaddr : 0, yiaddr: lease.address })
}

/** The ACK of an INFORM: options only, no address and no lease (RFC 2131 section 4.3.5). */
export function informReply (segment: Segment, request: Packet, subnet: Subnet, boot: Boot | undefined, told: Told = plainTold(segment, subnet)): Packet {
  const options = new Map<number, Buffer>([[option.messageType, u8(messageType.ACK)], [option.serverId, serverId(segment, request)]])
  tell(options, told, boot, null, request)
  return reply(request, options, { ...booting(told, boot), ciaddr: request.ciaddr })
}

/** A NAK. Through a relay the broadcast bit is set, so that the relay reaches a client whose address is wrong (RFC 2131 section 4.3.2). */
export function nakReply (segment: Segment, request: Packet, reason: string): Packet {
  const options = new Map<number, Buffer>([[option.messageType, u8(messageType.NAK)], [option.serverId, serverId(segment, request)], [option.message, text(reason)]])
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
