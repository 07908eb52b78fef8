/** How a command ends: SAM-5 statuses, and why it failed as fixed-format sense data (SPC-4 sections 4.5.3 and 4.5.6). */

/** SAM-5 section 5.3.1. */
export const status = { good: 0x00, checkCondition: 0x02, conditionMet: 0x04, busy: 0x08, reservationConflict: 0x18, taskSetFull: 0x28 } as const

/** Sense keys: SPC-4 section 4.5.6 table 48. */
export const senseKey = { none: 0, notReady: 2, mediumError: 3, hardwareError: 4, illegalRequest: 5, unitAttention: 6, dataProtect: 7, aborted: 0xb, miscompare: 0xe } as const

export interface Sense {
  readonly key: number
  /** Additional code in the upper byte, its qualifier in the lower. */
  readonly code: number
  /** Of a miscompare: the first byte that differs. */
  readonly information?: number
  /** The field of the command (`cdb`) or of its parameters at fault, as an offset in bytes. SPC-4 section 4.5.2.4.2 */
  readonly field?: { readonly in: 'cdb' | 'parameters', readonly byte: number }
}

const illegal = (code: number): Sense => ({ key: senseKey.illegalRequest, code })
/** SPC-4 annex F. */
export const sense = {
  invalidOpcode: illegal(0x2000),
  outOfRange: illegal(0x2100),
  invalidField: (byte?: number): Sense => ({ ...illegal(0x2400), ...byte === undefined ? {} : { field: { in: 'cdb', byte } } }),
  invalidInParameters: (byte?: number): Sense => ({ ...illegal(0x2600), ...byte === undefined ? {} : { field: { in: 'parameters', byte } } }),
  parameterListLength: illegal(0x1a00),
  noUnit: illegal(0x2500),
  invalidRelease: illegal(0x2604),
  removalPrevented: illegal(0x5302),
  writeProtected: { key: senseKey.dataProtect, code: 0x2700 },
  softwareProtected: { key: senseKey.dataProtect, code: 0x2702 },
  readError: { key: senseKey.mediumError, code: 0x1100 },
  writeError: { key: senseKey.mediumError, code: 0x0c00 },
  spaceFull: { key: senseKey.dataProtect, code: 0x2707 },
  noMedium: { key: senseKey.notReady, code: 0x3a00 },
  stopped: { key: senseKey.notReady, code: 0x0402 },
  miscompare: (information: number): Sense => ({ key: senseKey.miscompare, code: 0x1d00, information }),
  unexpectedData: { key: senseKey.aborted, code: 0x0c0c },
  wrongAmount: { key: senseKey.aborted, code: 0x0c0d },
  digest: { key: senseKey.aborted, code: 0x4705 },
  tooMuch: { key: senseKey.illegalRequest, code: 0x5503 }, // insufficient resources
  // unit attentions
  reset: { key: senseKey.unitAttention, code: 0x2903 },
  modeChanged: { key: senseKey.unitAttention, code: 0x2a01 },
  reservationsPreempted: { key: senseKey.unitAttention, code: 0x2a03 },
  reservationsReleased: { key: senseKey.unitAttention, code: 0x2a04 },
  registrationsPreempted: { key: senseKey.unitAttention, code: 0x2a05 },
  capacityChanged: { key: senseKey.unitAttention, code: 0x2a09 }
} as const satisfies Record<string, Sense | ((...any: never[]) => Sense)>

/** Ends a command otherwise than well. Not an Error: nobody wants its stack, and a hostile initiator can cause very many. */
export class Failure {
  readonly status: number
  readonly sense: Sense | undefined
  constructor (ended: Sense | number) {
    this.status = typeof ended === 'number' ? ended : status.checkCondition
    this.sense = typeof ended === 'number' ? undefined : ended
  }
}

/** Fixed format, 18 bytes. */
export function senseData ({ key, code, information, field }: Sense): Buffer {
  const bytes = Buffer.alloc(18)
  bytes[0] = 0x70 | (information === undefined ? 0 : 0x80)
  bytes[2] = key
  if (information !== undefined) bytes.writeUInt32BE(information, 3)
  bytes[7] = 10
  bytes.writeUInt16BE(code, 12)
  if (field !== undefined) {
    bytes[15] = 0x80 | (field.in === 'cdb' ? 0x40 : 0)
    bytes.writeUInt16BE(field.byte, 16)
  }
  return bytes
}
