/**
 * What a logical unit is stored on. All calls are synchronous: reads of pages that are in memory are then almost three times as fast as through the thread pool, and a
 * stalled disk stalls the process of the target, which serves nothing else. Offsets and lengths are bytes, within `size`; who calls has checked that.
 */
export interface Disk {
  readonly size: number
  /** Fills `into` from `at`, `length` bytes. Throws DiskError. */
  read(offset: number, into: Buffer, at: number, length: number): void
  /** Throws DiskError; what was written before that is written. */
  write(offset: number, data: Buffer): void
  /** The range reads as zeros from now on, and takes as little room as can be. */
  discard(offset: number, length: number): void
  /** Whether anything was ever written to these bytes, as far as it is known; and how many more from there are alike. */
  mapped(offset: number): { readonly mapped: boolean, readonly length: number }
  /** What was written is on stable storage when it returns. */
  flush(): void
  /** Flushes what was not. Throws DiskError when that fails; it is closed all the same. */
  close(): void
}

/** Reading or writing failed; the message says why. */
export class DiskError extends Error { override readonly name = 'DiskError' }
