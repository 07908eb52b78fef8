/** How datagrams come and go: one UDP socket for each address family. Another one may be handed in wherever one is taken. */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'

export type Receive = (datagram: Buffer, address: string, port: number) => void
export interface Transport {
  /** `address`: an IP address. What cannot be sent is lost, as it might be on its way. */
  send(datagram: Buffer, address: string, port: number): void
  close(): Promise<void>
}
export type OpenTransport = (receive: Receive) => Transport

/** Addresses are known by now: without this each datagram would wait for a lookup of its own. */
const asGiven = (address: string, _family: unknown, done: (error: null, address: string, family: number) => void): void => { done(null, address, isIPv6(address) ? 6 : 4) }
const receiveBuffer = 4 * 1024 * 1024 // thousands of BMCs may answer at once

/** Sockets are opened when something is first sent. */
export const udpTransport: OpenTransport = receive => {
  const sockets: Partial<Record<'udp4' | 'udp6', Socket>> = {}
  const open = (type: 'udp4' | 'udp6'): Socket => {
    const socket = createSocket({ type, lookup: asGiven, ipv6Only: type === 'udp6' })
    socket.on('message', (datagram, { address, port }) => { receive(datagram, address, port) })
    socket.on('error', () => undefined) // of one datagram, which is then lost
    socket.once('listening', () => { try { socket.setRecvBufferSize(receiveBuffer) } catch { /* the system's own size will do */ } })
    return socket
  }
  return {
    send (datagram, address, port) {
      const type = isIPv6(address) ? 'udp6' : 'udp4'
      const socket = sockets[type] ??= open(type)
      socket.send(datagram, port, address)
    },
    async close () {
      await Promise.all(Object.values(sockets).map(socket => new Promise<void>(resolve => { socket.close(() => { resolve() }) })))
    }
  }
}
