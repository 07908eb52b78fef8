/** The TFTP server's sockets: one listener per local address, so that answers leave from the address that was asked, and one socket per transfer. */
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { hasCode, reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Clock, Health, Logger, Service } from '../../../core/plugin.ts'
import { decode, encode, errorCode, negotiate, toNetascii } from './packet.ts'
import type { Packet, Request } from './packet.ts'
import { memoryContent } from './content.ts'
import type { Content } from './content.ts'
import { createSending } from './sending.ts'
import type { Sending } from './sending.ts'

export interface Served { readonly address: string, readonly name: string, readonly bytes: number, readonly milliseconds: number, readonly resent: number, readonly failure: string | null }
export interface TftpOptions {
  readonly port: number // 0: any, the same for no two addresses; for tests
  readonly log: Logger
  readonly clock: Clock
  /** The content of a name as the client sent it; undefined: not found. */
  open(name: string): Promise<Content | undefined>
  served(what: Served): void
  dropped?(): void
  /** Local addresses to listen on, looked at every few seconds. */
  readonly addresses?: () => readonly string[]
  readonly mostTransfers?: number
  /** A client that acknowledges nothing for so long, in ms, is given up. */
  readonly patience?: number
}
export interface TftpServer extends Service {
  /** Where it listens now. */
  listening(): readonly { readonly address: string, readonly port: number }[]
  readonly transfers: number
}

const rescanEvery = 2_000
const tick = 50
const largestNetascii = 64 << 20

/** All addresses of this host; link-local IPv6 ones with their interface, which a socket needs to know. */
export const localAddresses = (): readonly string[] => Object.entries(networkInterfaces()).flatMap(([name, list]) =>
  (list ?? []).map(one => one.family === 'IPv6' && one.scopeid > 0 ? `${one.address}%${name}` : one.address))

export function createTftpServer (options: TftpOptions): TftpServer {
  const { port, log, clock, addresses = localAddresses, mostTransfers = 1_000, patience = 30_000 } = options
  const listeners = new Map<string, Socket>()
  const faults = new Map<string, string>() // address → why nothing listens there
  const sendings = new Map<string, { readonly sending: Sending, readonly request: Buffer, readonly done: Promise<void> }>()
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
    if (before !== undefined && !before.sending.begun && before.request.equals(bytes)) return
    before?.sending.abandon('the client asked again')
    if (sendings.size >= mostTransfers) return refuse(errorCode.undefined, 'Too many transfers at once; try again')
    begin(key, local, packet, bytes, from, refuse)
  }

  function begin (key: string, local: string, request: Request, bytes: Buffer, from: RemoteInfo, refuse: (code: number, message: string) => void): void {
    const began = clock.monotonic()
    const sending = createSending({ local, remote: from, clock })
    const serve = async (): Promise<void> => {
      let content: Content | undefined
      try {
        content = await options.open(request.name)
        if (content === undefined) {
          log.debug({ from: from.address, name: request.name }, 'TFTP file not found')
          return refuse(errorCode.notFound, 'File not found')
        }
        if (request.mode === 'netascii') content = await inNetascii(content)
        const grant = negotiate(request.options, request.mode === 'octet' ? content.size : undefined)
        const failure = await sending.run(content, grant, patience)
        if (!sending.probe) options.served({ address: from.address, name: request.name, bytes: sending.bytes, milliseconds: Math.round(clock.monotonic() - began), resent: sending.resent, failure })
      } catch (error) {
        log.warn({ err: error, from: from.address, name: request.name }, 'TFTP transfer failed')
        refuse(errorCode.undefined, 'The file cannot be read')
      } finally {
        if (sendings.get(key)?.sending === sending) sendings.delete(key)
        await content?.close().catch((error: unknown) => log.warn({ err: error }, 'TFTP content was not closed'))
      }
    }
    sendings.set(key, { sending, request: Buffer.from(bytes), done: Promise.resolve().then(serve) })
  }

  async function keepTime (signal: AbortSignal): Promise<void> {
    let scanned = clock.monotonic()
    while (!signal.aborted) {
      await clock.sleep(tick, signal)
      await new Promise(resolve => { setImmediate(resolve) }) // answers that wait in the sockets are heard before anybody counts as late
      const now = clock.monotonic()
      for (const { sending } of sendings.values()) sending.expire(now)
      if (now - scanned < rescanEvery || signal.aborted) continue
      scanned = now
      await rescan().catch((error: unknown) => log.warn({ err: error }, 'TFTP rescan failed'))
    }
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
        const ended = [...sendings.values()].map(({ sending, done }) => { sending.abandon('this server is stopping'); return done })
        await Promise.all(ended)
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
  const bytes = toNetascii(await content.read(0, content.size))
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
