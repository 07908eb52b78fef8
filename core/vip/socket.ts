/** The two sockets Node has not: the kernel's routing socket, and a packet socket for whole Ethernet frames. Every call returns at once. */
import { constants } from 'node:os'
import { BedplateError } from '../errors.ts'

interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number
  send(fd: number, data: Uint8Array, length: number, flags: number): number
  recv(fd: number, data: Uint8Array, length: number, flags: number): number
  close(fd: number): number
  errno(): number
}
/** An open socket. `receive` gives undefined when there is nothing (any more). Both throw UNAVAILABLE or PRIVILEGE_MISSING. */
export interface RawSocket {
  send(data: Uint8Array): void
  receive(): Uint8Array | undefined
  close(): void
}

// Linux numbers; the same on every architecture Node runs on but MIPS and SPARC.
const AF_NETLINK = 16
const AF_PACKET = 17
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOCK_NONBLOCK = 0o4000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const patience = 1 // s for the kernel's answer, which it has ready when `send` returns

let loaded: Promise<Libc> | undefined
const libc = (): Promise<Libc> => loaded ??= import('koffi').then(({ default: koffi }) => {
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, const void *, uint)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint)'),
    send: library.func('long send(int, const void *, size_t, int)'),
    recv: library.func('long recv(int, void *, size_t, int)'),
    close: library.func('int close(int)'),
    errno: () => koffi.errno()
  }
})

/** The error of a failed system call, with the errno's name in `details.name`. */
export function fault (what: string, errno: number): BedplateError {
  const name = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`
  if (name === 'EPERM' || name === 'EACCES') return new BedplateError('PRIVILEGE_MISSING', { what, remedy: 'run as root, or with CAP_NET_ADMIN and CAP_NET_RAW (AmbientCapabilities= in the unit).', name })
  return new BedplateError('UNAVAILABLE', { reason: `${what} failed with ${name}.`, name })
}

function wrap (c: Libc, fd: number, what: string, buffer: Uint8Array): RawSocket {
  let open = true
  return {
    send (data) { if (c.send(fd, data, data.length, 0) < 0) throw fault(what, c.errno()) },
    receive () {
      const length = c.recv(fd, buffer, buffer.length, 0)
      if (length >= 0) return buffer.slice(0, length)
      const errno = c.errno()
      if (errno === constants.errno.EAGAIN || errno === constants.errno.EINTR) return undefined
      throw fault(what, errno)
    },
    close () { if (open) c.close(fd); open = false }
  }
}

/** A routing socket; `receive` waits for the kernel, which answers what was sent at once. */
export async function openRouting (): Promise<RawSocket> {
  const c = await libc()
  const fd = c.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0)
  if (fd < 0) throw fault('The routing socket', c.errno())
  const timeout = new BigInt64Array([BigInt(patience), 0n])
  c.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, new Uint8Array(timeout.buffer), 16)
  return wrap(c, fd, 'Changing an interface\'s addresses', new Uint8Array(65_536))
}

/** Sends and receives whole frames of one EtherType on one interface (its index). */
export async function openFrames (link: number, etherType: number): Promise<RawSocket> {
  const c = await libc()
  const fd = c.socket(AF_PACKET, SOCK_RAW_CLOEXEC | SOCK_NONBLOCK, 0) // 0: hears nothing until it is bound to what it is to hear
  if (fd < 0) throw fault('Announcing an address', c.errno())
  const address = new DataView(new ArrayBuffer(20)) // struct sockaddr_ll
  const host = new Uint16Array([AF_PACKET])
  new Uint8Array(address.buffer).set(new Uint8Array(host.buffer), 0) // sa_family and the index are in the host's byte order
  address.setUint16(2, etherType)
  new Uint8Array(address.buffer).set(new Uint8Array(new Int32Array([link]).buffer), 4)
  if (c.bind(fd, new Uint8Array(address.buffer), 20) !== 0) {
    const error = fault('Announcing an address', c.errno())
    c.close(fd)
    throw error
  }
  return wrap(c, fd, 'Announcing an address', new Uint8Array(2048))
}
