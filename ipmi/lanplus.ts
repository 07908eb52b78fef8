/**
 * RMCP+: session header, integrity trailer, AES-CBC-128. IPMI 2.0 sections 13.6, 13.28 and 13.29. Pure but for the random bytes it is given.
 * Packets outside a session are `encodePlus` and `decodePlus`; those in one go through its `Protection`, on either side.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import type { Suite } from './ciphers.ts'
import { rmcpClass, rmcpLength, writeRmcp } from './rmcp.ts'

/** Section 13.27.3. */
export const payloadType = { ipmi: 0x00, openRequest: 0x10, openResponse: 0x11, rakp1: 0x12, rakp2: 0x13, rakp3: 0x14, rakp4: 0x15 } as const
const plus = 0x06
const encryptedBit = 0x80
const authenticatedBit = 0x40
const header = rmcpLength + 12
const nextHeader = 0x07

/** `sequence` and `sessionId` are 0 outside a session. `payload` is still encrypted where `encrypted` says so. */
export interface PlusPacket { readonly payloadType: number, readonly encrypted: boolean, readonly authenticated: boolean, readonly sessionId: number, readonly sequence: number, readonly payload: Buffer }

/** A datagram outside a session, or in one that has neither integrity nor confidentiality. */
export function encodePlus (type: number, payload: Uint8Array, sessionId = 0, sequence = 0): Buffer {
  const packet = Buffer.allocUnsafe(header + payload.length)
  writeHeader(packet, type, sessionId, sequence, payload.length)
  packet.set(payload, header)
  return packet
}

/** What the header says; nothing is verified yet. Undefined for what is no RMCP+ packet, and for OEM payloads. */
export function decodePlus (packet: Buffer): PlusPacket | undefined {
  if (packet.length < header || packet[4] !== plus) return undefined
  const type = packet[5] ?? 0
  const length = packet.readUInt16LE(14)
  if ((type & 0x3f) === 2 || packet.length < header + length) return undefined
  return { payloadType: type & 0x3f, encrypted: (type & encryptedBit) !== 0, authenticated: (type & authenticatedBit) !== 0, sessionId: packet.readUInt32LE(6), sequence: packet.readUInt32LE(10), payload: packet.subarray(header, header + length) }
}

/** One session's keys at work. */
export interface Protection {
  /** The whole datagram. */
  seal(payloadType: number, sessionId: number, sequence: number, payload: Uint8Array): Buffer
  /** The payload in the clear; undefined unless the datagram is signed and encrypted as the suite says and its signature is right. Sequence numbers are the caller's to judge. */
  open(datagram: Buffer, packet: PlusPacket): Buffer | undefined
}

/** `k1` and `k2` from rakp.ts; `random` gives that many fresh random bytes. */
export function createProtection ({ integrity, confidentiality }: Suite, k1: Buffer, k2: Buffer, random: (bytes: number) => Uint8Array): Protection {
  const key = createSecretKey(k1) // made once: a key given as bytes is imported anew for every packet, six times the cost of the HMAC
  const signature = (bytes: Buffer): Buffer => createHmac(integrity.hash ?? 'sha1', key).update(bytes).digest()
  const cipher = confidentiality.aes ? createAes(k2.subarray(0, 16)) : undefined
  const flags = (cipher ? encryptedBit : 0) | (integrity.hash ? authenticatedBit : 0)

  return {
    seal (type, sessionId, sequence, payload) {
      const sealed = cipher === undefined ? payload.length : cipher.lengthOf(payload.length)
      // From the authentication type to the next header it is a multiple of four: 13.28.4
      const pad = integrity.hash ? -(sealed + 2) & 0x03 : 0
      const packet = Buffer.allocUnsafe(header + sealed + (integrity.hash ? pad + 2 + integrity.length : 0))
      writeHeader(packet, type | flags, sessionId, sequence, sealed)
      if (cipher === undefined) packet.set(payload, header)
      else cipher.encrypt(payload, packet, header, random(16))
      if (integrity.hash) {
        let at = header + sealed
        for (let count = 0; count < pad; count++) packet[at++] = 0xff
        packet[at++] = pad
        packet[at++] = nextHeader
        packet.set(signature(packet.subarray(rmcpLength, at)).subarray(0, integrity.length), at)
      }
      return packet
    },
    open (datagram, { authenticated, encrypted, payload }) {
      if (authenticated !== (integrity.hash !== undefined) || encrypted !== (cipher !== undefined)) return undefined
      if (integrity.hash) {
        const end = datagram.length - integrity.length
        // The pad is as its length says, whatever length: some BMCs round otherwise.
        if (end < header + payload.length + 2 || datagram[end - 1] !== nextHeader || end - 2 - (datagram[end - 2] ?? 0) !== header + payload.length) return undefined
        if (!timingSafeEqual(signature(datagram.subarray(rmcpLength, end)).subarray(0, integrity.length), datagram.subarray(end))) return undefined
      }
      return cipher === undefined ? payload : cipher.decrypt(payload)
    }
  }
}

function writeHeader (packet: Buffer, type: number, sessionId: number, sequence: number, length: number): void {
  writeRmcp(packet, rmcpClass.ipmi)
  packet[4] = plus
  packet[5] = type
  packet.writeUInt32LE(sessionId, 6)
  packet.writeUInt32LE(sequence, 10)
  packet.writeUInt16LE(length, 14)
}

/**
 * CBC made of ECB by hand, because a cipher in ECB mode is stateless and serves a whole session: making one in CBC mode for each packet costs twenty times
 * what the one or two blocks of a message do.
 */
function createAes (key: Buffer): { lengthOf(length: number): number, encrypt(payload: Uint8Array, packet: Buffer, at: number, iv: Uint8Array): void, decrypt(payload: Buffer): Buffer | undefined } {
  const encryptor = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  const decryptor = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  const block = Buffer.alloc(16)
  return {
    lengthOf: length => 16 + (length + 16 & ~15),
    encrypt (payload, packet, at, iv) {
      packet.set(iv, at)
      let before: Uint8Array = iv
      for (let from = 0; from <= payload.length; from += 16) {
        for (let index = 0; index < 16; index++) {
          const place = from + index
          // Pad bytes count from 1, the last byte says how many there are: 13.29.2
          const clear = place < payload.length ? payload[place] ?? 0 : index === 15 ? 15 - payload.length % 16 : place - payload.length + 1
          block[index] = clear ^ (before[index] ?? 0)
        }
        before = encryptor.update(block)
        packet.set(before, at + 16 + from)
      }
    },
    decrypt (payload) {
      if (payload.length < 32 || payload.length % 16 !== 0) return undefined
      const clear = decryptor.update(payload.subarray(16))
      for (let index = 0; index < clear.length; index++) clear[index] = (clear[index] ?? 0) ^ (payload[index] ?? 0)
      const pad = clear[clear.length - 1] ?? 0
      if (pad > 15) return undefined
      for (let index = 1; index <= pad; index++) if (clear[clear.length - 2 - pad + index] !== index) return undefined
      return clear.subarray(0, clear.length - 1 - pad)
    }
  }
}
