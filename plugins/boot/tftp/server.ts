/** The TFTP server's listeners: one per local address, so that answers leave from the address that was asked; and the clock that drives its transfers. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Health, Service } from '../../../core/plugin.ts'
import { createRequests } from './requests.ts'
import type { RequestOptions } from './requests.ts'

export type { Client, Served } from './requests.ts'
export interface TftpOptions extends RequestOptions {
  readonly port: number
  /** Local addresses to listen on, looked at every few seconds. */
  readonly addresses?: () => readonly string[]
}
export interface TftpServer extends Service {
  /** Where it listens now. */
  listening(): readonly { readonly address: string, readonly port: number }[]
  readonly transfers: number
  /** An address has come or gone: it is listened on, or no more, at once. */
  look(): void
}

const rescanEvery = 2_000
const tick = 5 // ms: a lost packet costs a client at least 20

/** All addresses of this host; link-local IPv6 ones with their interface, which a socket needs to know. */
export const localAddresses = (): readonly string[] => Object.entries(networkInterfaces()).flatMap(([name, list]) =>
  (list ?? []).map(one => one.family === 'IPv6' && one.scopeid > 0 ? `${one.address}%${name}` : one.address))

export function createTftpServer (options: TftpOptions): TftpServer {
  const { port, log, clock, addresses = localAddresses } = options
  const requests = createRequests(options)
  const listeners = new Map<string, Socket>()
  const faults = new Map<string, string>() // address → why nothing listens there
  let hurried = false
  let wake: (() => void) | undefined // ends the wait of an idle server
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
        socket.on('message', (bytes, from) => {
          requests.hear(address, bytes, from, answer => {
            if (listeners.get(address) !== socket) return
            try { socket.send(answer, from.port, from.address, () => {}) } catch (error) { log.debug({ to: from.address, reason: reasonOf(error) }, 'a TFTP answer could not be sent') } // lost, as on the wire
          })
          wake?.()
        })
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

  async function keepTime (signal: AbortSignal): Promise<void> {
    let scanned = clock.monotonic()
    while (!signal.aborted) {
      if (requests.transfers > 0) await clock.sleep(tick, signal)
      else await idle(Math.max(1, rescanEvery - (clock.monotonic() - scanned)), signal)
      await new Promise(resolve => { setImmediate(resolve) }) // answers that wait in the sockets are heard before anybody counts as late
      requests.expire()
      const now = clock.monotonic()
      if ((!hurried && now - scanned < rescanEvery) || signal.aborted) continue
      hurried = false
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
        for (const address of [...listeners.keys()]) drop(address) // first: nothing begins any more
        faults.clear()
        await requests.end()
      })
      await starting
    },
    health (): Health {
      if (life === undefined) return off('Not started.')
      if (faults.size === 0) return running
      return degraded([...new Set(faults.values())].join(' '))
    },
    look () { hurried = true; wake?.() },
    listening: () => [...listeners.values()].map(socket => socket.address()),
    get transfers () { return requests.transfers }
  }
}

function remedyFor (error: NodeJS.ErrnoException, address: string, port: number): string {
  switch (error.code) {
    case 'EACCES': return `TFTP cannot listen on port ${port}: it takes root, or "setcap cap_net_bind_service=+ep" on the node program.`
    case 'EADDRINUSE': return `TFTP port ${port} of ${address} is taken by another program: "ss -ulpn sport = :${port}" names it.`
    default: return `TFTP cannot listen on ${address}: ${reasonOf(error)}`
  }
}
