/** Tells systemd how the start and stop go (sd_notify(3)): datagrams on a unix socket, which Node itself cannot send. */
import { endianness } from 'node:os'
import { reasonOf } from './errors.ts'
import type { Logger } from './log.ts'

/** Sends lines such as `READY=1`; does nothing when systemd did not start us. Never throws: nobody's start depends on it. */
export type Notify = (...lines: readonly string[]) => void

/** `path` is NOTIFY_SOCKET: a path, or an abstract name after `@`. */
export async function createNotify (path: string | undefined, log: Logger): Promise<Notify> {
  if (path === undefined || path === '') return () => {}
  try {
    const { default: koffi } = await import('koffi')
    const libc = koffi.load(null)
    const socket = libc.func('int socket(int domain, int type, int protocol)') as (domain: number, type: number, protocol: number) => number
    const sendto = libc.func('long sendto(int fd, const void *buffer, size_t length, int flags, const void *address, uint32_t size)') as (fd: number, buffer: Buffer, length: number, flags: number, address: Buffer, size: number) => number
    const close = libc.func('int close(int fd)') as (fd: number) => number
    const name = Buffer.from(path)
    if (path.startsWith('@')) name[0] = 0
    const address = Buffer.concat([familyUnix(), name, ...(path.startsWith('@') ? [] : [Buffer.alloc(1)])])
    return (...lines) => {
      const text = Buffer.from(lines.map(line => line.replaceAll('\n', ' ')).join('\n'))
      const fd = socket(1, 2 | closeOnExec, 0) // AF_UNIX, SOCK_DGRAM
      if (fd < 0) return
      if (sendto(fd, text, text.length, dontWait, address, address.length) < 0) log.debug('systemd was not told')
      close(fd)
    }
  } catch (error) {
    log.warn({ err: error }, `systemd cannot be told of the start: ${reasonOf(error)}`)
    return () => {}
  }
}

const closeOnExec = 0o2000000
const dontWait = 0x40
const familyUnix = (): Buffer => endianness() === 'LE' ? Buffer.from([1, 0]) : Buffer.from([0, 1])
