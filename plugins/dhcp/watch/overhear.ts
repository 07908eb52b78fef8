/** Hears what servers say to clients on an interface, and speaks as a client: a packet socket, since port 68 may be another's and the sender's MAC is wanted. */
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { BedplateError } from '../../../core/errors.ts'

export interface Ear {
  readonly mac: string
  /** The frames that came since the last call, at most 64. */
  take(): readonly Buffer[]
  /** Sends a whole frame. Throws UNAVAILABLE. */
  say(frame: Buffer): void
  close(): void
}

interface Libc {
  socket(domain: number, type: number, protocol: number): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  send(fd: number, data: Uint8Array, length: number, flags: number): number
  recv(fd: number, data: Uint8Array, length: number, flags: number): number
  close(fd: number): number
  errno(): number
  /** Bytes that stay where they are until they are freed. */
  fixed(bytes: Buffer): { readonly address: bigint, free(): void }
}

// Linux numbers; the same on every architecture Node runs on but MIPS and SPARC.
const AF_PACKET = 17
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000
const ETH_P_IP = 0x0800
const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26
const most = 64 // frames of one look

/**
 * Only replies (operation 2) to UDP port 68, unfragmented, get through: on a segment under load the rest would be copied for nothing.
 * Each step: code, where to go on if so, if not (further steps), operand. The last but one lets through, the last does not.
 */
const filter: readonly (readonly [code: number, yes: number, no: number, operand: number])[] = [
  [0x30, 0, 0, 23], // the protocol of IP
  [0x15, 0, 7, 17], // is UDP
  [0x28, 0, 0, 20], // the fragment's place
  [0x45, 5, 0, 0x3fff], // is none
  [0xb1, 0, 0, 14], // behind the header of IP
  [0x48, 0, 0, 16], // the port it is for
  [0x15, 0, 2, 68], // is a client's
  [0x50, 0, 0, 22], // the operation
  [0x15, 1, 0, 2], // is a reply
  [0x06, 0, 0, 0],
  [0x06, 0, 0, 0x40000]
]
function program (): Buffer {
  const bytes = Buffer.alloc(filter.length * 8)
  filter.forEach(([code, yes, no, operand], index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes[index * 8 + 2] = yes
    bytes[index * 8 + 3] = no
    bytes.writeUInt32LE(operand, index * 8 + 4)
  })
  return bytes
}

let loaded: Promise<Libc> | undefined
const libc = (): Promise<Libc> => loaded ??= import('koffi').then(({ default: koffi }) => {
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint)'),
    bind: library.func('int bind(int, const void *, uint)'),
    send: library.func('long send(int, const void *, size_t, int)'),
    recv: library.func('long recv(int, void *, size_t, int)'),
    close: library.func('int close(int)'),
    errno: () => koffi.errno(),
    fixed (bytes) {
      const pointer: unknown = koffi.alloc('uint8_t', bytes.length)
      bytes.copy(Buffer.from(koffi.view(pointer, bytes.length)))
      return { address: koffi.address(pointer), free: () => { koffi.free(pointer) } }
    }
  }
})

function fault (device: string, errno: number): BedplateError {
  const what = `looking for foreign DHCP servers on ${device}`
  const name = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`
  if (name === 'EPERM' || name === 'EACCES') return new BedplateError('PRIVILEGE_MISSING', { what, remedy: 'run as root, or with CAP_NET_RAW (AmbientCapabilities= in the unit).', name })
  return new BedplateError('UNAVAILABLE', { reason: `${what} failed with ${name}.`, name })
}

const about = async (device: string, what: string): Promise<string> => {
  try { return (await readFile(`/sys/class/net/${device}/${what}`, 'utf8')).trim() } catch { throw new BedplateError('UNAVAILABLE', { reason: `there is no network interface ${device} on this host.` }) }
}

/** Begins to hear on a device. Undefined where there are no MACs. Throws PRIVILEGE_MISSING or UNAVAILABLE. */
export async function openEar (device: string): Promise<Ear | undefined> {
  const [mac, type, index, c] = [await about(device, 'address'), await about(device, 'type'), Number(await about(device, 'ifindex')), await libc()]
  if (type !== '1') return undefined
  const fd = c.socket(AF_PACKET, SOCK_RAW_CLOEXEC_NONBLOCK, 0) // deaf until it is bound
  if (fd < 0) throw fault(device, c.errno())
  const check = (result: number) => {
    if (result === 0) return
    const error = fault(device, c.errno())
    c.close(fd)
    throw error
  }
  const code = program()
  const { address: place, free } = c.fixed(code)
  const whole = Buffer.alloc(16) // struct sock_fprog: how many steps, and where
  whole.writeUInt16LE(filter.length, 0)
  whole.writeBigUInt64LE(place, 8)
  try { check(c.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, whole, whole.length)) } finally { free() }
  const address = Buffer.alloc(20) // sockaddr_ll: numbers in the host's byte order but for the protocol
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_PACKET
  address.writeUInt16BE(ETH_P_IP, 2)
  new Int32Array(address.buffer, address.byteOffset + 4, 1)[0] = index
  check(c.bind(fd, address, address.length))
  const data = Buffer.alloc(2048)
  let open = true
  return {
    mac,
    take () {
      const frames: Buffer[] = []
      while (open && frames.length < most) {
        const length = c.recv(fd, data, data.length, 0)
        if (length <= 0) break
        frames.push(Buffer.from(data.subarray(0, length)))
      }
      return frames
    },
    say (frame) { if (open && c.send(fd, frame, frame.length, 0) < 0) throw fault(device, c.errno()) },
    close () {
      if (open) c.close(fd)
      open = false
    }
  }
}
