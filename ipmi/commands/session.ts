/** What a BMC can do, and how sessions begin and end: IPMI 2.0 sections 22.13 to 22.19. */
import { field, Reader, textOf, u32 } from '../bytes.ts'
import { netFn } from '../message.ts'
import { byte, nothing, type Command } from './command.ts'

export const thisChannel = 0x0e

/** `kg`: a K_g is set. `perMessage`: packets in a session have a code each (1.5). `v15`, `v20`: which versions of IPMI it talks over LAN. */
export interface AuthCapabilities {
  readonly channel: number
  readonly types: { readonly none: boolean, readonly md2: boolean, readonly md5: boolean, readonly password: boolean, readonly oem: boolean }
  readonly kg: boolean, readonly perMessage: boolean, readonly userLevel: boolean
  readonly users: { readonly named: boolean, readonly unnamed: boolean, readonly anonymous: boolean }
  readonly v15: boolean, readonly v20: boolean
  readonly oem: number // IANA's number of whoever defined what is its own, 0 for nobody
}
const bit = (value: boolean, number: number): number => value ? 1 << number : 0
const has = (byte: number, number: number): boolean => (byte >> number & 1) === 1

export const getAuthCapabilities: Command<{ readonly channel: number, readonly v20: boolean, readonly privilege: number }, AuthCapabilities> = {
  name: 'Get Channel Authentication Capabilities', netFn: netFn.app, command: 0x38,
  request: {
    encode: ({ channel, v20, privilege }) => Buffer.of(bit(v20, 7) | channel, privilege),
    decode: bytes => { const from = new Reader(bytes, 'Get Channel Authentication Capabilities'); const first = from.u8(); return { channel: first & 0x0f, v20: has(first, 7), privilege: from.u8() & 0x0f } }
  },
  response: {
    encode: ({ channel, types, kg, perMessage, userLevel, users, v15, v20, oem }) => Buffer.of(
      channel, bit(types.none, 0) | bit(types.md2, 1) | bit(types.md5, 2) | bit(types.password, 4) | bit(types.oem, 5) | bit(v20, 7),
      bit(users.anonymous, 0) | bit(users.unnamed, 1) | bit(users.named, 2) | bit(!userLevel, 3) | bit(!perMessage, 4) | bit(kg, 5),
      bit(v15, 0) | bit(v20, 1), oem & 0xff, oem >> 8 & 0xff, oem >> 16 & 0xff, 0),
    decode: bytes => {
      const from = new Reader(bytes, 'the answer to Get Channel Authentication Capabilities')
      const [channel, types, users, versions] = [from.u8(), from.u8(), from.u8(), from.u8()]
      const extended = has(types, 7) // else the byte of versions is reserved, and this is a BMC of 1.5
      return {
        channel: channel & 0x0f, types: { none: has(types, 0), md2: has(types, 1), md5: has(types, 2), password: has(types, 4), oem: has(types, 5) },
        kg: extended && has(users, 5), perMessage: !has(users, 4), userLevel: !has(users, 3), users: { named: has(users, 2), unnamed: has(users, 1), anonymous: has(users, 0) },
        v15: extended ? has(versions, 0) : true, v20: extended && has(versions, 1), oem: from.left >= 3 ? from.u24() : 0
      }
    }
  }
}

/** Cipher suites come in parts of 16 bytes, `index` says which; the last is shorter. 22.15 */
export const getCipherSuites: Command<{ readonly channel: number, readonly index: number }, { readonly channel: number, readonly part: Buffer }> = {
  name: 'Get Channel Cipher Suites', netFn: netFn.app, command: 0x54,
  request: {
    encode: ({ channel, index }) => Buffer.of(channel, 0x00, 0x80 | index), // payload IPMI, suites by their numbers
    decode: bytes => { const from = new Reader(bytes, 'Get Channel Cipher Suites'); const channel = from.u8() & 0x0f; from.u8(); return { channel, index: from.u8() & 0x3f } }
  },
  response: {
    encode: ({ channel, part }) => Buffer.concat([Buffer.of(channel), part]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get Channel Cipher Suites'); return { channel: from.u8() & 0x0f, part: from.rest() } }
  }
}
/** The numbers of the suites in the parts put together. A record is 0xc0, number, algorithms; one of an OEM 0xc1, number, three bytes, algorithms. */
export function suiteNumbers (bytes: Uint8Array): number[] {
  const numbers: number[] = []
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === 0xc0 && bytes[at + 1] !== undefined) numbers.push(bytes[at + 1] ?? 0)
  return numbers
}
/** Algorithms are tagged by their two high bits: 00 authentication, 01 integrity, 10 confidentiality. 22.15.1 */
export const suiteRecord = (id: number, authentication: number, integrity: number, confidentiality: number): Buffer => Buffer.of(0xc0, id, authentication, 0x40 | integrity, 0x80 | confidentiality)

/** IPMI 1.5 only. `user`: up to 16 bytes. */
export const getSessionChallenge: Command<{ readonly authType: number, readonly user: string }, { readonly sessionId: number, readonly challenge: Buffer }> = {
  name: 'Get Session Challenge', netFn: netFn.app, command: 0x39,
  special: { 0x81: ['authentication', 'it does not know the user'], 0x82: ['authentication', 'it wants a user name'] },
  request: {
    encode: ({ authType, user }) => Buffer.concat([Buffer.of(authType), field(user, 16)]),
    decode: bytes => { const from = new Reader(bytes, 'Get Session Challenge'); return { authType: from.u8() & 0x0f, user: textOf(from.take(16)) } }
  },
  response: {
    encode: ({ sessionId, challenge }) => Buffer.concat([u32(sessionId), challenge]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Get Session Challenge'); return { sessionId: from.u32(), challenge: from.take(16) } }
  }
}

/** IPMI 1.5 only. `sequence`: what the answering side begins with. */
export const activateSession: Command<{ readonly authType: number, readonly privilege: number, readonly challenge: Buffer, readonly sequence: number }, { readonly authType: number, readonly sessionId: number, readonly sequence: number, readonly privilege: number }> = {
  name: 'Activate Session', netFn: netFn.app, command: 0x3a,
  special: {
    0x81: ['busy', 'it has no session left'], 0x82: ['busy', 'it has no session left for this user'], 0x83: ['busy', 'it has no session left at this privilege level'], 0x84: ['refused', 'the sequence number is out of range'],
    0x85: ['busy', 'it does not know the session any more'], 0x86: ['authentication', 'the user may not have this privilege level']
  },
  request: {
    encode: ({ authType, privilege, challenge, sequence }) => Buffer.concat([Buffer.of(authType, privilege), challenge, u32(sequence)]),
    decode: bytes => { const from = new Reader(bytes, 'Activate Session'); return { authType: from.u8() & 0x0f, privilege: from.u8() & 0x0f, challenge: from.take(16), sequence: from.u32() } }
  },
  response: {
    encode: ({ authType, sessionId, sequence, privilege }) => Buffer.concat([Buffer.of(authType), u32(sessionId), u32(sequence), Buffer.of(privilege)]),
    decode: bytes => { const from = new Reader(bytes, 'the answer to Activate Session'); return { authType: from.u8() & 0x0f, sessionId: from.u32(), sequence: from.u32(), privilege: from.u8() & 0x0f } }
  }
}

/** Sessions begin at the level `user`; this raises it. Answers with the level there is then. */
export const setPrivilege: Command<number, number> = {
  name: 'Set Session Privilege Level', netFn: netFn.app, command: 0x3b,
  special: { 0x80: ['authentication', 'the user may not have this privilege level'], 0x81: ['authentication', 'this privilege level is not to be had over LAN'], 0x82: ['refused', 'it would have to close the session'] },
  request: byte('Set Session Privilege Level'), response: byte('the answer to Set Session Privilege Level')
}

/** `sessionId`: the managed system's. */
export const closeSession: Command<number, void> = {
  name: 'Close Session', netFn: netFn.app, command: 0x3c, special: { 0x87: ['refused', 'it does not know the session'], 0x88: ['refused', 'it does not know the session handle'] },
  request: { encode: u32, decode: bytes => new Reader(bytes, 'Close Session').u32() }, response: nothing
}
/** Section 22.16: how many sessions there are, with which users. Only the counts are read here. */
export const getSessionInfo: Command<void, { readonly possible: number, readonly active: number }> = {
  name: 'Get Session Info', netFn: netFn.app, command: 0x3d,
  request: { encode: () => Buffer.of(0), decode: () => undefined },
  response: { encode: ({ possible, active }) => Buffer.of(0, possible, active), decode: bytes => { const from = new Reader(bytes, 'the answer to Get Session Info'); from.u8(); return { possible: from.u8() & 0x3f, active: from.u8() & 0x3f } } }
}
