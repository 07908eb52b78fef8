/**
 * How an RMCP+ session begins: Open Session and RAKP 1 to 4, for the console and for the managed system, and the keys that come of it.
 * IPMI 2.0 sections 13.17 to 13.24, 13.31 and 13.32. Pure. Decoders give undefined for what is too short.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { u32 } from './bytes.ts'
import { suiteOf, type Authentication, type Suite } from './ciphers.ts'

export const passwordLength = 20
export const userLength = 16
/** Bit 4 of the role: the BMC looks the user up by name alone, not by name and privilege level. 13.20 */
export const nameOnly = 0x10

/** Algorithm numbers, as proposed and as chosen. */
export interface OpenRequest { readonly tag: number, readonly privilege: number, readonly consoleId: number, readonly authentication: number, readonly integrity: number, readonly confidentiality: number }
/** With a `status` other than 0 the rest is not said, by some BMCs not even which session it is about. */
export type OpenResponse = { readonly tag: number, readonly status: number, readonly consoleId: number | undefined } & Partial<{ readonly privilege: number, readonly systemId: number, readonly authentication: number, readonly integrity: number, readonly confidentiality: number }>
export interface Rakp1 { readonly tag: number, readonly systemId: number, readonly random: Buffer, readonly role: number, readonly user: Buffer }
export interface Rakp2 { readonly tag: number, readonly status: number, readonly consoleId: number, readonly random: Buffer, readonly guid: Buffer, readonly code: Buffer }
export interface Rakp3 { readonly tag: number, readonly status: number, readonly systemId: number, readonly code: Buffer }
export interface Rakp4 { readonly tag: number, readonly status: number, readonly consoleId: number, readonly code: Buffer }

const algorithms = (authentication: number, integrity: number, confidentiality: number): Buffer[] => [authentication, integrity, confidentiality].map((number, kind) => Buffer.of(kind, 0, 0, 8, number, 0, 0, 0))
const algorithmAt = (bytes: Buffer, at: number): number => (bytes[at + 4] ?? 0) & 0x3f

export const encodeOpenRequest = ({ tag, privilege, consoleId, authentication, integrity, confidentiality }: OpenRequest): Buffer => Buffer.concat([Buffer.of(tag, privilege, 0, 0), u32(consoleId), ...algorithms(authentication, integrity, confidentiality)])
export function decodeOpenRequest (bytes: Buffer): OpenRequest | undefined {
  if (bytes.length < 32) return undefined
  return { tag: bytes[0] ?? 0, privilege: (bytes[1] ?? 0) & 0x0f, consoleId: bytes.readUInt32LE(4), authentication: algorithmAt(bytes, 8), integrity: algorithmAt(bytes, 16), confidentiality: algorithmAt(bytes, 24) }
}

export function encodeOpenResponse ({ tag, status, consoleId = 0, privilege = 0, systemId = 0, authentication = 0, integrity = 0, confidentiality = 0 }: OpenResponse): Buffer {
  const head = Buffer.concat([Buffer.of(tag, status, privilege, 0), u32(consoleId)])
  return status === 0 ? Buffer.concat([head, u32(systemId), ...algorithms(authentication, integrity, confidentiality)]) : head
}
export function decodeOpenResponse (bytes: Buffer): OpenResponse | undefined {
  if (bytes.length < 2) return undefined
  const [tag = 0, status = 0, privilege = 0] = bytes
  const consoleId = bytes.length < 8 ? undefined : bytes.readUInt32LE(4)
  if (status !== 0) return { tag, status, consoleId }
  if (bytes.length < 36) return undefined
  return { tag, status, consoleId, privilege: privilege & 0x0f, systemId: bytes.readUInt32LE(8), authentication: algorithmAt(bytes, 12), integrity: algorithmAt(bytes, 20), confidentiality: algorithmAt(bytes, 28) }
}

export const encodeRakp1 = ({ tag, systemId, random, role, user }: Rakp1): Buffer => Buffer.concat([Buffer.of(tag, 0, 0, 0), u32(systemId), random, Buffer.of(role, 0, 0, user.length), user])
export function decodeRakp1 (bytes: Buffer): Rakp1 | undefined {
  const length = bytes[27]
  if (length === undefined || length > userLength || bytes.length < 28 + length) return undefined
  return { tag: bytes[0] ?? 0, systemId: bytes.readUInt32LE(4), random: bytes.subarray(8, 24), role: bytes[24] ?? 0, user: bytes.subarray(28, 28 + length) }
}

const none = Buffer.alloc(0)
export const encodeRakp2 = ({ tag, status, consoleId, random, guid, code }: Rakp2): Buffer => Buffer.concat([Buffer.of(tag, status, 0, 0), u32(consoleId), ...(status === 0 ? [random, guid, code] : [])])
export function decodeRakp2 (bytes: Buffer): Rakp2 | undefined {
  if (bytes.length < 8) return undefined
  const [tag = 0, status = 0] = bytes
  const consoleId = bytes.readUInt32LE(4)
  if (status !== 0) return { tag, status, consoleId, random: none, guid: none, code: none }
  if (bytes.length < 40) return undefined
  return { tag, status, consoleId, random: bytes.subarray(8, 24), guid: bytes.subarray(24, 40), code: bytes.subarray(40) }
}

export const encodeRakp3 = ({ tag, status, systemId, code }: Rakp3): Buffer => Buffer.concat([Buffer.of(tag, status, 0, 0), u32(systemId), status === 0 ? code : none])
export function decodeRakp3 (bytes: Buffer): Rakp3 | undefined {
  if (bytes.length < 8) return undefined
  return { tag: bytes[0] ?? 0, status: bytes[1] ?? 0, systemId: bytes.readUInt32LE(4), code: bytes.subarray(8) }
}
export const encodeRakp4 = ({ tag, status, consoleId, code }: Rakp4): Buffer => Buffer.concat([Buffer.of(tag, status, 0, 0), u32(consoleId), status === 0 ? code : none])
export function decodeRakp4 (bytes: Buffer): Rakp4 | undefined {
  if (bytes.length < 8) return undefined
  return { tag: bytes[0] ?? 0, status: bytes[1] ?? 0, consoleId: bytes.readUInt32LE(4), code: bytes.subarray(8) }
}

/** What both sides know after RAKP 2. `role`: the whole byte of RAKP 1. `guid`: as the managed system sent it. */
export interface Exchange { readonly consoleId: number, readonly systemId: number, readonly consoleRandom: Buffer, readonly systemRandom: Buffer, readonly guid: Buffer, readonly role: number, readonly user: Buffer }

const hmac = ({ hash }: Authentication, key: Buffer, ...parts: readonly Buffer[]): Buffer => hash === undefined ? none : createHmac(hash, key).update(Buffer.concat(parts)).digest()
const roleAndUser = ({ role, user }: Exchange): Buffer[] => [Buffer.of(role, user.length), user]

/** Proves that the managed system knows the password. `password`: up to 20 bytes. 13.21 */
export const rakp2Code = (authentication: Authentication, password: Buffer, exchange: Exchange): Buffer => hmac(authentication, password, u32(exchange.consoleId), u32(exchange.systemId), exchange.consoleRandom, exchange.systemRandom, exchange.guid, ...roleAndUser(exchange))
/** Proves that the console does. 13.22 */
export const rakp3Code = (authentication: Authentication, password: Buffer, exchange: Exchange): Buffer => hmac(authentication, password, exchange.systemRandom, u32(exchange.consoleId), ...roleAndUser(exchange))
/** Proves that the managed system came to the same key. 13.23 */
export const rakp4Code = (authentication: Authentication, sik: Buffer, exchange: Exchange): Buffer => hmac(authentication, sik, exchange.consoleRandom, u32(exchange.systemId), exchange.guid).subarray(0, authentication.check)

/** The session integrity key. `key`: K_g, or the password where the BMC has none. 13.31 */
export const sessionKey = (authentication: Authentication, key: Buffer, exchange: Exchange): Buffer => hmac(authentication, key, exchange.consoleRandom, exchange.systemRandom, ...roleAndUser(exchange))
/** K1 signs, K2 (its first 16 bytes) encrypts. The constants have 20 bytes with every hash. 13.32 */
export const additionalKeys = (authentication: Authentication, sik: Buffer): { readonly k1: Buffer, readonly k2: Buffer } => ({ k1: hmac(authentication, sik, Buffer.alloc(20, 1)), k2: hmac(authentication, sik, Buffer.alloc(20, 2)) })

/** Takes the same time wherever they differ. */
export const equal = (left: Buffer, right: Buffer): boolean => left.length === right.length && timingSafeEqual(left, right)
/** The suite a console asks for, undefined where it is none that is known. */
export const suiteAsked = ({ authentication, integrity, confidentiality }: OpenRequest): Suite | undefined => suiteOf(authentication, integrity, confidentiality)
