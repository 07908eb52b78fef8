/** The server's requests and transfers without a socket: packets are handed over, what leaves is judged, and time passes when it is told to. */
import { createRequests } from '../../../plugins/boot/tftp/requests.ts'
import type { Requests, Served } from '../../../plugins/boot/tftp/requests.ts'
import { memoryContent } from '../../../plugins/boot/tftp/content.ts'
import type { Content } from '../../../plugins/boot/tftp/content.ts'
import { decode } from '../../../plugins/boot/tftp/packet.ts'
import type { Packet } from '../../../plugins/boot/tftp/packet.ts'
import type { Remote, WireEvents } from '../../../plugins/boot/tftp/wire.ts'
import { quiet } from '../../kit/parts.ts'
import { plainName } from '../../../plugins/boot/firmware/loaders.ts'

export const mostTransfers = 30
export const mostOfAddress = 15
/** One client's end of a transfer. */
export interface Line {
  readonly remote: Remote
  readonly events: WireEvents
  /** The block that was sent last, without roll-over. */
  newest: number
  heard: ((packet: Packet) => void) | undefined
  open: boolean
}
export interface FuzzNetwork {
  /** A packet to the server's port. */
  ask(bytes: Buffer, from: Remote): void
  /** Transfers whose clients can be reached. */
  readonly lines: ReadonlySet<Line>
  /** Lets what is begun go on, and then so many ms pass. */
  pass(ms: number): Promise<void>
  readonly files: ReadonlyMap<string, Buffer>
  readonly requests: Requests
  readonly counts: Map<string, number>
  readonly served: Served[]
  /** What went wrong. */
  readonly faults: string[]
  readonly openContents: number
  /** Told of each packet from the server's own port. */
  answered: (to: Remote, packet: Packet) => void
  /** Told of each transfer that begins. */
  begun: (line: Line) => void
}

export function createFuzzNetwork (files: ReadonlyMap<string, Buffer>): FuzzNetwork {
  const lines = new Set<Line>()
  const counts = new Map<string, number>()
  const served: Served[] = []
  const faults: string[] = []
  let now = 0
  let openContents = 0
  const count = (what: string): void => { counts.set(what, (counts.get(what) ?? 0) + 1) }
  /** Read in pieces, as files are; every second one at a time as from a disk. */
  const contentOf = (bytes: Buffer): Content => {
    const memory = memoryContent(bytes)
    const slow = openContents++ % 2 === 1
    let open = true
    return {
      size: bytes.length,
      read (offset, length) {
        const piece = memory.read(offset, Math.min(length, 4_099 - offset % 4_099))
        return slow ? Promise.resolve(piece) : piece
      },
      close: async () => { if (open) openContents--; open = false }
    }
  }
  const network: FuzzNetwork = {
    lines, files, counts, served, faults,
    requests: createRequests({
      log: quiet, mostTransfers, mostOfAddress, patience: 5_000,
      clock: { now: () => now, monotonic: () => now, sleep: async () => {} },
      dropped: () => { count('dropped') },
      served: what => { count(what.failure === null ? 'served' : `failed: ${what.failure.replace(/:.*/s, '')}`); served.push(what); if (served.length > 100) served.shift() },
      async open (name, { address, local }) {
        if (address === '' || local === '') faults.push('a request of nobody')
        const plain = plainName(name)
        if (plain === 'broken.bin') return { size: 5_000, read: async () => { throw new RangeError('a broken disk') }, close: async () => {} }
        const bytes = files.get(plain)
        return bytes === undefined ? undefined : contentOf(bytes)
      },
      async openWire (_local, remote, events) {
        const line: Line = { remote, events, newest: 0, heard: undefined, open: true }
        lines.add(line)
        count('transfers')
        network.begun(line)
        const out = (bytes: Uint8Array): void => {
          if (!line.open) faults.push('a packet after the wire was closed')
          const packet = decode(Buffer.from(bytes))
          count(`sent ${packet.op}`)
          if (packet.op !== 'oack' && packet.op !== 'error') faults.push(`${packet.op} as a packet of its own`)
          line.heard?.(packet)
        }
        return {
          blocks (first, blocks, blockSize, parts) {
            if (!line.open) faults.push('blocks after the wire was closed')
            const data = Buffer.concat(parts)
            if (first < 1 || blocks < 1 || blocks > 64 || blockSize < 8 || blockSize > 65_464 || data.length > blocks * blockSize || data.length < (blocks - 1) * blockSize) faults.push(`blocks that are none: ${blocks} from ${first} of ${blockSize} bytes, ${data.length} in all`)
            const at = (first - 1) * blockSize
            // every byte that leaves is one of a file that may be read
            if (![...files.values()].some(bytes => bytes.subarray(at, at + data.length).equals(data)) && data.length > 0) faults.push(`bytes of no file: ${data.length} from ${at}`)
            count('sent blocks')
            line.newest = first + blocks - 1
            if (line.heard !== undefined) for (let index = 0; index < blocks && line.open; index++) line.heard({ op: 'data', block: first + index & 0xffff, data: data.subarray(index * blockSize, (index + 1) * blockSize) })
          },
          packet: out,
          async close () { line.open = false; lines.delete(line) }
        }
      }
    }),
    ask (bytes, from) {
      network.requests.hear('192.0.2.1', bytes, from, answer => {
        const packet = decode(answer)
        if (packet.op !== 'error') faults.push(`${packet.op} from the server's own port`)
        count(packet.op === 'error' ? `refused ${packet.code}` : packet.op)
        network.answered(from, packet)
      })
    },
    async pass (ms) {
      for (let turn = 0; turn < 12; turn++) await Promise.resolve()
      now += ms
      network.requests.expire()
    },
    get openContents () { return openContents },
    answered: () => {},
    begun: () => {}
  }
  return network
}
