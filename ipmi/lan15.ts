/** IPMI 1.5 over LAN: session header and authentication code. IPMI 2.0 sections 13.6 and 22.17.1. Pure. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { field } from './bytes.ts'
import { rmcpClass, rmcpLength, writeRmcp } from './rmcp.ts'

/** Section 13.6. MD2 and OEM types are not done. `plus` marks a packet of RMCP+ (lanplus.ts). */
export const authType = { none: 0, md5: 2, password: 4, plus: 6 } as const
/** Passwords are 16 bytes here, and are cut to them. */
export const password15Length = 16

/** `message`: the IPMI message. `code` is there unless the type is none. `sequence` and `sessionId` are 0 outside a session. */
export interface Packet15 { readonly authType: number, readonly sequence: number, readonly sessionId: number, readonly code?: Buffer, readonly message: Buffer }

/** The whole datagram. `password` is needed for the types that have a code. */
export function encode15 ({ authType: type, sequence, sessionId, message }: Omit<Packet15, 'code'>, password: string | Uint8Array = ''): Buffer {
  const coded = type !== authType.none
  const header = rmcpLength + 9 + (coded ? 16 : 0)
  const packet = Buffer.allocUnsafe(header + 1 + message.length)
  writeRmcp(packet, rmcpClass.ipmi)
  packet[4] = type
  packet.writeUInt32LE(sequence, 5)
  packet.writeUInt32LE(sessionId, 9)
  if (coded) packet.set(codeOf(type, field(password, password15Length), sequence, sessionId, message), 13)
  packet[header] = message.length
  packet.set(message, header + 1)
  return packet
}

/** Undefined for what is no packet of IPMI 1.5. A byte behind the message, which some senders need, is passed over. */
export function decode15 (packet: Buffer): Packet15 | undefined {
  const type = packet[4]
  if (type === undefined || type === authType.plus || packet.length < 14) return undefined
  const [sequence, sessionId] = [packet.readUInt32LE(5), packet.readUInt32LE(9)]
  const header = rmcpLength + 9 + (type === authType.none ? 0 : 16)
  const length = packet[header]
  if (length === undefined || packet.length < header + 1 + length) return undefined
  const message = packet.subarray(header + 1, header + 1 + length)
  return type === authType.none ? { authType: type, sequence, sessionId, message } : { authType: type, sequence, sessionId, code: packet.subarray(13, 29), message }
}

/** Whether the packet's code was made with this password. True for a packet without one: whoever needs a code looks at `authType`. */
export function verify15 ({ authType: type, sequence, sessionId, code, message }: Packet15, password: string | Uint8Array): boolean {
  if (code === undefined) return true
  if (type !== authType.md5 && type !== authType.password) return false
  return timingSafeEqual(code, codeOf(type, field(password, password15Length), sequence, sessionId, message))
}

function codeOf (type: number, password: Buffer, sequence: number, sessionId: number, message: Buffer): Buffer {
  if (type === authType.password) return password
  const [id, number] = [Buffer.allocUnsafe(4), Buffer.allocUnsafe(4)]
  id.writeUInt32LE(sessionId)
  number.writeUInt32LE(sequence)
  return createHash('md5').update(password).update(id).update(message).update(number).update(password).digest()
}
