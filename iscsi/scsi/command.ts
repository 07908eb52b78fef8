/** What a command asks for and what comes of it, between the transport and a logical unit. Types only. */

/** An initiator's port at this target: reservations and unit attentions are kept by it. SAM-5 section 4.7. */
export interface Nexus {
  /** Unique, and the same when the same initiator logs in anew: its name and its session identifier, as `name,i,0x…`. */
  readonly id: string
}

/** Nothing to transfer, GOOD. */
export interface Done { readonly kind: 'done', /** Another one than GOOD, such as CONDITION MET. */ readonly status?: number }
/** Bytes for the initiator, already cut at the allocation length. */
export interface Give { readonly kind: 'give', readonly data: Buffer }
/** Bytes of the medium for the initiator; within it. */
export interface Read { readonly kind: 'read', readonly offset: number, readonly length: number }
/** Bytes from the initiator: how many the command speaks of, and what to do with those that came, at most as many. `take` throws Failure. */
export interface Accept { readonly kind: 'accept', readonly length: number, /** More or less than that is refused. */ readonly exact?: true, readonly take: (data: Buffer) => Done | Give }
export type Result = Done | Give | Read | Accept

export const done: Done = { kind: 'done' }
export const give = (data: Buffer, allocated: number): Give => ({ kind: 'give', data: data.length > allocated ? data.subarray(0, allocated) : data })
