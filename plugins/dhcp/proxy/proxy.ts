/** ProxyDHCP: what is answered on a VLAN where somebody else gives the addresses (PXE 2.1 section 2.2.3). Only what to boot, never an address. Pure. */
import type { Boot } from '../v4/boot-file.ts'
import { firmwareOf } from '../v4/classes.ts'
import { everybody, parseIp } from '../v4/ipv4.ts'
import { architectureOf, ipxeOf } from '../options/client.ts'
import { messageName, messageType, option } from '../options/codes.ts'
import { ip, readIp, readU8, text, u8 } from '../options/values.ts'
import { broadcastFlag } from '../v4/packet.ts'
import type { Packet } from '../v4/packet.ts'
import type { Target } from '../v4/reply.ts'
import { subnetsFor } from '../v4/segment.ts'
import type { Segment } from '../v4/segment.ts'

/** Where firmware asks whom a proxy told it to ask (PXE 2.1 section 2.2.4). */
export const bootPort = 4011

/** Where a packet came in, and from where. */
export interface Arrival { readonly port: 67 | typeof bootPort, readonly from: string, readonly fromPort: number }
export type ProxyAnswer = { readonly type: 'OFFER' | 'ACK', readonly reply: Packet, readonly to: Target }
export type ProxyDrop = 'not-a-request' | 'hardware' | 'foreign-relay' | 'other-server' | 'not-booting' | 'no-boot-file' | 'not-for-a-proxy'

const firstUefi = 6 // of the architectures of option 93; what is below boots as a BIOS does
// PXE 2.1, tag 6: take the boot file named here, with no boot server discovery.
const direct = Buffer.of(6, 1, 8, option.end)

/** What a client boots, or undefined where it does not boot from the network. */
export type Booting = (segment: Segment, packet: Packet) => Boot | undefined

/** The answer to one packet, or why there is none. Every rack answers, whatever its rank: all say the same, and a client takes one of them. */
export function proxyAnswer (segment: Segment, packet: Packet, bootOf: Booting, { port, from, fromPort }: Arrival): ProxyAnswer | ProxyDrop {
  if (packet.op !== 1) return 'not-a-request'
  if (packet.mac === '' || packet.mac.length > 47) return 'hardware'
  const type = messageName(readU8(packet.options.get(option.messageType)))
  const kind = type === 'DISCOVER' && port === 67 ? 'OFFER' : type === 'INFORM' || (type === 'REQUEST' && port === bootPort) ? 'ACK' : undefined
  if (kind === undefined) return 'not-for-a-proxy' // a REQUEST to port 67 is for whoever gives the addresses
  if (subnetsFor(segment, packet).length === 0) return 'foreign-relay'
  const server = readIp(packet.options.get(option.serverId))
  if (server !== undefined && server !== segment.address) return 'other-server'
  const boot = firmwareOf(packet.options) === undefined && ipxeOf(packet.options) === undefined ? undefined : bootOf(segment, packet)
  if (boot === undefined) return 'not-booting'
  if (boot.file === '' && !boot.options.has(option.configFile)) return 'no-boot-file'
  return { type: kind, reply: kind === 'OFFER' ? offer(segment, packet, boot) : answer(segment, packet, boot, true, 'ACK'), to: target(packet, kind, port, from, fromPort) }
}

/**
 * UEFI's PXE takes a proxy's boot file only from the proxy's port 4011, and asks there when the offer names none; a BIOS's and iPXE take it from the offer,
 * when that says that nobody need be asked. UEFI's HTTP boot takes it from the offer, too.
 */
function offer (segment: Segment, packet: Packet, boot: Boot): Packet {
  const uefi = (architectureOf(packet.options) ?? 0) >= firstUefi && firmwareOf(packet.options) === 'PXEClient' && ipxeOf(packet.options) === undefined
  return answer(segment, packet, boot, !uefi, 'OFFER')
}

function answer (segment: Segment, request: Packet, boot: Boot, file: boolean, type: 'OFFER' | 'ACK'): Packet {
  const options = new Map<number, Buffer>([[option.messageType, u8(messageType[type])], [option.serverId, ip(segment.address)]])
  options.set(option.vendorClass, boot.options.get(option.vendorClass) ?? text('PXEClient')) // without it nobody takes this for a proxy's
  const machineId = request.options.get(option.machineId)
  if (machineId !== undefined && machineId.length <= 32) options.set(option.machineId, machineId)
  const clientId = request.options.get(option.clientId)
  if (clientId !== undefined) options.set(option.clientId, clientId)
  if (file) {
    if (firmwareOf(request.options) !== 'HTTPClient') options.set(option.vendor, direct)
    if (boot.file !== '') options.set(option.bootFile, text(boot.file))
    const configuration = boot.options.get(option.configFile)
    if (configuration !== undefined) options.set(option.configFile, configuration)
    if (!boot.file.startsWith('http:')) options.set(option.tftpServer, boot.asked.get(option.tftpServer) ?? ip(boot.nextServer))
  }
  const relay = request.options.get(option.relay)
  if (relay !== undefined) options.set(option.relay, relay)
  return {
    op: 2, htype: request.htype, hops: 0, xid: request.xid, secs: 0, flags: type === 'OFFER' ? request.flags | broadcastFlag : request.flags,
    ciaddr: type === 'ACK' ? request.ciaddr : 0, yiaddr: 0, siaddr: boot.nextServer, giaddr: request.giaddr, mac: request.mac, sname: '',
    file: file && boot.file.length < 128 ? boot.file : '', options
  }
}

function target (request: Packet, kind: 'OFFER' | 'ACK', port: number, from: string, fromPort: number): Target {
  if (request.giaddr !== 0) return { address: request.giaddr, port: 67 }
  if (kind === 'OFFER') return { address: everybody, port: 68 }
  const sender = parseIp(from)
  if (port === bootPort && sender !== 0) return { address: sender, port: fromPort }
  return request.ciaddr === 0 ? { address: everybody, port: 68 } : { address: request.ciaddr, port: 68 }
}
