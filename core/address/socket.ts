/** The sockets Node has not: the kernel's routing socket, and a packet socket for whole Ethernet frames; and a multicast group joined. Every call returns at once. */
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
  /** Bytes that stay where they are until they are freed. */
  fixed(bytes: Uint8Array): { readonly address: bigint, free(): void }
}
/** An open socket. `receive` gives undefined when there is nothing (any more). Both throw UNAVAILABLE, also once it is closed, or PRIVILEGE_MISSING. */
export interface RawSocket {
  send(data: Uint8Array): void
  receive(): Uint8Array | undefined
  close(): void
}

// Linux numbers; the same on every architecture Node runs on but MIPS and SPARC.
const AF_INET = 2
const AF_INET6 = 10
const AF_NETLINK = 16
const AF_PACKET = 17
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const SOCK_NONBLOCK = 0o4000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_ATTACH_FILTER = 26
const IP_ADD_MEMBERSHIP = 35
const IPPROTO_IPV6 = 41
const IPV6_JOIN_GROUP = 20
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
    errno: () => koffi.errno(),
    fixed (bytes) {
      const pointer: unknown = koffi.alloc('uint8_t', bytes.length)
      new Uint8Array(koffi.view(pointer, bytes.length)).set(bytes)
      return { address: koffi.address(pointer), free: () => { koffi.free(pointer) } }
    }
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
  const check = (): void => { if (!open) throw fault(what, constants.errno.EBADF) } // its number may be another file's by now
  return {
    send (data) {
      check()
      if (c.send(fd, data, data.length, 0) < 0) throw fault(what, c.errno())
    },
    receive () {
      check()
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

/**
 * What lets through the frames of one protocol of IP (by its number) that came in on this very interface: the kernel also shows a socket of an interface what came in
 * for a VLAN on top of it, and what was sent. Each step: code, where to go on if so, if not (further steps), operand; the last but one lets through.
 */
function filterOf (link: number, etherType: number, protocol: number): Uint8Array {
  const ipv6 = 0x86dd
  const steps = [
    [0x20, 0, 0, 0xffff_f008], // the interface (SKF_AD_IFINDEX)
    [0x15, 0, 5, link],
    [0x20, 0, 0, 0xffff_f004], // to whom it is (SKF_AD_PKTTYPE)
    [0x15, 3, 0, 4], // sent by this host
    [0x30, 0, 0, etherType === ipv6 ? 20 : 23], // the protocol: of IPv6 directly after the header, since nothing we look for has extensions
    [0x15, 0, 1, protocol],
    [0x06, 0, 0, 0x4_0000],
    [0x06, 0, 0, 0]
  ] as const
  const bytes = new Uint8Array(steps.length * 8)
  steps.forEach(([code, yes, no, operand], index) => {
    bytes.set(new Uint8Array(Uint16Array.of(code).buffer), index * 8)
    bytes.set([yes, no], index * 8 + 2)
    bytes.set(new Uint8Array(Uint32Array.of(operand).buffer), index * 8 + 4)
  })
  return bytes
}

function attach (c: Libc, fd: number, filter: Uint8Array): number {
  const steps = c.fixed(filter)
  const program = new Uint8Array(16) // struct sock_fprog: how many steps, and where they are
  program.set(new Uint8Array(Uint16Array.of(filter.length / 8).buffer), 0)
  program.set(new Uint8Array(BigUint64Array.of(steps.address).buffer), 8)
  const result = c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length) // the kernel takes a copy
  steps.free()
  return result
}

/** Sends and receives whole frames of one EtherType on one interface (its index); `protocol`: hears only that protocol of IP, and not what this host sends. */
export async function openFrames (link: number, etherType: number, protocol?: number): Promise<RawSocket> {
  const c = await libc()
  const what = protocol === undefined ? 'Announcing an address' : `Speaking IP protocol ${protocol}`
  const fd = c.socket(AF_PACKET, SOCK_RAW_CLOEXEC | SOCK_NONBLOCK, 0) // 0: hears nothing until it is bound to what it is to hear
  if (fd < 0) throw fault(what, c.errno())
  const check = (result: number): void => {
    if (result === 0) return
    const error = fault(what, c.errno())
    c.close(fd)
    throw error
  }
  if (protocol !== undefined) check(attach(c, fd, filterOf(link, etherType, protocol)))
  const address = new DataView(new ArrayBuffer(20)) // struct sockaddr_ll
  const host = new Uint16Array([AF_PACKET])
  new Uint8Array(address.buffer).set(new Uint8Array(host.buffer), 0) // sa_family and the index are in the host's byte order
  address.setUint16(2, etherType)
  new Uint8Array(address.buffer).set(new Uint8Array(new Int32Array([link]).buffer), 4)
  check(c.bind(fd, new Uint8Array(address.buffer), 20))
  return wrap(c, fd, what, new Uint8Array(2048))
}

/** Has the interface hear what is sent to a multicast group, and tells switches so, until it is closed. A packet socket hears it then; no port is opened. */
export async function joinGroup (link: number, group: Uint8Array): Promise<{ close(): void }> {
  const c = await libc()
  const six = group.length === 16
  const fd = c.socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM_CLOEXEC, 0)
  if (fd < 0) throw fault('Joining a multicast group', c.errno())
  const index = new Uint8Array(new Int32Array([link]).buffer)
  const request = six ? Uint8Array.of(...group, ...index) : Uint8Array.of(...group, 0, 0, 0, 0, ...index) // struct ipv6_mreq, struct ip_mreqn
  if (c.setsockopt(fd, six ? IPPROTO_IPV6 : 0, six ? IPV6_JOIN_GROUP : IP_ADD_MEMBERSHIP, request, request.length) !== 0) {
    const error = fault('Joining a multicast group', c.errno())
    c.close(fd)
    throw error
  }
  let open = true
  return { close () { if (open) c.close(fd); open = false } }
}
