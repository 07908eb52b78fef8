/** Many datagrams with one system call, both ways (recvmmsg, sendmmsg): what Node's own socket does one by one. For IPv4 on 64-bit Linux; elsewhere there is none, and the plain way does it all. */
import { isIPv4 } from 'node:net'
import { endianness } from 'node:os'
import type { RemoteInfo } from 'node:dgram'
import { coupled, longestAfter, mostSegments } from './trains.ts'
import type { Target } from './trains.ts'

/** A second way to a bound, non-blocking descriptor that Node's socket watches. */
export interface Batch {
  /** Takes what waits on the descriptor, at most `rounds` × 64 datagrams. */
  drain(received: (data: Buffer, from: RemoteInfo) => void): void
  /** Takes the datagram into the batch that leaves when the current piece of work is over; false when it has to go the plain way. */
  send(data: Uint8Array, port: number, address: string): boolean
  /** Sends what is in the batch, and is done: the descriptor may be closed then. */
  close(): void
}
export interface BatchEvents {
  /** One datagram could not be sent, by this errno. */
  lost(errno: number): void
  /** The kernel has no room now: the plain way waits for it. */
  later(data: Uint8Array, port: number, address: string): void
}
/** The system as this file needs it; a test may stand in for it. */
export interface Calls {
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: null): number
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number
  /** Whether the kernel knows UDP_SEGMENT. One that does not (before 4.18, or not Linux's own) may pass over the control message, and send a whole train as one datagram. */
  segments(fd: number): boolean
  errno(): number
  /** Memory that stays where it is, with its address, until it is freed. */
  memory(size: number): Memory
}
export interface Memory { readonly address: bigint, readonly bytes: Buffer, free(): void }

const atOnce = mostSegments
const rounds = 4 // a flood must not keep everything else waiting
const slot = 9216 // bytes of one datagram received: more than any jumbo frame holds
const longest = 1536 // bytes of one datagram sent; longer ones go the plain way
// struct mmsghdr, iovec and sockaddr_in, as 64-bit Linux has them on every little-endian architecture.
const header = { size: 64, name: 0, nameLength: 8, vector: 16, vectors: 24, control: 32, controlLength: 40, flags: 48, length: 56 } as const
const control = { size: 24, used: 18 } as const // bytes: struct cmsghdr (16) with one 16-bit number, padded to 8 (CMSG_SPACE) and not (CMSG_LEN, to which the kernel holds cmsg_len)
const SOL_UDP = 17
const UDP_SEGMENT = 103
const MSG_DONTWAIT = 0x40
const MSG_TRUNC = 0x20
const AF_INET = 2
const again: readonly number[] = [11, 105] // EAGAIN, ENOBUFS

let loaded: Promise<Calls | undefined> | undefined
const calls = (): Promise<Calls | undefined> => loaded ??= process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch) || endianness() !== 'LE'
  ? Promise.resolve(undefined)
  : import('koffi').then(({ default: koffi }): Calls => {
    const library = koffi.load(null)
    const getsockopt = library.func('int getsockopt(int, int, int, void *, void *)')
    return {
      recvmmsg: library.func('int recvmmsg(int, void *, uint, int, void *)'),
      sendmmsg: library.func('int sendmmsg(int, void *, uint, int)'),
      segments: fd => getsockopt(fd, SOL_UDP, UDP_SEGMENT, Buffer.alloc(4), Buffer.from(Uint32Array.of(4).buffer)) === 0,
      errno: () => koffi.errno(),
      memory (size) {
        const pointer: unknown = koffi.alloc('uint8_t', size)
        return { address: koffi.address(pointer), bytes: Buffer.from(koffi.view(pointer, size)), free: () => { koffi.free(pointer) } }
      }
    }
  }).catch(() => undefined) // a C library without these calls

/** Headers, each pointing at its own address and its own data. */
function table (c: Calls, size: number): { readonly address: bigint, readonly headers: Buffer, readonly names: Buffer, readonly data: Buffer, readonly lengths: (index: number, length: number) => void, readonly train: (index: number, from: number, count: number, length: number) => void, readonly free: () => void } {
  const headers = c.memory(atOnce * header.size)
  const vectors = c.memory(atOnce * 16)
  const names = c.memory(atOnce * 16)
  const data = c.memory(atOnce * size)
  const controls = c.memory(atOnce * control.size)
  headers.bytes.fill(0)
  names.bytes.fill(0)
  controls.bytes.fill(0)
  for (let index = 0; index < atOnce; index++) {
    vectors.bytes.writeBigUInt64LE(data.address + BigInt(index * size), index * 16)
    vectors.bytes.writeBigUInt64LE(BigInt(size), index * 16 + 8)
    const at = index * header.size
    headers.bytes.writeBigUInt64LE(names.address + BigInt(index * 16), at + header.name)
    headers.bytes.writeUInt32LE(16, at + header.nameLength)
    headers.bytes.writeBigUInt64LE(vectors.address + BigInt(index * 16), at + header.vector)
    headers.bytes.writeBigUInt64LE(1n, at + header.vectors)
  }
  return {
    address: headers.address, headers: headers.bytes, names: names.bytes, data: data.bytes,
    lengths: (index, length) => { vectors.bytes.writeUInt32LE(length, index * 16 + 8) },
    train (index, from, count, length) {
      const at = index * header.size
      headers.bytes.writeBigUInt64LE(names.address + BigInt(from * 16), at + header.name)
      headers.bytes.writeBigUInt64LE(vectors.address + BigInt(from * 16), at + header.vector)
      headers.bytes.writeUInt32LE(count, at + header.vectors)
      headers.bytes.writeBigUInt64LE(count > 1 ? controls.address + BigInt(index * control.size) : 0n, at + header.control)
      headers.bytes.writeUInt32LE(count > 1 ? control.size : 0, at + header.controlLength)
      if (count === 1) return
      controls.bytes.writeUInt32LE(control.used, index * control.size)
      controls.bytes.writeUInt32LE(SOL_UDP, index * control.size + 8)
      controls.bytes.writeUInt32LE(UDP_SEGMENT, index * control.size + 12)
      controls.bytes.writeUInt16LE(length, index * control.size + 16)
    },
    free: () => { for (const memory of [headers, vectors, names, data, controls]) memory.free() }
  }
}

const quad = (value: number): string => `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`

/** Makes one for a descriptor; undefined where there is no such way. `events` may send and close. */
export async function createBatch (fd: number, events: BatchEvents, system?: Calls): Promise<Batch | undefined> {
  const c = system ?? await calls()
  if (c === undefined) return undefined
  const [incoming, outgoing] = [table(c, slot), table(c, longest)]
  const targets: { -readonly [field in keyof Target]: Target[field] }[] = Array.from({ length: atOnce }, () => ({ port: 0, address: '', length: 0 }))
  let filled = 0
  let closed = false
  let flushing = false
  let coupling = c.segments(fd) ? longest : 0 // bytes of the longest datagram that may travel in a train: the kernel takes its way once for all of it
  let known = { text: '0.0.0.0', value: 0 } // the address last written: relays ask for thousands
  let heard = { value: -1, text: '' } // the address last read

  const later = (from: number, count: number): void => {
    for (let index = from; index < from + count && !closed; index++) {
      const { port, address, length } = targets[index] as Target
      events.later(Buffer.from(outgoing.data.subarray(index * longest, index * longest + length)), port, address)
    }
  }
  /** Lays out the headers of the trains from this datagram on. */
  const arranged = (from: number, count: number, single: number): number[] => {
    const trains = coupled(targets, from, count, single, coupling)
    let first = from
    for (const [index, length] of trains.entries()) {
      outgoing.train(index, first, length, (targets[first] as Target).length)
      first += length
    }
    return trains
  }
  /** A train leaves whole or not at all (one packet until it is cut up), so what is sent one by one after a refusal was not sent before. */
  const depart = (count: number): void => {
    let trains = arranged(0, count, 0)
    let at = 0 // the train
    let from = 0 // its first datagram
    let refused: { readonly errno: number, readonly length: number, readonly end: number } | undefined // a train that began with `from`
    while (from < count && !closed) {
      const sent = c.sendmmsg(fd, outgoing.address + BigInt(at * header.size), trains.length - at, MSG_DONTWAIT)
      if (sent > 0) {
        for (let n = 0; n < sent; n++) from += trains[at++] as number
        const left = refused === undefined ? coupling : longestAfter(coupling, refused.errno, refused.length)
        if (refused !== undefined && left < coupling) {
          coupling = left
          trains = arranged(from, count, refused.end)
          at = 0
        }
        refused = undefined
        continue
      }
      const errno = c.errno() // of the first of them: an error further on is told by the next call
      if (again.includes(errno)) { later(from, count - from); return }
      const length = trains[at] as number
      if (length > 1) { // one by one: each then has its own error, or none
        refused = { errno, length: (targets[from] as Target).length, end: from + length }
        trains = arranged(from, count, refused.end)
        at = 0
        continue
      }
      refused = undefined
      at++
      from++
      events.lost(errno)
    }
  }
  const flush = (): void => {
    if (flushing) return
    const count = filled
    filled = 0
    flushing = true
    try { depart(count) } finally { flushing = false }
  }

  return {
    drain (received) {
      for (let round = 0; round < rounds && !closed; round++) {
        const count = c.recvmmsg(fd, incoming.address, atOnce, MSG_DONTWAIT, null)
        for (let index = 0; index < count && !closed; index++) {
          const at = index * header.size
          const length = incoming.headers.readUInt32LE(at + header.length)
          const truncated = (incoming.headers.readUInt32LE(at + header.flags) & MSG_TRUNC) !== 0
          const name = index * 16
          const value = incoming.names.readUInt32BE(name + 4)
          if (heard.value !== value) heard = { value, text: quad(value) }
          incoming.headers.writeUInt32LE(16, at + header.nameLength) // the kernel wrote how much of it it used
          if (!truncated) received(Buffer.from(incoming.data.subarray(index * slot, index * slot + length)), { address: heard.text, port: incoming.names.readUInt16BE(name + 2), family: 'IPv4', size: length })
        }
        if (count < atOnce) return
      }
    },
    send (data, port, address) {
      if (closed || flushing || data.length > longest) return false // flushing: an event's own, while the memory is read
      if (known.text !== address) {
        if (!isIPv4(address)) return false
        known = { text: address, value: address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) }
      }
      if (filled === atOnce) flush()
      if (filled === 0) queueMicrotask(flush)
      const index = filled++
      outgoing.data.set(data, index * longest)
      outgoing.lengths(index, data.length)
      outgoing.names.writeUInt16LE(AF_INET, index * 16)
      outgoing.names.writeUInt16BE(port, index * 16 + 2)
      outgoing.names.writeUInt32BE(known.value, index * 16 + 4)
      const target = targets[index] as typeof targets[number]
      target.port = port
      target.address = address
      target.length = data.length
      return true
    },
    close () {
      if (closed) return
      flush()
      closed = true
      incoming.free()
      outgoing.free()
    }
  }
}
