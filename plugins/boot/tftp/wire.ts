/** The way to one client: a port of its own on the address that was asked, connected, so that strangers' packets never reach it and a client that vanished shows. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { constants } from 'node:os'
import { BedplateError } from '../../../core/errors.ts'
import { encodeData } from './packet.ts'
import { systemCalls } from './system.ts'
import type { Layout, System } from './system.ts'
import { carriages, mostSegments, refusalOf } from './train.ts'

export interface Remote { readonly address: string, readonly port: number }
export interface WireEvents {
  received(bytes: Buffer): void
  /** The client's port is closed. */
  gone(): void
  /** The socket is of no more use. */
  failed(error: Error): void
}
export interface Wire {
  /** Sends blocks from number `first` on, `count` of them, cut from `data`; the last may be short. What the system has no room for waits in order. */
  blocks(first: number, count: number, blockSize: number, data: readonly Uint8Array[]): void
  /** Sends one packet. */
  packet(bytes: Uint8Array): void
  close(): Promise<void>
}

export type OpenWire = (local: string, remote: Remote, events: WireEvents) => Promise<Wire>

/** Opens one; rejects with the system's error, or with UNAVAILABLE. `system`: what stands in for this system's calls; null: none. */
export async function openWire (local: string, remote: Remote, events: WireEvents, system?: System | null): Promise<Wire> {
  const calls = system === undefined ? await systemCalls() : system ?? undefined
  return calls === undefined ? plainWire(local, remote, events) : fastWire(calls, local, remote, events)
}

/** The blocks as packets of their own, each a copy. */
function * packetsOf (first: number, count: number, blockSize: number, data: readonly Uint8Array[]): Generator<Buffer> {
  const whole = data.length === 1 ? data[0] as Uint8Array : Buffer.concat(data)
  for (let index = 0; index < count; index++) yield encodeData(first + index, whole.subarray(index * blockSize, (index + 1) * blockSize))
}

/** A full queue is a lost packet. EMSGSIZE: a router has told of a narrower way, and what is sent again will be cut to it. */
const passing: readonly string[] = ['ENOBUFS', 'EAGAIN', 'EMSGSIZE']
const hear = (socket: Socket, events: WireEvents): void => {
  socket.on('message', events.received)
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') events.gone()
    else if (!passing.includes(error.code ?? '')) events.failed(error)
  })
}
const closing = (socket: Socket) => () => new Promise<void>(resolve => { socket.close(resolve) })

/** Binds the socket with `how`, and connects it. Closes it when that fails. */
const connected = (socket: Socket, how: { readonly fd: number } | { readonly address: string, readonly port: number, readonly exclusive: boolean }, remote: Remote): Promise<void> => new Promise((resolve, reject) => {
  const fail = (error: Error): void => { socket.removeAllListeners(); socket.close(); reject(error) }
  socket.once('error', fail)
  socket.bind(how, () => {
    socket.connect(remote.port, remote.address, (error?: Error) => {
      socket.off('error', fail)
      if (error === undefined) resolve()
      else fail(error)
    })
  })
})

async function plainWire (local: string, remote: Remote, events: WireEvents): Promise<Wire> {
  const socket = createSocket({ type: local.includes(':') ? 'udp6' : 'udp4', sendBufferSize: 1 << 20 })
  await connected(socket, { address: local, port: 0, exclusive: true }, remote)
  hear(socket, events)
  return {
    blocks (first, count, blockSize, data) { for (const packet of packetsOf(first, count, blockSize, data)) socket.send(packet, () => {}) }, // what cannot be sent is lost, as on the wire
    packet: bytes => { socket.send(bytes, () => {}) },
    close: closing(socket)
  }
}

const mostParts = 16 // of a window: more of them are made one, so that a train fits into a message
let layout: Layout | undefined // one for all: a message is gone when the call returns
const headers = Buffer.allocUnsafeSlow(mostSegments * 4) // of DATA packets: operation and block number

async function fastWire (system: System, local: string, remote: Remote, events: WireEvents): Promise<Wire> {
  const fd = system.bound(local)
  if (fd < 0) throw new BedplateError('UNAVAILABLE', { reason: `a UDP port of ${local} cannot be opened: ${Object.entries(constants.errno).find(([, number]) => number === -fd)?.[0] ?? `errno ${-fd}`}` })
  const socket = createSocket(local.includes(':') ? 'udp6' : 'udp4')
  let owned = false // by the socket, which closes it then
  socket.once('listening', () => { owned = true })
  try { await connected(socket, { fd }, remote) } catch (error) {
    if (!owned) system.close(fd)
    throw error
  }
  hear(socket, events)
  const message = layout ??= system.layout()
  const headersAt = system.addressOf(headers)
  let trains = system.segments(fd)
  let behind = 0 // packets that wait for room: what comes after them must not overtake
  let open = true

  const vector = (index: number, address: number, length: number): void => {
    const { vectors } = message
    vectors[index * 4] = address % 0x1_0000_0000
    vectors[index * 4 + 1] = address / 0x1_0000_0000
    vectors[index * 4 + 2] = length
    vectors[index * 4 + 3] = 0
  }
  const later = (bytes: Uint8Array): void => {
    behind++
    socket.send(bytes, () => { behind-- })
  }

  return {
    blocks (first, count, blockSize, parts) {
      const data = parts.length > mostParts ? [Buffer.concat(parts)] : parts
      let part = 0 // where the next byte is
      let at = 0
      let done = 0
      /** Lays out blocks from `done` on and sends them as one message; false when the rest has to be sent in another way. */
      const depart = (most: number): boolean => {
        const [startPart, startAt] = [part, at]
        let vectors = 0
        let blocks = 0
        for (; blocks < most && done + blocks < count; blocks++) {
          const number = first + done + blocks
          const head = blocks * 4
          headers[head] = 0
          headers[head + 1] = 3
          headers[head + 2] = number >> 8
          headers[head + 3] = number
          vector(vectors++, headersAt + head, 4)
          for (let left = blockSize; left > 0 && part < data.length;) {
            const bytes = data[part] as Uint8Array
            const length = Math.min(left, bytes.length - at)
            if (length > 0) vector(vectors++, system.addressOf(bytes) + at, length)
            left -= length
            at += length
            if (at === bytes.length) { part++; at = 0 }
          }
        }
        const errno = system.send(fd, message, vectors, blocks > 1 ? blockSize + 4 : 0)
        if (errno !== 0) {
          const refusal = refusalOf(errno, blocks)
          if (refusal === 'gone') events.gone()
          if (refusal === 'trains') trains = false
          if (refusal === 'trains' || refusal === 'full') {
            part = startPart
            at = startAt
            return refusal === 'trains'
          }
        }
        done += blocks
        return true
      }
      while (open && done < count && behind === 0 && depart(trains ? carriages(blockSize) : 1));
      if (!open || done === count) return
      const rest = done === 0 ? data : [Buffer.concat(data).subarray(done * blockSize)]
      for (const packet of packetsOf(first + done, count - done, blockSize, rest)) later(packet)
    },
    packet: bytes => { later(bytes) },
    close () {
      open = false
      return closing(socket)()
    }
  }
}
