/** UDP sockets with the options Node cannot set: bound to one network device, broadcast and address reuse on before the bind. */
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { constants } from 'node:os'
import { createBatch } from './batch.ts'
import { BedplateError, reasonOf } from './errors.ts'

export interface DatagramOptions {
  readonly port: number
  readonly family?: 4 | 6 // 4 by default
  readonly address?: string // IPv4; all by default, and always with IPv6
  readonly device?: string // only what comes in there is received, and what is sent leaves there
  readonly groups?: readonly string[] // IPv6 multicast groups joined on the device
}
/** A bound socket. Narrow on purpose: a faster implementation may stand behind it. */
export interface Datagrams {
  readonly port: number
  send(data: Uint8Array, port: number, address: string): void // what cannot be sent is lost, as on the wire
  close(): Promise<void>
}
export interface DatagramEvents {
  received(data: Buffer, from: RemoteInfo): void
  failed(error: Error): void // the socket is of no more use
  lost(error: Error): void // one datagram could not be sent
}

interface Libc {
  socket(domain: number, type: number, protocol: number): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  close(fd: number): number
  errno(): number
}

// Linux numbers; the same on every architecture Node runs on but MIPS and SPARC.
const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_BROADCAST = 6
const SO_BINDTODEVICE = 25
const SO_RCVBUFFORCE = 33
const receiveBuffer = 4 * 1024 * 1024 // bytes: what comes while this process is busy for some milliseconds; root alone may have so many
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

let loaded: Promise<Libc> | undefined
const libc = (): Promise<Libc> => loaded ??= import('koffi').then(({ default: koffi }) => {
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint)'),
    bind: library.func('int bind(int, const void *, uint)'),
    close: library.func('int close(int)'),
    errno: () => koffi.errno()
  }
})

const errorName = (errno: number): string => Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`

function fault (step: string, errno: number, { port, device }: DatagramOptions): BedplateError {
  const what = `UDP port ${port}${device === undefined ? '' : ` on ${device}`}`
  const name = errorName(errno)
  if (name === 'EPERM' || name === 'EACCES') return new BedplateError('PRIVILEGE_MISSING', { what, remedy: 'run as root, or with CAP_NET_BIND_SERVICE and CAP_NET_RAW (AmbientCapabilities= in the unit).', name })
  if (name === 'EADDRINUSE') return new BedplateError('UNAVAILABLE', { reason: `${what} is in use by another program; stop it ("ss -ulpn sport = :${port}" names it).`, name })
  if (name === 'ENODEV') return new BedplateError('UNAVAILABLE', { reason: `there is no network interface ${device ?? ''} on this host.`, name })
  return new BedplateError('UNAVAILABLE', { reason: `${what} cannot be opened: ${step} failed with ${name}.`, name })
}

/** Makes a bound, non-blocking descriptor. Throws PRIVILEGE_MISSING or UNAVAILABLE, with the errno's name in `details.name`; nothing is left open then. */
async function descriptor (options: DatagramOptions): Promise<number> {
  const c = await libc()
  const domain = options.family === 6 ? AF_INET6 : AF_INET
  const fd = c.socket(domain, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0)
  if (fd < 0) throw fault('socket', c.errno(), options)
  const check = (step: string, result: number) => {
    if (result === 0) return
    const error = fault(step, c.errno(), options)
    c.close(fd)
    throw error
  }
  const one = Buffer.from(Int32Array.of(1).buffer)
  check('SO_REUSEADDR', c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4))
  check('SO_BROADCAST', c.setsockopt(fd, SOL_SOCKET, SO_BROADCAST, one, 4))
  c.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, Buffer.from(Int32Array.of(receiveBuffer).buffer), 4) // without the right to it: the system's own size
  if (options.device !== undefined) {
    const name = Buffer.from(`${options.device}\0`)
    check('SO_BINDTODEVICE', c.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length))
  }
  if (domain === AF_INET6) check('IPV6_V6ONLY', c.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, one, 4))
  const address = Buffer.alloc(domain === AF_INET6 ? 28 : 16) // all of IPv6 is zeros
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = domain // sa_family is in the host's byte order
  address.writeUInt16BE(options.port, 2)
  if (domain === AF_INET) address.set((options.address ?? '0.0.0.0').split('.').map(Number), 4)
  check('bind', c.bind(fd, address, address.length))
  return fd
}

/** Opens a socket; resolves once it receives. Throws PRIVILEGE_MISSING or UNAVAILABLE. */
export async function openDatagrams (options: DatagramOptions, events: DatagramEvents): Promise<Datagrams> {
  const fd = await descriptor(options)
  const socket: Socket = createSocket(options.family === 6 ? 'udp6' : 'udp4')
  const plainly = (data: Uint8Array, port: number, address: string): void => {
    try { socket.send(data, port, address, error => { if (error) events.lost(error) }) } catch (error) { events.lost(error as Error) } // closed meanwhile
  }
  const batch = options.family === 6 ? undefined : await createBatch(fd, { lost: errno => { events.lost(new BedplateError('UNAVAILABLE', { reason: `a datagram could not be sent: ${errorName(errno)}`, name: errorName(errno) })) }, later: plainly })
  socket.on('message', (data, from) => {
    events.received(data, from)
    batch?.drain(events.received)
  })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ fd }, () => { socket.off('error', reject); resolve() })
    })
  } catch (error) {
    (await libc()).close(fd)
    throw new BedplateError('UNAVAILABLE', { reason: `UDP port ${options.port} cannot be opened: ${reasonOf(error)}`, name: 'bind' }, error)
  }
  const close = () => new Promise<void>(resolve => { batch?.close(); try { socket.close(() => { resolve() }) } catch { resolve() } }) // already closed
  try {
    for (const group of options.groups ?? []) socket.addMembership(group, options.device === undefined ? undefined : `::%${options.device}`)
  } catch (error) {
    await close()
    throw new BedplateError('UNAVAILABLE', { reason: `UDP port ${options.port}${options.device === undefined ? '' : ` on ${options.device}`} cannot join ${options.groups?.join(' and ')}: ${reasonOf(error)}. Is IPv6 on there?`, name: 'membership' }, error)
  }
  socket.on('error', events.failed)
  return {
    port: socket.address().port,
    send: (data, port, address) => { if (batch?.send(data, port, address) !== true) plainly(data, port, address) },
    close
  }
}
