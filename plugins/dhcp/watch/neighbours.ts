/** Asks the wire which addresses are in use, by sockets Node cannot make: ARP on a segment, ICMP echo behind its routers. */
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { BedplateError } from '../../../core/errors.ts'
import type { Clock } from '../../../core/plugin.ts'
import { arpHolder, arpProbe, echoHolder, echoRequest, macBytes } from './arp.ts'

export interface Question {
  readonly device: string
  /** Addresses that may be on the segment: asked for by ARP. */
  readonly addresses: readonly number[]
  /** Addresses that may be behind a router: asked for by ICMP (too). */
  readonly far: readonly number[]
}
/** Who answered: the MAC, or null where only an ICMP reply came. Throws PRIVILEGE_MISSING or UNAVAILABLE. */
export type Ask = (question: Question, signal?: AbortSignal) => Promise<ReadonlyMap<number, string | null>>

interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, length: number): number
  send(fd: number, data: Uint8Array, length: number, flags: number): number
  sendto(fd: number, data: Uint8Array, length: number, flags: number, address: Uint8Array, addressLength: number): number
  recv(fd: number, data: Uint8Array, length: number, flags: number): number
  close(fd: number): number
  errno(): number
}

// Linux numbers; the same on every architecture Node runs on but MIPS and SPARC.
const AF_INET = 2
const AF_PACKET = 17
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000
const ETH_P_ARP = 0x0806
const IPPROTO_ICMP = 1

let loaded: Promise<Libc> | undefined
const libc = (): Promise<Libc> => loaded ??= import('koffi').then(({ default: koffi }) => {
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    bind: library.func('int bind(int, const void *, uint)'),
    send: library.func('long send(int, const void *, size_t, int)'),
    sendto: library.func('long sendto(int, const void *, size_t, int, const void *, uint)'),
    recv: library.func('long recv(int, void *, size_t, int)'),
    close: library.func('int close(int)'),
    errno: () => koffi.errno()
  }
})

function fault (what: string, errno: number): BedplateError {
  const name = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`
  if (name === 'EPERM' || name === 'EACCES') return new BedplateError('PRIVILEGE_MISSING', { what, remedy: 'run as root, or with CAP_NET_RAW (AmbientCapabilities= in the unit).', name })
  return new BedplateError('UNAVAILABLE', { reason: `${what} failed with ${name}.`, name })
}

const file = async (device: string, name: string): Promise<string> => {
  try { return (await readFile(`/sys/class/net/${device}/${name}`, 'utf8')).trim() } catch { throw new BedplateError('UNAVAILABLE', { reason: `there is no network interface ${device} on this host.` }) }
}

/** A raw socket for ARP on the device, bound to it. Undefined on a device that has no MACs. */
async function arpSocket (c: Libc, device: string): Promise<{ readonly fd: number, readonly mac: Buffer } | undefined> {
  const mac = macBytes(await file(device, 'address'))
  if (await file(device, 'type') !== '1' || mac === undefined) return undefined
  const fd = c.socket(AF_PACKET, SOCK_RAW_CLOEXEC_NONBLOCK, 0) // deaf until it is bound, so that it hears of no other device
  if (fd < 0) throw fault(`asking for addresses on ${device}`, c.errno())
  const address = Buffer.alloc(20) // sockaddr_ll: numbers in the host's byte order but for the protocol
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_PACKET
  address.writeUInt16BE(ETH_P_ARP, 2)
  new Int32Array(address.buffer, address.byteOffset + 4, 1)[0] = Number(await file(device, 'ifindex'))
  if (c.bind(fd, address, address.length) !== 0) {
    const error = fault(`asking for addresses on ${device}`, c.errno())
    c.close(fd)
    throw error
  }
  return { fd, mac }
}

const inetAddress = (ip: number): Buffer => {
  const address = Buffer.alloc(16)
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_INET
  address.writeUInt32BE(ip, 4)
  return address
}

const rounds = 3 // times each address is asked for
const between = 150 // ms
const look = 15 // ms between two looks at what has come
const most = 512 // packets read at one look
const burst = 32 // questions in a row; a millisecond is left to everybody else after them

/** Asks as RFC 5227 has it, some times in half a second; the answers are read as they come, in small steps, so that nothing else waits. */
export const createAsk = (clock: Clock): Ask => async ({ device, addresses, far }, signal) => {
  const c = await libc()
  const answers = new Map<number, string | null>()
  const wanted = new Set([...addresses, ...far])
  const arp = await arpSocket(c, device)
  const icmp = far.length === 0 ? -1 : c.socket(AF_INET, SOCK_RAW_CLOEXEC_NONBLOCK, IPPROTO_ICMP)
  const data = Buffer.alloc(2048)
  const id = randomInt(0x10000)
  const read = (fd: number, take: (packet: Buffer) => void): void => {
    for (let n = 0; n < most; n++) {
      const length = c.recv(fd, data, data.length, 0)
      if (length <= 0) return
      take(data.subarray(0, length))
    }
  }
  try {
    if (far.length > 0 && icmp < 0) throw fault('asking for addresses by ICMP', c.errno())
    for (let round = 0; round < rounds; round++) {
      // What cannot be sent is asked for again in the next round, and after the last one counts as not answered.
      let sent = 0
      const paced = async (): Promise<void> => { if (++sent % burst === 0) await clock.sleep(1, signal) }
      if (arp !== undefined) for (const address of addresses) if (!answers.has(address)) { const frame = arpProbe(arp.mac, address); c.send(arp.fd, frame, frame.length, 0); await paced() }
      for (const [index, address] of far.entries()) if (!answers.has(address)) { const request = echoRequest(id, index); c.sendto(icmp, request, request.length, 0, inetAddress(address), 16); await paced() }
      const until = clock.monotonic() + between
      while (clock.monotonic() < until && signal?.aborted !== true) {
        await clock.sleep(look, signal)
        if (arp !== undefined) {
          read(arp.fd, frame => {
            const holder = arpHolder(frame)
            if (holder !== undefined && wanted.has(holder.address) && holder.mac !== arp.mac.toString('hex').replace(/(..)(?!$)/g, '$1:')) answers.set(holder.address, holder.mac)
          })
        }
        if (icmp >= 0) {
          read(icmp, packet => {
            const holder = echoHolder(packet, id)
            if (holder !== undefined && wanted.has(holder) && !answers.has(holder)) answers.set(holder, null)
          })
        }
      }
    }
  } finally {
    if (arp !== undefined) c.close(arp.fd)
    if (icmp >= 0) c.close(icmp)
  }
  return answers
}
