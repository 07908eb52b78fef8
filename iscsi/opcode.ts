/** The numbers of iSCSI: opcodes, login stages and statuses, reasons. RFC 7143 sections 11.1 to 11.17, RFC 7144 section 5. */

/** From the initiator. 11.2.1.2. */
export const request = { nop: 0x00, command: 0x01, task: 0x02, login: 0x03, text: 0x04, dataOut: 0x05, logout: 0x06, snack: 0x10 } as const
/** From the target. */
export const response = { nop: 0x20, command: 0x21, task: 0x22, login: 0x23, text: 0x24, dataIn: 0x25, logout: 0x26, r2t: 0x31, async: 0x32, reject: 0x3f } as const

/** Bits of the first two bytes of a header. */
export const bit = { immediate: 0x40, final: 0x80, continue: 0x40, transit: 0x80, read: 0x40, write: 0x20 } as const

/** A tag that stands for none: target transfer tags, and the initiator's of what asks for no answer. */
export const reservedTag = 0xffffffff

/** CSG and NSG of a login. 11.12.3. */
export const stage = { security: 0, operational: 1, full: 3 } as const

/** Status class and detail of a login response in one number. 11.13.5. */
export const loginStatus = {
  success: 0x0000, initiatorError: 0x0200, authenticationFailed: 0x0201, forbidden: 0x0202, notFound: 0x0203, removed: 0x0204, versionUnsupported: 0x0205, tooManyConnections: 0x0206,
  missingParameter: 0x0207, cannotInclude: 0x0208, sessionTypeUnsupported: 0x0209, sessionDoesNotExist: 0x020a, invalidDuringLogin: 0x020b, targetError: 0x0300, unavailable: 0x0301, outOfResources: 0x0302
} as const

/** Why a PDU was rejected. 11.17.1. */
export const rejectReason = { dataDigest: 0x02, snack: 0x03, protocol: 0x04, unsupported: 0x05, immediateTooMany: 0x06, taskInProgress: 0x07, invalidDataAck: 0x08, invalidField: 0x09, outOfResources: 0x0a, waitingForLogout: 0x0c } as const

/** Functions of a task management request. 11.5.1, and RFC 7144 section 6.1. */
export const taskFunction = { abortTask: 1, abortTaskSet: 2, clearAca: 3, clearTaskSet: 4, logicalUnitReset: 5, targetWarmReset: 6, targetColdReset: 7, taskReassign: 8, queryTask: 9, queryTaskSet: 10, nexusReset: 11, queryAsyncEvent: 12 } as const
/** Its outcomes. 11.6.1, and RFC 7144 section 6.2. */
export const taskOutcome = { complete: 0, noTask: 1, noUnit: 2, stillAllegiant: 3, reassignUnsupported: 4, unsupported: 5, unauthorized: 6, succeeded: 7, rejected: 255 } as const

/** Why an initiator logs out, and what it is told. 11.14.1, 11.15.1. */
export const logoutReason = { session: 0, connection: 1, recovery: 2 } as const
export const logoutOutcome = { done: 0, noConnection: 1, recoveryUnsupported: 2, cleanupFailed: 3 } as const

/** Asynchronous events. 11.9.1. */
export const asyncEvent = { scsi: 0, logoutRequest: 1, dropConnection: 2, dropSession: 3, negotiate: 4, vendor: 255 } as const
