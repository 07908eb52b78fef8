/** The target's listeners: connections in, and a look now and then at those that have gone quiet. */
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { Connection } from './connection.ts'
import type { SessionEvent } from './connection.ts'
import { Portal } from './portal.ts'
import type { PortalOptions } from './portal.ts'
import type { Target } from './target.ts'
import { Traffic } from './traffic.ts'

export interface Address { readonly host: string, readonly port: number }
export interface ServerOptions extends PortalOptions {
  /** Where it listens; `::` and `0.0.0.0` are all addresses there are. Port 0: one that is free. */
  readonly portals: readonly Address[]
  /** Hears of sessions with a target. Must not throw. */
  readonly told?: (event: SessionEvent) => void
  /** Connections at once. */
  readonly most?: number
  /** Of these, how many may be without a login; the oldest makes room for another. */
  readonly mostStrangers?: number
  /** ms of silence after which an initiator is asked whether it is there. */
  readonly quiet?: number
  /** ms: a login that takes longer is given up. */
  readonly loginPatience?: number
}
export interface TargetServer {
  /** As it listens, with the ports it was given where 0 was asked for. */
  readonly addresses: readonly Address[]
  /** What is offered from now on; see Portal.offer. */
  offer(targets: readonly Target[]): void
  readonly sessions: number
  readonly connections: number
  close(): Promise<void>
}

const lookEvery = 5_000
const everywhere = new Set(['::', '0.0.0.0'])
const plain = (address = ''): string => address.replace(/^::ffff:(?=\d+\.)/, '')
/** `127.0.0.1:3260`, `[::1]:3260` */
export const written = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Listens; rejects when an address cannot be had, and then listens on none. */
export async function serve ({ portals, log = () => {}, told, most = 4096, mostStrangers = 512, quiet = 60_000, loginPatience, ...rest }: ServerOptions): Promise<TargetServer> {
  const portal = new Portal({ ...rest, log })
  const traffic = new Traffic({ loginPatience })
  const connections = new Set<Connection>()
  const strangers = new Set<Connection>() // in the order they came
  const listeners: { readonly server: Server, readonly address: Address }[] = []
  const addresses = (): Address[] => listeners.map(({ address }) => address)

  function welcome (socket: Socket): void {
    if (connections.size >= most && strangers.size === 0) { socket.destroy(); return }
    const own = written({ host: plain(socket.localAddress), port: socket.localPort ?? 0 })
    const reached = (): string[] => [...new Set([own, ...addresses().filter(({ host }) => !everywhere.has(host)).map(written)])]
    const connection: Connection = new Connection({
      socket, portal, traffic, addresses: reached, log, loggedIn: () => { strangers.delete(connection) }, told
    })
    connections.add(connection)
    strangers.add(connection)
    socket.once('close', () => { connections.delete(connection); strangers.delete(connection) })
    if (strangers.size <= mostStrangers && connections.size <= most) return
    const [oldest] = strangers
    oldest?.end('others wait to log in')
  }

  const close = async (): Promise<void> => {
    const closed = listeners.map(({ server }) => new Promise<void>(resolve => { server.close(() => { resolve() }) }))
    portal.close()
    for (const connection of connections) connection.end('the target is stopping')
    await Promise.all(closed)
  }
  for (const asked of portals) {
    try {
      const server = createServer({ noDelay: true }, welcome)
      await listening(server, asked)
      const bound = server.address()
      listeners.push({ server, address: { host: asked.host, port: typeof bound === 'object' && bound !== null ? bound.port : asked.port } })
    } catch (error) {
      await close()
      throw error
    }
  }
  const timer = setInterval(() => { for (const connection of connections) connection.watch(performance.now(), quiet) }, Math.min(lookEvery, quiet))
  return {
    addresses: addresses(),
    offer: targets => { portal.offer(targets) },
    get sessions () { return portal.sessionCount },
    get connections () { return connections.size },
    close () { clearInterval(timer); return close() }
  }
}

const listening = (server: Server, { host, port }: Address): Promise<void> => new Promise((resolve, reject) => {
  server.once('error', reject)
  server.listen(port, host, () => { server.off('error', reject); resolve() })
})
