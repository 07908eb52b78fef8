/** What goes over the segment: DHCP messages, read from tcpdump as it writes them, with the kernel's times. */
import { once } from 'node:events'
import { ipText } from '../../plugins/dhcp/v4/ipv4.ts'
import { messageName, option } from '../../plugins/dhcp/options/codes.ts'
import type { MessageType } from '../../plugins/dhcp/options/codes.ts'
import { readIp, readU8 } from '../../plugins/dhcp/options/values.ts'
import { decode } from '../../plugins/dhcp/v4/packet.ts'
import type { Namespace } from '../kit/network.ts'
import { until } from '../kit/wait.ts'

export interface Message {
  readonly at: number // ms since the epoch
  readonly type: MessageType
  readonly mac: string
  /** The address it is about: what is given, or what a client has or asks for; empty when there is none. */
  readonly address: string
  readonly server: string // option 54
  readonly seconds: number // option 51
}

const header = 24 // bytes of a capture's own header; those of a record are 16

/** The DHCP message in an Ethernet frame; undefined when it holds none. */
export function messageOf (frame: Buffer, at: number): Message | undefined {
  if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 17) return undefined
  const udp = 14 + ((frame[14] ?? 0) & 15) * 4
  const packet = decode(frame.subarray(udp + 8, udp + frame.readUInt16BE(udp + 4)))
  const type = messageName(readU8(packet.options.get(option.messageType)))
  if (type === undefined) return undefined
  const seconds = packet.options.get(option.leaseTime)
  const address = packet.yiaddr || packet.ciaddr || readIp(packet.options.get(option.requestedAddress)) || 0
  return { at, type, mac: packet.mac, address: address === 0 ? '' : ipText(address), server: ipText(readIp(packet.options.get(option.serverId)) ?? 0), seconds: seconds?.length === 4 ? seconds.readUInt32BE(0) : 0 }
}

/** Takes whole records off the front of a capture; what is left is the beginning of the next. */
export function records (data: Buffer): { readonly frames: readonly { readonly at: number, readonly frame: Buffer }[], readonly rest: Buffer } {
  const frames: { at: number, frame: Buffer }[] = []
  let from = 0
  while (data.length >= from + 16) {
    const length = data.readUInt32LE(from + 8)
    if (data.length < from + 16 + length) break
    frames.push({ at: data.readUInt32LE(from) * 1000 + data.readUInt32LE(from + 4) / 1000, frame: data.subarray(from + 16, from + 16 + length) })
    from += 16 + length
  }
  return { frames, rest: data.subarray(from) }
}

/** Listens on `device` from now on; resolves once it does. The list grows as messages come. */
export async function capture (namespace: Namespace, device: string): Promise<readonly Message[]> {
  const heard: Message[] = []
  const child = namespace.spawn(['tcpdump', '-i', device, '-U', '--immediate-mode', '-s', '0', '-w', '-', 'udp port 67 or udp port 68'], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let listening = ''
  child.stderr?.on('data', (chunk: Buffer) => { listening += chunk.toString() })
  let rest = Buffer.alloc(0)
  let begun = false
  child.stdout?.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    if (!begun && rest.length < header) return
    if (!begun) { begun = true; rest = rest.subarray(header) }
    const taken = records(rest)
    rest = Buffer.from(taken.rest)
    for (const { at, frame } of taken.frames) {
      const message = messageOf(frame, at)
      if (message !== undefined) heard.push(message)
    }
  })
  const ended = once(child, 'exit').then(() => { if (!begun) throw new Error(`tcpdump ended: ${listening}`) })
  await Promise.race([ended, until(() => listening.includes('listening on'), { what: 'tcpdump listens' })])
  return heard
}
