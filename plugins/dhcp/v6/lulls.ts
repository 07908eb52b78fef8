/** Counts how often nothing waited in the sockets: what is read after such a moment had not come before it, however long this process was paused in between. */
export class Lulls {
  /** So many times so far, of those somebody waited for. */
  count = 0
  private readonly later: (look: () => void) => void
  private read = 0
  private looking = false

  /** @param later runs something once the sockets have been looked at again; a timer would not do, two may be due without a look in between */
  constructor (later: (look: () => void) => void = look => { setImmediate(look) }) { this.later = later }

  /** A datagram was read. */
  heard (): void { this.read++ }

  /** The next one is to be counted, and is not one that has begun already. */
  watch (): void {
    this.read++
    if (this.looking) return
    this.looking = true
    this.look(-1)
  }

  /** A whole turn of the event loop in which nothing was read: every socket was empty. */
  private look (before: number): void {
    this.later(() => {
      if (this.read !== before) { this.look(this.read); return }
      this.looking = false
      this.count++
    })
  }
}
