/** Foreign DHCP servers: the probe that makes them speak, what their answers tell, and which of them were heard lately. Pure: time is handed in. */
import { hasCode } from '../../../core/errors.ts'
import { ipText, parseIp } from '../v4/ipv4.ts'
import type { MessageType } from '../options/codes.ts'
import { messageName, messageType, option } from '../options/codes.ts'
import { readIp, readU8, u16, u8 } from '../options/values.ts'
import { broadcastFlag, decode, encode } from '../v4/packet.ts'
import type { Packet } from '../v4/packet.ts'
import type { Segment } from '../v4/segment.ts'

/** A server's word to a client, as it came over the wire. `server`: its server identifier, else the sender's address. */
export interface Word { readonly server: number, readonly mac: string, readonly type: MessageType, readonly offered: number }
/** `mac`: of the frame; that of the server, or of the last switch or relay before it. */
export interface Rogue { readonly vlan: string, readonly interface: string, readonly address: string, readonly mac: string }
interface Seen { readonly rogue: Rogue, at: number, told: number }

const ethernet = 14 // bytes of its header
const udp = 8
const mostKept = 64 // a liar may name any number of servers
const tellAgain = 60_000 // ms

// Type 0: no hardware address (RFC 2132 section 9.14). The address of the asking rack follows.
const mark = Buffer.from('\0bedplate-probe')

/** The rack that sent this probe; undefined when it is none. */
export function proberOf (packet: Packet): number | undefined {
  const id = packet.options.get(option.clientId)
  return id === undefined || id.length !== mark.length + 4 || id.compare(mark, 0, mark.length, 0, mark.length) !== 0 ? undefined : id.readUInt32BE(mark.length)
}
/** Whether a packet is a probe of this rack or one of its peers: those are not answered. Another installation's are. */
export function isOurProbe (segment: Segment, packet: Packet): boolean {
  const prober = proberOf(packet)
  return prober !== undefined && (prober === segment.address || segment.peers.includes(prober))
}

function sum (data: Buffer): number {
  let sum = 0
  for (let at = 0; at + 1 < data.length; at += 2) sum += data.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** A DISCOVER as a client would send it, as a whole Ethernet frame. The broadcast bit is set, so that everybody hears the answer. `mac`: of the interface, so that no switch objects. */
export function probeFrame (mac: string, rack: number, xid: number): Buffer {
  const id = Buffer.alloc(mark.length + 4)
  mark.copy(id)
  id.writeUInt32BE(rack, mark.length)
  const data = encode({
    op: 1, htype: 1, hops: 0, xid, secs: 10, flags: broadcastFlag, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, mac, sname: '', file: '',
    options: new Map([[option.messageType, u8(messageType.DISCOVER)], [option.clientId, id], [option.maxSize, u16(1472)], [option.parameterList, Buffer.of(option.subnetMask, option.router, option.dnsServers)]])
  })
  const frame = Buffer.alloc(ethernet + 20 + udp + data.length)
  frame.fill(0xff, 0, 6)
  frame.write(mac.replaceAll(':', ''), 6, 'hex')
  frame.writeUInt16BE(0x0800, 12)
  const ip = frame.subarray(ethernet, ethernet + 20)
  ip[0] = 0x45
  ip.writeUInt16BE(20 + udp + data.length, 2)
  ip[8] = 64
  ip[9] = 17
  ip.writeUInt32BE(0xffffffff, 16)
  ip.writeUInt16BE(sum(ip), 10)
  frame.writeUInt16BE(68, ethernet + 20)
  frame.writeUInt16BE(67, ethernet + 22)
  frame.writeUInt16BE(udp + data.length, ethernet + 24) // its checksum is left out, as IPv4 allows
  data.copy(frame, ethernet + 28)
  return frame
}

/** What a server says in this Ethernet frame; undefined when it is no OFFER, ACK or NAK to a client. Takes anything. */
export function readWord (frame: Buffer): Word | undefined {
  if (frame.length < ethernet + 20 || frame.readUInt16BE(12) !== 0x0800 || (frame[ethernet] as number) >>> 4 !== 4) return undefined
  const header = ((frame[ethernet] as number) & 15) * 4
  const at = ethernet + header
  if (header < 20 || frame.length < at + udp || frame[ethernet + 9] !== 17 || (frame.readUInt16BE(ethernet + 6) & 0x3fff) !== 0 || frame.readUInt16BE(at + 2) !== 68) return undefined
  const length = Math.min(frame.readUInt16BE(at + 4), frame.length - at)
  if (length < udp) return undefined
  try {
    const packet = decode(frame.subarray(at + udp, at + length))
    const type = messageName(readU8(packet.options.get(option.messageType)))
    if (packet.op !== 2 || (type !== 'OFFER' && type !== 'ACK' && type !== 'NAK')) return undefined
    return { server: readIp(packet.options.get(option.serverId)) ?? frame.readUInt32BE(ethernet + 12), mac: frame.toString('hex', 6, 12).replace(/(..)(?!$)/g, '$1:'), type, offered: packet.yiaddr }
  } catch (error) {
    if (hasCode(error, 'PACKET_INVALID')) return undefined
    throw error
  }
}

/** The foreign servers heard lately. One is forgotten when it has not been heard for `keep` ms. */
export class Rogues {
  private readonly keep: number
  private readonly seen = new Map<string, Seen>()

  constructor (keep: number) { this.keep = keep }

  /** Takes a word that was heard on a segment. Gives the server when it is foreign and it is time to report it; `now`: monotonic ms. */
  heard (segment: Segment, { server, mac }: Word, now: number): Rogue | undefined {
    if (server === segment.address || segment.peers.includes(server)) return undefined
    const key = `${segment.vlan} ${server} ${mac}`
    const known = this.seen.get(key)
    if (known !== undefined) {
      known.at = now
      if (now - known.told < tellAgain) return undefined
      known.told = now
      return known.rogue
    }
    if (this.list(now).length >= mostKept) return undefined
    const rogue = { vlan: segment.vlan, interface: segment.interface, address: ipText(server), mac }
    this.seen.set(key, { rogue, at: now, told: now })
    return rogue
  }

  /** Those heard within `keep`, in the order they were first heard. */
  list (now: number): readonly Rogue[] {
    for (const [key, { at }] of this.seen) if (now - at >= this.keep) this.seen.delete(key)
    return [...this.seen.values()].map(({ rogue }) => rogue)
  }

  /** Forgets those of segments where nobody looks for them any more, and those that turned out to be ours. */
  only (segments: ReadonlyMap<string, Segment>): void {
    for (const [key, { rogue: { vlan, address } }] of this.seen) {
      const segment = segments.get(vlan)
      const server = parseIp(address)
      if (segment === undefined || server === segment.address || segment.peers.includes(server)) this.seen.delete(key)
    }
  }
}

/** What an operator is told. */
export const rogueSentence = ({ vlan, interface: device, address, mac }: Rogue): string =>
  `A foreign DHCP server ${address} (MAC ${mac}) answers on VLAN ${vlan}, heard on ${device}. Find the switch port of that MAC and shut it; if the server is meant to give the addresses there, set the VLAN's mode to proxy`
