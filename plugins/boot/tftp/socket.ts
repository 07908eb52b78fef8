/** Opens the way to a client: by the system's own calls where there are any, else by Node's socket. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { directWire } from './direct.ts'
import { packetsOf } from './packet.ts'
import { systemCalls } from './system.ts'
import type { System } from './system.ts'
import type { Remote, Wire, WireEvents } from './wire.ts'

/** Opens one; rejects with the system's error, or with UNAVAILABLE. `system`: what stands in for this system's calls; null: none. */
export async function openWire (local: string, remote: Remote, events: WireEvents, system?: System | null): Promise<Wire> {
  const calls = system === undefined ? await systemCalls() : system ?? undefined
  return calls === undefined ? plainWire(local, remote, events) : directWire(calls, local, remote, events)
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
const connected = (socket: Socket, how: { readonly address: string, readonly port: number, readonly exclusive: boolean }, remote: Remote): Promise<void> => new Promise((resolve, reject) => {
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
