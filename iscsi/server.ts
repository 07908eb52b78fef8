/** The target's listener: connections in, and a look now and then at those that have gone quiet. */
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { Connection } from './connection.ts'
import type { ConnectionOptions } from './connection.ts'
import { Portal } from './portal.ts'
import type { PortalOptions } from './portal.ts'
import type { Target } from './target.ts'

export interface ServerOptions extends PortalOptions {
  readonly host: string
  readonly port: number
  readonly log?: ConnectionOptions['log']
  /** Connections at once, those that log in among them. */
  readonly most?: number
  /** ms of silence after which an initiator is asked whether it is there. */
  readonly quiet?: number
}
export interface TargetServer {
  /** As it listens; the port is the one it was given when 0 was asked for. */
  readonly address: { readonly host: string, readonly port: number }
  /** What is offered from now on; see Portal.offer. */
  offer(targets: readonly Target[]): void
  readonly sessions: number
  readonly connections: number
  close(): Promise<void>
}

const lookEvery = 5_000

/** Listens; rejects when the address cannot be had. */
export async function serve ({ host, port, log = () => {}, most = 4096, quiet = 60_000, ...rest }: ServerOptions): Promise<TargetServer> {
  const portal = new Portal(rest)
  const connections = new Set<Connection>()
  const server: Server = createServer({ noDelay: true }, (socket: Socket) => {
    const address = `${socket.localFamily === 'IPv6' ? `[${socket.localAddress}]` : socket.localAddress}:${socket.localPort}`
    const connection = new Connection({ socket, portal, address, log })
    connections.add(connection)
    socket.once('close', () => { connections.delete(connection) })
  })
  server.maxConnections = most
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => { server.off('error', reject); resolve() })
  })
  const timer = setInterval(() => { for (const connection of connections) connection.watch(performance.now(), quiet) }, lookEvery)
  const bound = server.address()
  return {
    address: { host, port: typeof bound === 'object' && bound !== null ? bound.port : port },
    offer: targets => { portal.offer(targets) },
    get sessions () { return portal.sessionCount },
    get connections () { return connections.size },
    async close () {
      clearInterval(timer)
      const closed = new Promise<void>(resolve => { server.close(() => { resolve() }) })
      portal.close()
      for (const connection of connections) connection.end('the target is stopping')
      await closed
    }
  }
}
