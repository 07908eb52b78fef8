/** Questions whether an address is in use, and their answers, as bytes: ARP probes (RFC 5227 section 2.1.1) and ICMP echo (RFC 792). Pure. */

const ethernet = 14 // bytes of its header
const arp = 28

/** Six bytes of `02:00:00:00:00:01`, or undefined when it is none. */
export function macBytes (mac: string): Buffer | undefined {
  const bytes = Buffer.from(mac.trim().replaceAll(':', ''), 'hex')
  return bytes.length === 6 ? bytes : undefined
}

/** Who has `address`? From nobody (0.0.0.0), so that no cache learns anything from it. A whole Ethernet frame. */
export function arpProbe (mac: Buffer, address: number): Buffer {
  const frame = Buffer.alloc(60) // the smallest frame
  frame.fill(0xff, 0, 6)
  mac.copy(frame, 6)
  frame.writeUInt16BE(0x0806, 12)
  frame.writeUInt16BE(1, ethernet) // Ethernet
  frame.writeUInt16BE(0x0800, ethernet + 2) // IPv4
  frame.set([6, 4], ethernet + 4)
  frame.writeUInt16BE(1, ethernet + 6) // a question
  mac.copy(frame, ethernet + 8)
  frame.writeUInt32BE(address, ethernet + 24)
  return frame
}

/** Who an ARP frame says has which address: an answer, or a question of one that has it. A probe (from 0.0.0.0) says nothing; neither does what is damaged. */
export function arpHolder (frame: Buffer): { readonly address: number, readonly mac: string } | undefined {
  if (frame.length < ethernet + arp || frame.readUInt16BE(12) !== 0x0806) return undefined
  const operation = frame.readUInt16BE(ethernet + 6)
  if (frame.readUInt16BE(ethernet) !== 1 || frame.readUInt16BE(ethernet + 2) !== 0x0800 || frame[ethernet + 4] !== 6 || frame[ethernet + 5] !== 4 || (operation !== 1 && operation !== 2)) return undefined
  const address = frame.readUInt32BE(ethernet + 14)
  return address === 0 ? undefined : { address, mac: frame.toString('hex', ethernet + 8, ethernet + 14).replace(/(..)(?!$)/g, '$1:') }
}

/** The Internet checksum (RFC 1071). */
export function checksum (data: Buffer): number {
  let sum = 0
  for (let at = 0; at < data.length; at += 2) sum += ((data[at] as number) << 8) | (data[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** An ICMP echo request; the kernel puts the IP header before it. */
export function echoRequest (id: number, sequence: number): Buffer {
  const data = Buffer.alloc(16)
  data[0] = 8
  data.writeUInt16BE(id, 4)
  data.writeUInt16BE(sequence, 6)
  data.writeUInt16BE(checksum(data), 2)
  return data
}

/** Who answered an echo request with this id: the source of an IPv4 packet that holds its reply. */
export function echoHolder (packet: Buffer, id: number): number | undefined {
  const header = ((packet[0] ?? 0) & 15) * 4
  if ((packet[0] ?? 0) >>> 4 !== 4 || header < 20 || packet.length < header + 8 || packet[9] !== 1 || packet[header] !== 0 || packet.readUInt16BE(header + 4) !== id) return undefined
  return packet.readUInt32BE(12)
}
