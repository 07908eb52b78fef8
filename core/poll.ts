/**
 * Waiting for a descriptor with Node's own event loop. Node's sockets do the same, but read for whoever waits, 64 KiB of new memory at a time, and wait for room only with bytes
 * of theirs in hand. Where koffi has no such call there is none: its guide does not tell of it yet.
 */

export interface Watch {
  /** What to call for from now on. */
  want(readable: boolean, writable: boolean): void
  /** To be called before the descriptor is closed. */
  close(): void
}
/** Calls `ready` when there is something to receive, an error too, or room to send, whichever is wanted, for as long as it is so. `fd` is a socket that does not block. */
export type Poll = (fd: number, readable: boolean, writable: boolean, ready: () => void) => Watch

let settling = false
/** Has the promises settled that a call from outside of Node's own tasks resolves. */
const settleSoon = (): void => {
  if (settling) return
  settling = true
  setImmediate(() => { settling = false })
}

let loaded: Promise<Poll | undefined> | undefined
/** The call of this system; undefined where there is none. */
export const systemPoll = (): Promise<Poll | undefined> => loaded ??= import('koffi').then(({ default: koffi }): Poll | undefined => typeof koffi.node?.poll !== 'function'
  ? undefined
  : (fd, readable, writable, ready) => {
      const wanted = { readable, writable }
      let open = true
      const called = (status: unknown): void => {
        settleSoon()
        try { ready() } catch (error) { setImmediate(() => { throw error }) }
        if (open && typeof status === 'number' && status < 0) start() // after an error it has stopped
      }
      const handle = koffi.node.poll(fd, wanted, called)
      const start = (): void => {
        if (wanted.readable || wanted.writable) handle.start(wanted, called)
        else handle.stop()
      }
      if (!readable && !writable) start()
      return {
        want (readable, writable) {
          if (!open || (wanted.readable === readable && wanted.writable === writable)) return
          wanted.readable = readable
          wanted.writable = writable
          start()
        },
        close () {
          if (!open) return
          open = false
          handle.close()
        }
      }
    }).catch(() => undefined)
