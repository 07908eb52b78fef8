/** What all connections have under way together, so that many of them hold no more memory than a few. Bytes. */
export class Traffic {
  /** Given to sockets, and not yet to the kernel. */
  queued = 0
  /** Of writes that wait for their data, and of what is kept about each. */
  waiting = 0
  readonly mostWaiting: number
  readonly mostQueued: number
  /** ms: a login that takes longer is given up. */
  readonly loginPatience: number | undefined

  constructor ({ mostWaiting = 256 << 20, mostQueued = 256 << 20, loginPatience }: { readonly mostWaiting?: number, readonly mostQueued?: number, readonly loginPatience?: number | undefined } = {}) {
    this.mostWaiting = mostWaiting
    this.mostQueued = mostQueued
    this.loginPatience = loginPatience
  }

  /** How much one connection may have queued before no further commands are read from it: plenty, until there are many that do not read. */
  get backlog (): number { return this.queued < this.mostQueued ? 4 << 20 : 128 << 10 }
}
