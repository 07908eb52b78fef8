/** What a client takes of an answer: whether it is still there and takes anything, and how its answer ends. */
import type { ServerResponse } from 'node:http'

export interface Outcome { readonly bytes: number, /** undefined: all of it was given to the connection. */ readonly failure?: string }
export interface Taking {
  /** Why it takes no more; undefined while it does. */
  readonly gone: string | undefined
  /** It takes no more. The first reason counts. */
  giveUp(why: string): void
  /** It has taken something. */
  took(): void
  /** Resolves once the connection has taken the bytes, which may be used again then; or with the client gone. */
  write(bytes: Uint8Array): Promise<void>
  /** Resolves with `work`, or with the client gone. Never rejects. */
  orGone(work: Promise<void>): Promise<void>
  /** Watches no more. */
  stop(): void
  /** Ends an answer of which `bytes` were given to the connection, cut when they are not `whole`: nothing else tells a client that its answer is not. */
  end(bytes: number, whole: boolean): Promise<Outcome>
}

/** Watches the client of an answer whose head was written. One that takes nothing for `patience` ms is gone. */
export function taking (response: ServerResponse, patience: number): Taking {
  let gone: string | undefined
  let leave = (): void => {}
  const left = new Promise<void>(resolve => { leave = resolve })
  const giveUp = (why: string): void => { gone ??= why; leave() }
  const closed = (): void => giveUp('the client closed the connection')
  response.once('close', closed)
  const stall = setTimeout(() => giveUp(`the client took nothing for ${patience / 1000} s`), patience).unref()
  const orGone = (work: Promise<void>): Promise<void> => Promise.race([work.catch(closed), left])
  return {
    get gone () { return gone },
    giveUp,
    took () { stall.refresh() },
    write: bytes => orGone(new Promise((resolve, reject) => {
      response.write(bytes, error => { if (error === null || error === undefined) resolve(); else reject(error) })
    })),
    orGone,
    stop () {
      clearTimeout(stall)
      response.off('close', closed)
    },
    async end (bytes, whole) {
      if (!whole) { response.destroy(); return { bytes, failure: gone ?? 'it ended early' } }
      if (!response.destroyed) await new Promise<void>(resolve => { response.once('close', resolve); response.end(resolve) }) // a client that has all of it may leave before this is told
      return { bytes }
    }
  }
}
