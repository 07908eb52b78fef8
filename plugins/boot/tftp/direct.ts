/** A wire by the system's own calls: whole windows leave as trains, and nothing is allocated for what comes. */
import { constants } from 'node:os'
import { BedplateError } from '../../../core/errors.ts'
import { packetsOf } from './packet.ts'
import type { Layout, System } from './system.ts'
import { carriages, mostSegments, refusalOf } from './train.ts'
import type { Remote, Wire, WireEvents } from './wire.ts'

const mostParts = 16 // of a window: more of them are made one, so that a train fits into a message
let layout: Layout | undefined // one for all: a message is gone when the call returns
const headers = Buffer.allocUnsafeSlow(mostSegments * 4) // of DATA packets: operation and block number

/** What leaves when all that was heard in this turn of the loop has been: a client that sleeps is then woken once, and not for each answer. */
const leaving: (() => void)[] = []
const depart = (): void => { for (const one of leaving.splice(0)) one() }
const leave = (one: () => void): void => { if (leaving.push(one) === 1) setImmediate(depart) }

/** Of one that comes from a client, in bytes: an ACK has 4, an ERROR its message. */
const longestReceived = 1_024
const ECONNREFUSED = 111
const inbox = Buffer.allocUnsafeSlow(longestReceived) // one for all: what was received is read before the next one is
/** Errors that pass. EMSGSIZE: a router has told of a narrower way, and what is sent again will be cut to it. */
const passing: readonly string[] = ['EAGAIN', 'EINTR', 'ENOBUFS', 'EMSGSIZE']
const nameOf = (errno: number): string => Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`

/** Opens one; throws UNAVAILABLE. */
export function directWire (system: System, local: string, remote: Remote, events: WireEvents): Wire {
  const fd = system.bound(local)
  if (fd < 0) throw new BedplateError('UNAVAILABLE', { reason: `a UDP port of ${local} cannot be opened: ${nameOf(-fd)}` })
  const refused = system.connect(fd, remote)
  if (refused !== 0) {
    system.close(fd)
    throw new BedplateError('UNAVAILABLE', { reason: `${remote.address} cannot be reached from ${local}: ${nameOf(refused)}` })
  }
  const message = layout ??= system.layout()
  const headersAt = system.addressOf(headers)
  let trains = system.segments(fd)
  const behind: Uint8Array[] = [] // packets that wait for room: what comes after them must not overtake
  let open = true

  const watch = system.watch(fd, () => {
    hear()
    if (open && behind.length > 0) clear()
  })
  /** One datagram: the loop calls again while there are more. */
  function hear (): void {
    const length = system.receive(fd, inbox)
    if (length >= 0) events.received(inbox.subarray(0, length))
    else if (length === -ECONNREFUSED) {
      for (let last = 0; open && (last = system.receive(fd, inbox)) >= 0;) events.received(inbox.subarray(0, last)) // errors are told first, before what came earlier: the last ACK, it may be
      events.gone()
    }
    else if (!passing.includes(nameOf(-length))) events.failed(new BedplateError('UNAVAILABLE', { reason: `${remote.address} cannot be heard: ${nameOf(-length)}` }))
  }
  const vector = (index: number, address: number, length: number): void => {
    const { vectors } = message
    vectors[index * 4] = address % 0x1_0000_0000
    vectors[index * 4 + 1] = address / 0x1_0000_0000
    vectors[index * 4 + 2] = length
    vectors[index * 4 + 3] = 0
  }
  /** Sends a packet; false when there is no room for it. */
  const pass = (bytes: Uint8Array): boolean => {
    vector(0, system.addressOf(bytes), bytes.length)
    const refusal = refusalOf(system.send(fd, message, 1, 0), 1)
    if (refusal === 'gone') events.gone()
    return refusal !== 'full'
  }
  function clear (): void {
    let passed = 0
    while (open && passed < behind.length && pass(behind[passed] as Uint8Array)) passed++
    behind.splice(0, passed)
    if (open) watch.want(true, behind.length > 0)
  }
  const post = (bytes: Uint8Array): void => {
    if (behind.length > 0 || !pass(bytes)) {
      behind.push(bytes)
      watch.want(true, true)
    }
  }
  const send = (first: number, count: number, blockSize: number, parts: readonly Uint8Array[]): void => {
    const data = parts.length > mostParts ? [Buffer.concat(parts)] : parts
    let part = 0 // where the next byte is
    let at = 0
    let done = 0
    /** Lays out blocks from `done` on and sends them as one message; false when the rest has to be sent in another way. */
    const go = (most: number): boolean => {
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
    while (open && done < count && behind.length === 0 && go(trains ? carriages(blockSize) : 1));
    if (!open || done === count) return
    const rest = done === 0 ? data : [Buffer.concat(data).subarray(done * blockSize)]
    behind.push(...packetsOf(first + done, count - done, blockSize, rest))
    watch.want(true, true)
  }

  return {
    blocks (first, count, blockSize, data) { leave(() => { if (open) send(first, count, blockSize, data) }) },
    packet (bytes) { leave(() => { if (open) post(bytes) }) },
    async close () {
      if (!open) return
      depart() // the last word too
      open = false
      watch.close()
      system.close(fd)
    }
  }
}
