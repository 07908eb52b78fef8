/** An open session: numbers what goes out, verifies what comes in. Knows no socket and no clock. IPMI 2.0 sections 6.12.12, 6.12.13 and 22.17. */
import type { Suite } from '../ciphers.ts'
import { authType, decode15, encode15, verify15 } from '../lan15.ts'
import { createProtection, decodePlus, payloadType } from '../lanplus.ts'
import { decodeMessage, encodeMessage, type Decoded, type Message } from '../message.ts'

export interface Session {
  /** Which of IPMI's versions it speaks. */
  readonly version: '1.5' | '2.0'
  /** What packets to this side carry. */
  readonly id: number
  /** What the BMC calls it: for Close Session. */
  readonly systemId: number
  /** The datagram, with a sequence number of its own: a repetition is sealed anew, or the BMC takes it for a replay. */
  seal(message: Message): Buffer
  /** The message, once: undefined for what is not signed as it should be, comes again, or is out of the window. */
  open(datagram: Buffer): Decoded | undefined
}

/** Sequence numbers that were seen, and which may come: `ahead` of the highest, or up to as many behind it and not seen. */
export function createWindow (ahead: number): (sequence: number) => boolean {
  let highest: number | undefined
  let seen = 0 // bit n: the highest - n
  return sequence => {
    if (sequence === 0) return false
    if (highest === undefined) { highest = sequence; seen = 1; return true }
    const step = sequence - highest | 0 // modulo 2^32, so that it goes on after the last number
    if (step > ahead || step <= -ahead) return false
    if (step > 0) { seen = seen << step | 1; highest = sequence; return true }
    const bit = 1 << -step
    if ((seen & bit) !== 0) return false
    seen |= bit
    return true
  }
}
const next = (sequence: number): number => (sequence + 1 >>> 0) || 1

export function createSession20 ({ suite, consoleId, systemId, k1, k2, random }: { readonly suite: Suite, readonly consoleId: number, readonly systemId: number, readonly k1: Buffer, readonly k2: Buffer, readonly random: (bytes: number) => Uint8Array }): Session {
  const protection = createProtection(suite, k1, k2, random)
  const fresh = createWindow(16)
  let sequence = 0
  return {
    version: '2.0', id: consoleId, systemId,
    seal (message) {
      sequence = next(sequence)
      return protection.seal(payloadType.ipmi, systemId, sequence, encodeMessage(message))
    },
    open (datagram) {
      const packet = decodePlus(datagram)
      if (packet === undefined || packet.sessionId !== consoleId || packet.payloadType !== payloadType.ipmi) return undefined
      const payload = protection.open(datagram, packet)
      // Only what was signed may move the window.
      return payload === undefined || (suite.integrity.hash !== undefined && !fresh(packet.sequence)) ? undefined : decodeMessage(payload)
    }
  }
}

/** `sequence`: the first to use. `perMessage`: answers have a code each. */
export function createSession15 ({ type, perMessage, sessionId, sequence: first, password }: { readonly type: number, readonly perMessage: boolean, readonly sessionId: number, readonly sequence: number, readonly password: Buffer }): Session {
  const fresh = createWindow(8)
  const coded = perMessage ? type : authType.none
  let sequence = first
  return {
    version: '1.5', id: sessionId, systemId: sessionId,
    seal (message) {
      const number = sequence
      sequence = next(sequence)
      return encode15({ authType: coded, sequence: number, sessionId, message: encodeMessage(message) }, password)
    },
    open (datagram) {
      const packet = decode15(datagram)
      if (packet === undefined || packet.sessionId !== sessionId || packet.authType !== coded || !verify15(packet, password)) return undefined
      return fresh(packet.sequence) ? decodeMessage(packet.message) : undefined
    }
  }
}
