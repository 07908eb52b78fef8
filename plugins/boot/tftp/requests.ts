/** What becomes of packets that come to the server's port: requests are answered by transfers, of which there are only so many; all else is refused or dropped. Knows no socket. */
import { BedplateError, hasCode, reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { memoryContent, wholeOf } from './content.ts'
import type { Content } from './content.ts'
import { decode, encode, errorCode, negotiate, toNetascii } from './packet.ts'
import type { Packet, Request } from './packet.ts'
import { createSending } from './sending.ts'
import type { Sending } from './sending.ts'
import type { OpenWire, Remote } from './wire.ts'

export interface Served { readonly address: string, readonly name: string, readonly bytes: number, readonly milliseconds: number, /** Packets sent again, and requests heard again. */ readonly retries: number, readonly failure: string | null }
/** Who asks: its address, and the one of ours it asked; link-local ones with their zone. */
export interface Client { readonly address: string, readonly local: string }
export interface RequestOptions {
  readonly log: Logger
  readonly clock: Clock
  /** The content of a name as the client sent it, which may be made for that client; undefined: not found. */
  open(name: string, by: Client): Promise<Content | undefined>
  served(what: Served): void
  dropped?(): void
  readonly mostTransfers?: number
  /** Of one address at once. Machines behind a router that translates addresses share one. */
  readonly mostOfAddress?: number
  /** A client that acknowledges nothing for so long, in ms, is given up. */
  readonly patience?: number
  /** Bytes of all files that are being sent in mode netascii, as they are sent: they are in memory. */
  readonly mostNetascii?: number
  /** How transfers reach their clients; for tests. */
  readonly openWire?: OpenWire
}
export interface Requests {
  /** A packet for the address `local`; `answer` sends one from the port it came to. */
  hear(local: string, bytes: Buffer, from: Remote, answer: (bytes: Buffer) => void): void
  /** Looks what has to be sent again, and who has fallen silent. */
  expire(): void
  readonly transfers: number
  /** Tells all clients that it is over; resolves when nothing is left. */
  end(): Promise<void>
}

const largestRequest = 1_024 // bytes; RFC 2347 has 512, and some boot ROMs pad theirs
/** A client that has answered nothing for so long, in ms, makes room for another when there is none. */
const mayBeReplaced = 1_000

interface Transfer { readonly sending: Sending, readonly address: string, readonly request: Buffer, readonly began: number, repeats: number }
type Refuse = (code: number, message: string) => void

export function createRequests (options: RequestOptions): Requests {
  const { log, clock, mostTransfers = 1_000, mostOfAddress = 256, patience = 30_000, mostNetascii = 64 << 20, openWire } = options
  const transfers = new Map<string, Transfer>() // oldest first
  const ofAddress = new Map<string, number>() // transfers by the client's address
  const running = new Set<Promise<void>>() // those that were replaced, too, until their sockets are closed
  let netascii = 0 // bytes converted

  function hear (local: string, bytes: Buffer, from: Remote, answer: (bytes: Buffer) => void): void {
    if (from.port === 0) { options.dropped?.(); return } // nobody can be answered there, and a socket throws when it is told to (RFC 768: the sender wants no answer)
    const refuse: Refuse = (code, message) => { answer(encode({ op: 'error', code, message })) }
    let packet: Packet
    try {
      if (bytes.length > largestRequest) throw new BedplateError('PACKET_INVALID', { protocol: 'TFTP', reason: `${bytes.length} bytes are too many for a request` })
      packet = decode(bytes)
    } catch (error) {
      if (!hasCode(error, 'PACKET_INVALID')) throw error
      options.dropped?.()
      log.debug({ from: from.address, reason: reasonOf(error) }, 'TFTP packet dropped')
      return
    }
    if (packet.op === 'write') return refuse(errorCode.accessViolation, 'This server is read-only')
    if (packet.op !== 'read') return packet.op === 'error' ? undefined : refuse(errorCode.illegalOperation, 'A transfer begins with a read request')
    if (packet.mode !== 'octet' && packet.mode !== 'netascii') return refuse(errorCode.illegalOperation, 'Only the modes octet and netascii are served')
    const key = `${local} ${from.address} ${from.port}`
    const before = transfers.get(key)
    // The same request once more while nothing has been acknowledged: our answer is late or lost, and will be repeated.
    if (before !== undefined && !before.sending.begun && before.request.equals(bytes)) { before.repeats++; return }
    if (before !== undefined) replace(key, before, 'the client asked again')
    if ((ofAddress.get(from.address) ?? 0) >= mostOfAddress && !makeRoom(from.address)) return refuse(errorCode.undefined, 'Too many transfers to this address at once; try again')
    if (transfers.size >= mostTransfers && !makeRoom()) return refuse(errorCode.undefined, 'Too many transfers at once; try again')
    const transfer: Transfer = { sending: createSending({ local, remote: from, clock, ...(openWire === undefined ? {} : { openWire }) }), address: from.address, request: Buffer.from(bytes), began: clock.monotonic(), repeats: 0 }
    transfers.set(key, transfer)
    ofAddress.set(from.address, (ofAddress.get(from.address) ?? 0) + 1)
    const done = serve(transfer, local, packet, refuse).finally(() => { forget(key, transfer); running.delete(done) })
    running.add(done)
  }

  /** Ends the oldest transfer (of that address) whose client has not said a word: its address may be forged. False when there is none. */
  function makeRoom (address?: string): boolean {
    const now = clock.monotonic()
    for (const [key, transfer] of transfers) {
      if (now - transfer.began < mayBeReplaced) return false
      if (transfer.sending.begun || (address !== undefined && transfer.address !== address)) continue
      replace(key, transfer, 'others needed its place')
      return true
    }
    return false
  }
  function replace (key: string, transfer: Transfer, reason: string): void {
    forget(key, transfer)
    transfer.sending.abandon(reason)
  }
  /** Takes it off the books; its socket may still be closing. */
  function forget (key: string, transfer: Transfer): void {
    if (transfers.get(key) !== transfer) return
    transfers.delete(key)
    const left = (ofAddress.get(transfer.address) ?? 1) - 1
    if (left > 0) ofAddress.set(transfer.address, left)
    else ofAddress.delete(transfer.address)
  }

  /** One transfer, from the request to its end. Never rejects. */
  async function serve (transfer: Transfer, local: string, { name, mode, options: asked }: Request, refuse: Refuse): Promise<void> {
    const { sending, address, began } = transfer
    let content: Content | undefined
    let converted = 0
    try {
      content = await options.open(name, { address, local })
      if (content === undefined) {
        log.debug({ from: address, name }, 'TFTP file not found')
        return refuse(errorCode.notFound, 'File not found')
      }
      if (mode === 'netascii') {
        if (netascii + 2 * content.size > mostNetascii) return refuse(errorCode.undefined, 'Too much for the mode netascii; try again, or ask for octet')
        converted = 2 * content.size // at most
        netascii += converted
        const bytes = toNetascii(await wholeOf(content))
        await content.close()
        content = memoryContent(bytes)
      }
      const grant = negotiate(asked, mode === 'octet' ? content.size : undefined)
      const failure = await sending.run(content, grant, patience)
      if (!sending.probe) options.served({ address, name, bytes: sending.bytes, milliseconds: Math.round(clock.monotonic() - began), retries: sending.resent + transfer.repeats, failure })
    } catch (error) {
      log.warn({ err: error, from: address, name }, 'TFTP transfer failed')
      refuse(errorCode.undefined, 'The file cannot be read')
    } finally {
      netascii -= converted
      await content?.close().catch((error: unknown) => log.warn({ err: error }, 'TFTP content was not closed'))
    }
  }

  return {
    hear,
    expire () {
      const now = clock.monotonic()
      for (const { sending } of transfers.values()) sending.expire(now)
    },
    get transfers () { return transfers.size },
    async end () {
      for (const { sending } of transfers.values()) sending.abandon('this server is stopping')
      while (running.size > 0) await Promise.all(running)
    }
  }
}
