/** What stands before a simulated BMC and can hold back what it answers. */

/** A gate is listened to at `port`, the same one again after `shut` and `open`. */
export interface Gate {
  readonly port: number
  /** From now on answers on the connections there are wait until `release`; those on new connections pass. */
  hold(): void
  release(): void
  shut(): Promise<void>
  open(): Promise<void>
}
