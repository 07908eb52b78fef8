/** Whether what went out may have gone out: every reply is read again and held against its request and the referee. */
import { everybody, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { maxSizeOf } from '../../../plugins/dhcp/options/client.ts'
import { messageName, option } from '../../../plugins/dhcp/options/codes.ts'
import { readIp, readU8 } from '../../../plugins/dhcp/options/values.ts'
import { decode } from '../../../plugins/dhcp/v4/packet.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import type { Segment } from '../../../plugins/dhcp/v4/segment.ts'
import type { StoringReferee } from './referee.ts'

export interface Sent { readonly segment: Segment, readonly request: Packet, readonly data: Buffer, readonly port: number, readonly address: string }
export interface Judged { readonly reply: Packet, readonly fault: string | undefined }

/** Throws PACKET_INVALID when the reply cannot even be read. */
export function judge ({ segment, request, data, port, address }: Sent, referee: StoringReferee, now: number): Judged {
  const reply = decode(data)
  const type = messageName(readU8(reply.options.get(option.messageType)))
  const asked = messageName(readU8(request.options.get(option.messageType)))
  if (asked === 'LEASEQUERY') return { reply, fault: wrongWord(request, reply, type, port, address, referee, now) }
  const fault = wrongForm(segment, request, reply, type, asked, data) ?? wrongWay(request, type ?? '', port, address) ?? wrongLease(segment, request, reply, type ?? '', asked, referee, now)
  return { reply, fault }
}

/** What a relay that asks about leases is told (RFC 4388). */
function wrongWord (request: Packet, reply: Packet, type: string | undefined, port: number, address: string, referee: StoringReferee, now: number): string | undefined {
  if (type !== 'LEASEACTIVE' && type !== 'LEASEUNASSIGNED' && type !== 'LEASEUNKNOWN') return `${type} for LEASEQUERY`
  if (reply.op !== 2 || reply.xid !== request.xid || reply.yiaddr !== 0) return 'for another question than it answers'
  if (request.giaddr === 0 || port !== 67 || parseIp(address) !== request.giaddr) return 'about leases to somebody who is no relay'
  if (type !== 'LEASEACTIVE' || (referee.alone.get(reply.ciaddr)?.ends ?? 0) > now) return undefined
  const row = referee.rows.get(reply.ciaddr)
  return row === undefined || row.expires + 60_000 < now || (row.client !== reply.mac && !row.untold && !row.client.startsWith('id:')) ? 'a lease that is none' : undefined
}

function wrongForm (segment: Segment, request: Packet, reply: Packet, type: string | undefined, asked: string | undefined, data: Buffer): string | undefined {
  if (reply.op !== 2) return 'not a reply'
  if (reply.xid !== request.xid || reply.mac !== request.mac || reply.htype !== request.htype || reply.giaddr !== request.giaddr) return 'for another exchange than it answers'
  if (!(asked === 'DISCOVER' ? type === 'OFFER' || type === 'ACK' : asked === 'REQUEST' ? type === 'ACK' || type === 'NAK' : asked === 'INFORM' && type === 'ACK')) return `${type} for ${asked}`
  if (readIp(reply.options.get(option.serverId)) === undefined) return 'without a server identifier'
  const [relay, clientId] = [request.options.get(option.relay), request.options.get(option.clientId)]
  if (relay !== undefined && request.giaddr !== 0 && relay.length <= 255 && !reply.options.get(option.relay)?.equals(relay)) return 'without what the relay wants back'
  if (clientId !== undefined && clientId.length < 64 && !reply.options.get(option.clientId)?.equals(clientId)) return 'without the client\'s id'
  const most = Math.max(548, maxSizeOf(request.options) - 28) + (relay === undefined ? 0 : relay.length + 2)
  return data.length > most ? `${data.length} bytes, ${most} is what the client takes` : segment.address === 0 ? 'from nowhere' : undefined
}

function wrongWay (request: Packet, type: string, port: number, address: string): string | undefined {
  const to = parseIp(address)
  if (request.giaddr !== 0) return port === 67 && to === request.giaddr ? undefined : 'past the relay'
  if (port !== 68) return `to port ${port}`
  return to === everybody || (type !== 'NAK' && to === request.ciaddr && to !== 0) ? undefined : `to ${address}`
}

function wrongLease (segment: Segment, request: Packet, reply: Packet, type: string, asked: string | undefined, referee: StoringReferee, now: number): string | undefined {
  if (type === 'NAK' || asked === 'INFORM') return reply.yiaddr === 0 && !reply.options.has(option.leaseTime) ? undefined : 'an address where none may be'
  const client = referee.clientOf(request)
  const objection = referee.objection(segment, reply.yiaddr, client, now, type === 'OFFER')
  if (objection !== undefined) return `${type} of ${objection}`
  const seconds = reply.options.get(option.leaseTime)?.readUInt32BE(0) ?? 0
  if (seconds <= 0) return 'a lease without an end'
  if (type === 'OFFER') return undefined
  const alone = referee.alone.get(reply.yiaddr)
  if (alone?.client === client && alone.ends + 1 >= now + seconds * 1000 - 60_000) return undefined
  const row = referee.rows.get(reply.yiaddr)
  if (row?.client !== client) return 'ACK of what is not stored'
  return row.expires + 1 < now + seconds * 1000 - 60_000 ? 'ACK of a longer lease than is stored' : undefined
}
