/**
 * Connected UDP sockets, and many blocks in one system call (sendmsg with UDP_SEGMENT): what Node's own socket does not do. And that takes 64 KiB of new memory for each
 * datagram it receives, which is much for an ACK of four bytes. For 64-bit Linux; elsewhere there is none, and the plain way does it all.
 */
import { endianness } from 'node:os'
import { systemPoll } from '../../../core/poll.ts'
import type { Watch } from '../../../core/poll.ts'

/** The system as the wire needs it; a test may stand in for it. */
export interface System {
  /** A non-blocking socket at a free port of `local`, which names its zone when link-local; or -errno. */
  bound(local: string): number
  /** Makes `remote` the only one it hears, and sends to. 0, or the errno. */
  connect(fd: number, remote: { readonly address: string, readonly port: number }): number
  close(fd: number): void
  /** One datagram into `bytes`, cut to them: its length, or -errno. */
  receive(fd: number, bytes: Buffer): number
  /** Calls `ready` when there is something to receive, an error too. */
  watch(fd: number, ready: () => void): Watch
  layout(): Layout
  /** Whether the kernel knows UDP_SEGMENT. One that does not (before 4.18) may pass over the control message, and send a whole train as one datagram. */
  segments(fd: number): boolean
  /** Sends the first `count` vectors of a layout, as datagrams of `segment` bytes each (0: as one). 0, or the errno. */
  send(fd: number, layout: Layout, count: number, segment: number): number
  /** Where a piece of memory lies. It stays there as long as something holds it. */
  addressOf(bytes: ArrayBufferView): number
}
/** A message in the making. It stays where it is, and is used over and over. */
export interface Layout {
  /** struct iovec: four numbers each, the address (low, high) and the length. */
  readonly vectors: Uint32Array
  /** struct msghdr. */
  readonly header: Buffer
  /** struct cmsghdr. */
  readonly control: Buffer
}

/** Vectors of one message, UIO_MAXIOV: far more than a train of 64 blocks has, each a header and seldom more than one piece of data. */
const mostVectors = 1024

const [AF_INET, AF_INET6] = [2, 10]
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000
const [SOL_SOCKET, SO_SNDBUF, SO_SNDBUFFORCE] = [1, 7, 32]
const [SOL_UDP, UDP_SEGMENT] = [17, 103]
const MSG_DONTWAIT = 0x40
const sendBuffer = 1 << 21 // bytes: two of the largest windows
const controls = { size: 24, used: 18 } as const // struct cmsghdr (16) with one 16-bit number, padded (CMSG_SPACE) and not (CMSG_LEN)

let loaded: Promise<System | undefined> | undefined
/** The calls of this system; undefined where there are none. */
export const systemCalls = (): Promise<System | undefined> => loaded ??= process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch) || endianness() !== 'LE'
  ? Promise.resolve(undefined)
  : Promise.all([import('koffi'), systemPoll()]).then(([{ default: koffi }, poll]): System | undefined => {
    if (poll === undefined) return undefined
    const library = koffi.load(null)
    const socket = library.func('int socket(int, int, int)')
    const bind = library.func('int bind(int, const void *, uint)')
    const connect = library.func('int connect(int, const void *, uint)')
    const close = library.func('int close(int)')
    const recv = library.func('intptr_t recv(int, void *, size_t, int)')
    const setsockopt = library.func('int setsockopt(int, int, int, const void *, uint)')
    const getsockopt = library.func('int getsockopt(int, int, int, void *, void *)')
    const sendmsg = library.func('intptr_t sendmsg(int, void *, int)')
    const toBinary = library.func('int inet_pton(int, str, void *)')
    const interfaceOf = library.func('uint if_nametoindex(str)')
    const memset = library.func('uintptr_t memset(void *, int, size_t)')
    const known = new WeakMap<ArrayBufferLike, number>() // where the memory behind views begins

    const addressOf = (bytes: ArrayBufferView): number => {
      let start = known.get(bytes.buffer)
      if (start === undefined) {
        start = Number(memset(new Uint8Array(bytes.buffer), 0, 0)) // sets nothing, and answers with the address
        known.set(bytes.buffer, start)
      }
      return start + bytes.byteOffset
    }
    const nameOf = (text: string, port = 0): Buffer => {
      const [address = '', zone] = text.split('%')
      const family = address.includes(':') ? AF_INET6 : AF_INET
      const name = Buffer.alloc(family === AF_INET ? 16 : 28)
      name.writeUInt16LE(family, 0)
      name.writeUInt16BE(port, 2)
      toBinary(family, address, name.subarray(family === AF_INET ? 4 : 8))
      if (family === AF_INET6 && zone !== undefined) name.writeUInt32LE(/^\d+$/.test(zone) ? Number(zone) : interfaceOf(zone) as number, 24)
      return name
    }
    return {
      bound (local) {
        const name = nameOf(local)
        const fd = socket(name.readUInt16LE(0), SOCK_DGRAM_CLOEXEC_NONBLOCK, 0) as number
        if (fd < 0) return -koffi.errno()
        if (bind(fd, name, name.length) !== 0) {
          const errno = koffi.errno()
          close(fd)
          return -errno
        }
        const size = Buffer.from(Uint32Array.of(sendBuffer).buffer)
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, size, 4) !== 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, size, 4) // beyond the system's limit root alone may go
        return fd
      },
      connect (fd, { address, port }) {
        const name = nameOf(address, port)
        return connect(fd, name, name.length) === 0 ? 0 : koffi.errno()
      },
      close: fd => { close(fd) },
      receive (fd, bytes) {
        const length = recv(fd, bytes, bytes.length, MSG_DONTWAIT) as number
        return length < 0 ? -koffi.errno() : length
      },
      watch: (fd, ready) => poll(fd, true, false, ready),
      layout () {
        const [vectors, header, control] = [new Uint32Array(mostVectors * 4), Buffer.alloc(56), Buffer.alloc(controls.size)]
        header.writeBigUInt64LE(BigInt(addressOf(vectors)), 16)
        header.writeBigUInt64LE(BigInt(addressOf(control)), 32)
        control.writeUInt32LE(controls.used, 0)
        control.writeUInt32LE(SOL_UDP, 8)
        control.writeUInt32LE(UDP_SEGMENT, 12)
        return { vectors, header, control }
      },
      segments: fd => getsockopt(fd, SOL_UDP, UDP_SEGMENT, Buffer.alloc(4), Buffer.from(Uint32Array.of(4).buffer)) === 0,
      send (fd, layout, count, segment) {
        const { header } = layout
        header.writeUInt32LE(count, 24)
        header.writeUInt32LE(segment === 0 ? 0 : controls.size, 40)
        if (segment !== 0) layout.control.writeUInt16LE(segment, 16)
        return (sendmsg(fd, header, MSG_DONTWAIT) as number) < 0 ? koffi.errno() : 0
      },
      addressOf
    }
  }).catch(() => undefined) // a C library without these calls
