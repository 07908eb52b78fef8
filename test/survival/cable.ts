/** What goes over a rack's cable between it and the machine: frames with content, read from tcpdump as it writes them. */
import { once } from 'node:events'
import type { Namespace } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import { records } from '../wire/capture.ts'

/** A frame that carries something for a program: no bare acknowledgements, no DHCP. */
export interface Seen {
  readonly at: number // ms since the epoch, the kernel's
  readonly rack: string // whose cable it went over
  readonly from: 'rack' | 'machine'
  readonly protocol: 'tcp' | 'udp'
  /** The rack's. */
  readonly port: number
  readonly bytes: number // of content
  /** The beginning of the content. */
  readonly text: string
}

const header = 24 // bytes of a capture's own header
const shown = 1024 // bytes of each frame that are looked at: a report with its HTTP head is shorter

/** Content in an Ethernet frame with IPv4; undefined when it holds none. `mac` is the machine's, with colons. */
export function seenIn (frame: Buffer, at: number, rack: string, mac: string): Seen | undefined {
  if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800) return undefined
  const own = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const from = frame.subarray(6, 12).equals(own) ? 'machine' : frame.subarray(0, 6).equals(own) ? 'rack' : undefined
  const protocol = frame[23] === 6 ? 'tcp' : frame[23] === 17 ? 'udp' : undefined
  if (from === undefined || protocol === undefined) return undefined
  const ip = ((frame[14] ?? 0) & 15) * 4
  const above = 14 + ip
  if (frame.length < above + (protocol === 'tcp' ? 20 : 8)) return undefined
  const own4 = protocol === 'tcp' ? ((frame[above + 12] ?? 0) >> 4) * 4 : 8
  // a frame that the card would cut into packets later may be longer than its length field can say: 0 then
  const bytes = (frame.readUInt16BE(16) || 65536) - ip - own4
  if (bytes <= 0) return undefined
  const port = frame.readUInt16BE(above + (from === 'rack' ? 0 : 2))
  return { at, rack, from, protocol, port, bytes, text: frame.subarray(above + own4).toString('latin1') }
}

/** Tells of every frame with content between the rack and the machine from now on; resolves once it listens. */
export async function watchCable (namespace: Namespace, device: string, rack: string, mac: string, heard: (seen: Seen) => void): Promise<void> {
  const content = 'ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0'
  const child = namespace.spawn(['tcpdump', '-i', device, '-U', '--immediate-mode', '-s', String(shown), '-w', '-', `ether host ${mac} and ((udp and not port 67 and not port 68) or (tcp and ${content}))`], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
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
      const seen = seenIn(frame, at, rack, mac)
      if (seen !== undefined) heard(seen)
    }
  })
  const ended = once(child, 'exit').then(() => { if (!begun) throw new Error(`tcpdump ended: ${listening}`) })
  await Promise.race([ended, until(() => listening.includes('listening on'), { what: 'tcpdump listens' })])
}
