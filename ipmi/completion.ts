/** Completion codes (IPMI 2.0 section 5.2) and RMCP+ status codes (13.24) as sentences, and what sort of failure they are. */
import { IpmiError, type IpmiErrorKind } from './error.ts'

export const completion = {
  ok: 0x00, busy: 0xc0, invalidCommand: 0xc1, invalidForLun: 0xc2, timeout: 0xc3, outOfSpace: 0xc4, reservationLost: 0xc5, requestTruncated: 0xc6, requestLength: 0xc7,
  fieldLength: 0xc8, outOfRange: 0xc9, tooManyBytes: 0xca, notPresent: 0xcb, invalidField: 0xcc, illegalForRecord: 0xcd, noResponse: 0xce, duplicate: 0xcf, updating: 0xd0,
  firmwareUpdate: 0xd1, initialising: 0xd2, unavailable: 0xd3, privilege: 0xd4, notInThisState: 0xd5, disabled: 0xd6, unspecified: 0xff
} as const

const completions: Readonly<Record<number, readonly [IpmiErrorKind, string]>> = {
  0xc0: ['busy', 'it is busy'],
  0xc1: ['unsupported', 'it does not know the command'],
  0xc2: ['unsupported', 'it does not know the command at this unit'],
  0xc3: ['busy', 'it took too long for itself'],
  0xc4: ['refused', 'it has no space left'],
  0xc5: ['busy', 'the reservation was lost to somebody else'],
  0xc6: ['refused', 'the request is cut short'],
  0xc7: ['refused', 'the request has the wrong length'],
  0xc8: ['refused', 'a field is too long'],
  0xc9: ['refused', 'a parameter is out of range'],
  0xca: ['refused', 'it cannot return that many bytes'],
  0xcb: ['refused', 'what was asked for is not there'],
  0xcc: ['refused', 'the request has an invalid field'],
  0xcd: ['unsupported', 'the command is not for this sensor or record'],
  0xce: ['busy', 'it has no answer now'],
  0xcf: ['busy', 'it took the request for a duplicate'],
  0xd0: ['busy', 'its sensor records are being updated'],
  0xd1: ['busy', 'its firmware is being updated'],
  0xd2: ['busy', 'it is still initialising'],
  0xd3: ['busy', 'what should answer is not available'],
  0xd4: ['authentication', 'the privilege level is too low for this, or its firewall forbids it'],
  0xd5: ['busy', 'it cannot do this in its present state'],
  0xd6: ['unsupported', 'this part of it is disabled'],
  0xff: ['busy', 'it gives no reason'] // many say so while they start, or are at something else
}
export const completionText = (code: number): string => completions[code]?.[1] ?? `completion code 0x${code.toString(16).padStart(2, '0')}`

/** For what a BMC may do without: whether this error is its way of saying that it has no such thing. Some say so without a reason. */
export const isLacking = (error: unknown): boolean => error instanceof IpmiError && (error.kind === 'unsupported' || error.kind === 'refused' || error.code === completion.unspecified)

/** `special`: what the codes 0x80 to 0xbe mean for this command. */
export function completionError (what: string, code: number, special: Readonly<Record<number, readonly [IpmiErrorKind, string]>> = {}): IpmiError {
  const [kind, text] = special[code] ?? completions[code] ?? ['refused', completionText(code)]
  return new IpmiError(kind, `${what}: ${text} (0x${code.toString(16).padStart(2, '0')})`, code)
}

export const status = {
  ok: 0x00, noResources: 0x01, invalidSession: 0x02, invalidPayload: 0x03, invalidAuthentication: 0x04, invalidIntegrity: 0x05, noMatchingAuthentication: 0x06, noMatchingIntegrity: 0x07,
  inactiveSession: 0x08, invalidRole: 0x09, privilege: 0x0a, noSessionAtLevel: 0x0b, nameLength: 0x0c, unknownUser: 0x0d, unknownKey: 0x0e, integrityCheck: 0x0f, confidentiality: 0x10, noMatchingSuite: 0x11, parameter: 0x12
} as const
const statuses: Readonly<Record<number, readonly [IpmiErrorKind, string]>> = {
  0x01: ['busy', 'it has no session left'],
  0x02: ['busy', 'it does not know the session any more'],
  0x03: ['unsupported', 'it does not take this kind of payload'],
  0x04: ['unsupported', 'it does not do this authentication algorithm'],
  0x05: ['unsupported', 'it does not do this integrity algorithm'],
  0x06: ['unsupported', 'it has no such authentication payload'],
  0x07: ['unsupported', 'it has no such integrity payload'],
  0x08: ['busy', 'the session is not active'],
  0x09: ['authentication', 'the user may not have this privilege level'],
  0x0a: ['authentication', 'the user may not have this privilege level'],
  0x0b: ['busy', 'it has no session left at this privilege level'],
  0x0c: ['authentication', 'the user name has a length it does not take'],
  0x0d: ['authentication', 'it does not know the user, or the user may not have this privilege level'],
  0x0e: ['authentication', 'it does not know the key'],
  0x0f: ['authentication', 'the password or the key (K_g) is wrong'],
  0x10: ['unsupported', 'it does not do this confidentiality algorithm'],
  0x11: ['unsupported', 'it does not offer this cipher suite'],
  0x12: ['refused', 'a parameter is illegal or not known']
}
export const statusText = (code: number): string => statuses[code]?.[1] ?? `RMCP+ status 0x${code.toString(16).padStart(2, '0')}`
export function statusError (what: string, code: number): IpmiError {
  return new IpmiError(statuses[code]?.[0] ?? 'refused', `${what}: ${statusText(code)} (0x${code.toString(16).padStart(2, '0')})`, code)
}
