/** sendfile(2): the kernel gives pages of a file to a socket, and no byte comes into this process. For 64-bit Linux; elsewhere there is none, and the plain way does it all. */
import { systemPoll } from '../../../core/poll.ts'

/** The system as the senders need it; a test may stand in for it. */
export interface Calls {
  /**
   * Gives up to `count` bytes of the file, from `offset`, to a socket that does not block; on a thread of the pool, for a page that is not in memory blocks whoever waits for the
   * disk. Resolves with how many bytes the socket took; fewer than asked: it is full, or the file ends there. -1: nothing now, or an error, which the plain way will meet and name.
   */
  sendfile(socket: number, file: number, offset: number, count: number): Promise<number>
  /** A second descriptor of the same socket, -1 when there is none to be had. While a thread works on it the number cannot come to mean another connection. */
  duplicate(socket: number): number
  close(fd: number): void
  /** Waits at a descriptor for room; where the system has no such wait, what is written is what waits. */
  line?(fd: number): Line
}
/** The wait at one descriptor. */
export interface Line {
  /** Resolves once it takes bytes again, or never will. */
  room(): Promise<void>
  /** To be closed before the descriptor is. */
  close(): void
}

const F_DUPFD_CLOEXEC = 1030
/** Calls at once: one thread of the pool (four by default) is left for whoever else reads a file. */
const atOnce = 3

let loaded: Promise<Calls | undefined> | undefined

/** The calls of this system; undefined where there are none. */
export const systemCalls = (): Promise<Calls | undefined> => loaded ??= process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)
  ? Promise.resolve(undefined)
  : Promise.all([import('koffi'), systemPoll()]).then(([{ default: koffi }, poll]): Calls => {
    const library = koffi.load(null)
    const sendfile = library.func('int64 sendfile64(int, int, void *, size_t)')
    const fcntl = library.func('int fcntl(int, int, int)')
    const close = library.func('int close(int)')
    const waiting: (() => void)[] = []
    let busy = 0
    return {
      async sendfile (socket, file, offset, count) {
        if (busy < atOnce) busy++
        else await new Promise<void>(resolve => { waiting.push(resolve) })
        const place = BigInt64Array.of(BigInt(offset))
        return new Promise<number>((resolve, reject) => {
          sendfile.async(socket, file, place, count, (error: Error | null, taken: number | bigint) => {
            const next = waiting.shift()
            if (next === undefined) busy--
            else next()
            if (error === null) resolve(Number(taken))
            else reject(error)
          })
        })
      },
      ...poll === undefined
        ? {}
        : {
            line (fd: number) {
              let ready = (): void => {}
              const watch = poll(fd, false, false, () => { watch.want(false, false); ready() })
              return { room: () => new Promise<void>(resolve => { ready = resolve; watch.want(false, true) }), close: watch.close }
            }
          },
      duplicate: socket => fcntl(socket, F_DUPFD_CLOEXEC, 0) as number,
      close: fd => { close(fd) }
    }
  }).catch(() => undefined) // a C library without these calls
