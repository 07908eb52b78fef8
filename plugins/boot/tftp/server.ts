/** The TFTP server's sockets: one listener per local address, so that answers leave from the address that was asked, and one socket per transfer. */
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { BedplateError, hasCode, reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Clock, Health, Logger, Service } from '../../../core/plugin.ts'
import { decode, encode, errorCode, negotiate, toNetascii } from './packet.ts'
import type { Packet, Request } from './packet.ts'
import { memoryContent, wholeOf } from './content.ts'
import type { Content } from './content.ts'
import { createSending } from './sending.ts'
import type { Sending } from './sending.ts'

export interface Served { readonly address: string, readonly name: string, readonly bytes: number, readonly milliseconds: number, /** Packets sent again, and requests heard again. */ readonly retries: number, readonly failure: string | null }
/** Who asks: its address, and the one of ours it asked; link-local ones with their zone. */
export interface Client { readonly address: string, readonly local: string }
export interface TftpOptions {
  readonly port: number // 0: any, the same for no two addresses; for tests
  readonly log: Logger
  readonly clock: Clock
  /** The content of a name as the client sent it, which may be made for that client; undefined: not found. */
  open(name: string, by: Client): Promise<Content | undefined>
  served(what: Served): void
  dropped?(): void
  /** Local addresses to listen on, looked at every few seconds. */
  readonly addresses?: () => readonly string[]
  readonly mostTransfers?: number
  /** Of one address at once. Machines behind a router that translates addresses share one. */
  readonly mostOfAddress?: number
  /** A client that acknowledges nothing for so long, in ms, is given up. */
  readonly patience?: number
}
export interface TftpServer extends Service {
  /** Where it listens now. */
  listening(): readonly { readonly address: string, readonly port: number }[]
  readonly transfers: number
}

const rescanEvery = 2_000
const tick = 5 // ms: a lost packet costs a client at least 20
const largestNetascii = 64 << 20
const largestRequest = 1_024 // RFC 2347 has 512; some boot ROMs pad theirs
/** A client that has answered nothing for so long, in ms, makes room for another when there is none. */
const mayBeReplaced = 1_000

/** All addresses of this host; link-local IPv6 ones with their interface, which a socket needs to know. */
export const localAddresses = (): readonly string[] => Object.entries(networkInterfaces()).flatMap(([name, list]) =>
  (list ?? []).map(one => one.family === 'IPv6' && one.scopeid > 0 ? `${one.address}%${name}` : one.address))

interface Transfer { readonly sending: Sending, readonly address: string, readonly request: Buffer, readonly began: number, repeats: number, done: Promise<void> }

export function createTftpServer (options: TftpOptions): TftpServer {
  const { port, log, clock, addresses = localAddresses, mostTransfers = 1_000, mostOfAddress = 256, patience = 30_000 } = options
  const listeners = new Map<string, Socket>()
  const faults = new Map<string, string>() // address → why nothing listens there
  const sendings = new Map<string, Transfer>()
  const ofAddress = new Map<string, number>() // transfers by the client's address
  let wake: (() => void) | undefined // ends the wait of an idle server
  const ending = new Set<Promise<void>>()
  let life: { readonly stop: AbortController, readonly done: Promise<unknown> } | undefined
  let starting: Promise<void> = Promise.resolve()

  function listen (address: string): Promise<void> {
    const family = address.includes(':') ? 'udp6' : 'udp4'
    const socket = createSocket({ type: family, ipv6Only: family === 'udp6', recvBufferSize: 1 << 20 })
    return new Promise(resolve => {
      socket.once('error', (error: NodeJS.ErrnoException) => {
        faults.set(address, remedyFor(error, address, port))
        socket.close()
        resolve()
      })
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeAllListeners('error')
        socket.on('error', error => { log.warn({ err: error, address }, 'TFTP listener failed'); drop(address) })
        socket.on('message', (bytes, from) => { hear(socket, address, bytes, from) })
        faults.delete(address)
        listeners.set(address, socket)
        resolve()
      })
    })
  }
  function drop (address: string): void {
    const socket = listeners.get(address)
    listeners.delete(address)
    socket?.close()
  }

  /** Opens what is new, closes what is gone. An address that cannot be bound yet (IPv6 still checking for duplicates) is tried again next time. */
  async function rescan (): Promise<void> {
    const now = new Set(addresses())
    for (const address of listeners.keys()) if (!now.has(address)) drop(address)
    for (const address of faults.keys()) if (!now.has(address)) faults.delete(address)
    await Promise.all([...now].filter(address => !listeners.has(address)).map(listen))
  }

  function hear (socket: Socket, local: string, bytes: Buffer, from: RemoteInfo): void {
    const refuse = (code: number, message: string) => { socket.send(encode({ op: 'error', code, message }), from.port, from.address, () => {}) }
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
    const before = sendings.get(key)
    // The same request once more while nothing has been acknowledged: our answer is late or lost, and will be repeated.
    if (before !== undefined && !before.sending.begun && before.request.equals(bytes)) { before.repeats++; return }
    if (before !== undefined) end(key, before, 'the client asked again')
    if ((ofAddress.get(from.address) ?? 0) >= mostOfAddress && !makeRoom(from.address)) return refuse(errorCode.undefined, 'Too many transfers to this address at once; try again')
    if (sendings.size >= mostTransfers && !makeRoom()) return refuse(errorCode.undefined, 'Too many transfers at once; try again')
    begin(key, local, packet, bytes, from, refuse)
  }

  /** Ends the oldest transfer (of that address) whose client has not said a word: its address may be forged. False when there is none. */
  function makeRoom (address?: string): boolean {
    const now = clock.monotonic()
    for (const [key, transfer] of sendings) {
      if (now - transfer.began < mayBeReplaced) return false // they are in order
      if (transfer.sending.begun || (address !== undefined && transfer.address !== address)) continue
      end(key, transfer, 'others needed its place')
      return true
    }
    return false
  }
  function end (key: string, transfer: Transfer, reason: string): void {
    forget(key, transfer)
    transfer.sending.abandon(reason)
  }
  /** Takes it off the books; its socket may still be closing. */
  function forget (key: string, transfer: Transfer): void {
    if (sendings.get(key) !== transfer) return
    sendings.delete(key)
    const left = (ofAddress.get(transfer.address) ?? 1) - 1
    if (left > 0) ofAddress.set(transfer.address, left)
    else ofAddress.delete(transfer.address)
  }

  function begin (key: string, local: string, packet: Request, bytes: Buffer, from: RemoteInfo, refuse: (code: number, message: string) => void): void {
    const sending = createSending({ local, remote: from, clock })
    const transfer: Transfer = { sending, address: from.address, request: Buffer.from(bytes), began: clock.monotonic(), repeats: 0, done: Promise.resolve() }
    sendings.set(key, transfer)
    ofAddress.set(from.address, (ofAddress.get(from.address) ?? 0) + 1)
    transfer.done = serve(transfer, local, packet, from, refuse).finally(() => { forget(key, transfer) })
    ending.add(transfer.done)
    void transfer.done.finally(() => { ending.delete(transfer.done) })
    wake?.()
  }

  /** One transfer, from the request to its end. Never rejects. */
  async function serve (transfer: Transfer, local: string, { name, mode, options: asked }: Request, from: RemoteInfo, refuse: (code: number, message: string) => void): Promise<void> {
    const { sending, address, began } = transfer
    let content: Content | undefined
    try {
      content = await options.open(name, { address, local })
      if (content === undefined) {
        log.debug({ from: address, name }, 'TFTP file not found')
        return refuse(errorCode.notFound, 'File not found')
      }
      if (mode === 'netascii') content = await inNetascii(content)
      const grant = negotiate(asked, mode === 'octet' ? content.size : undefined)
      const failure = await sending.run(content, grant, patience)
      if (!sending.probe) options.served({ address, name, bytes: sending.bytes, milliseconds: Math.round(clock.monotonic() - began), retries: sending.resent + transfer.repeats, failure })
    } catch (error) {
      log.warn({ err: error, from: address, name }, 'TFTP transfer failed')
      refuse(errorCode.undefined, 'The file cannot be read')
    } finally {
      await content?.close().catch((error: unknown) => log.warn({ err: error }, 'TFTP content was not closed'))
    }
  }

  async function keepTime (signal: AbortSignal): Promise<void> {
    let scanned = clock.monotonic()
    while (!signal.aborted) {
      if (sendings.size > 0) await clock.sleep(tick, signal)
      else await idle(rescanEvery - (clock.monotonic() - scanned), signal)
      await new Promise(resolve => { setImmediate(resolve) }) // answers that wait in the sockets are heard before anybody counts as late
      const now = clock.monotonic()
      for (const { sending } of sendings.values()) sending.expire(now)
      if (now - scanned < rescanEvery || signal.aborted) continue
      scanned = now
      await rescan().catch((error: unknown) => log.warn({ err: error }, 'TFTP rescan failed'))
    }
  }
  /** Waits for so many ms, or for a request. */
  async function idle (ms: number, signal: AbortSignal): Promise<void> {
    const nap = new AbortController()
    wake = () => { nap.abort() }
    signal.addEventListener('abort', wake, { once: true })
    await clock.sleep(ms, nap.signal)
    signal.removeEventListener('abort', wake)
    wake = undefined
  }

  return {
    name: 'tftp',
    start () {
      starting = starting.then(async () => {
        if (life !== undefined) return
        const stop = new AbortController()
        await rescan()
        life = { stop, done: keepTime(stop.signal) }
      })
      return starting
    },
    async stop () {
      starting = starting.catch(() => {}).then(async () => {
        life?.stop.abort()
        await life?.done
        life = undefined
        for (const { sending } of sendings.values()) sending.abandon('this server is stopping')
        await Promise.all(ending)
        for (const address of [...listeners.keys()]) drop(address)
        faults.clear()
      })
      await starting
    },
    health (): Health {
      if (life === undefined) return off('Not started.')
      if (faults.size === 0) return running
      return degraded([...new Set(faults.values())].join(' '))
    },
    listening: () => [...listeners.values()].map(socket => socket.address()),
    get transfers () { return sendings.size }
  }
}

async function inNetascii (content: Content): Promise<Content> {
  if (content.size > largestNetascii) return content
  const bytes = toNetascii(await wholeOf(content))
  await content.close()
  return memoryContent(bytes)
}

function remedyFor (error: NodeJS.ErrnoException, address: string, port: number): string {
  switch (error.code) {
    case 'EACCES': return `TFTP cannot listen on port ${port}: it takes root, or "setcap cap_net_bind_service=+ep" on the node program.`
    case 'EADDRINUSE': return `TFTP port ${port} of ${address} is taken by another program: "ss -ulpn sport = :${port}" names it.`
    default: return `TFTP cannot listen on ${address}: ${reasonOf(error)}`
  }
}
