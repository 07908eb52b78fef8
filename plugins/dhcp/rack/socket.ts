/** The sockets of a rack: one per interface it serves, opened and closed as segments come and go, the others untouched. */
import { readFile } from 'node:fs/promises'
import { reasonOf } from '../../../core/errors.ts'
import type { Logger } from '../../../core/plugin.ts'
import { openDatagrams } from '../../../core/socket.ts'
import type { Datagrams } from '../../../core/socket.ts'
import type { Send } from '../v4/server.ts'

/** `from`: the sender's address. IPv4 and port 67 unless said otherwise; `groups`: IPv6 multicast groups joined on every interface. */
export interface SocketsOptions { readonly received: (device: string, data: Buffer, send: Send, from: string, port: number) => void, readonly log: Logger, readonly port?: number, readonly family?: 4 | 6, readonly groups?: readonly string[] }
interface Open { readonly socket: Datagrams, readonly index: string, broken?: string }

/** The number of the interface, or '' where it cannot be told: one that went and came back has another, and its old socket is deaf. */
const indexOf = (device: string): Promise<string> => readFile(`/sys/class/net/${device}/ifindex`, 'utf8').catch(() => '')

export class Sockets {
  private readonly options: SocketsOptions
  private readonly open = new Map<string, Open>()
  private wanted: ReadonlySet<string> = new Set()
  private work: Promise<void> = Promise.resolve()
  /** Why an interface is not served, by its name. */
  readonly problems = new Map<string, string>()

  constructor (options: SocketsOptions) { this.options = options }

  /** Makes the open sockets those of `devices`. Resolves when tried; what failed is in `problems` and is tried again by the next call. */
  serve (devices: ReadonlySet<string>): Promise<void> {
    this.wanted = devices
    return this.work = this.work.then(() => this.sync())
  }

  private async sync (): Promise<void> {
    for (const device of this.problems.keys()) if (!this.wanted.has(device)) this.problems.delete(device)
    for (const [device, { index, broken }] of this.open) {
      if (!this.wanted.has(device) || broken !== undefined || index !== await indexOf(device)) await this.close(device)
    }
    for (const device of this.wanted) if (!this.open.has(device)) await this.start(device)
  }

  private async start (device: string): Promise<void> {
    const { received, log, port = 67, family = 4, groups = [] } = this.options
    try {
      const index = await indexOf(device)
      const socket = await openDatagrams({ port, device, family, groups }, {
        received: (data, from) => { received(device, data, send, from.address, from.port) },
        lost: error => { log.debug({ interface: device, reason: reasonOf(error) }, 'a reply could not be sent') },
        failed: error => {
          const found = this.open.get(device)
          if (found?.socket !== socket) return
          log.warn({ interface: device, reason: reasonOf(error) }, 'the socket of an interface broke')
          found.broken = reasonOf(error)
          this.problems.set(device, `${device}: ${reasonOf(error)}`)
        }
      })
      const send: Send = (data, to, address) => { socket.send(data, to, address) }
      this.open.set(device, { socket, index })
      if (this.problems.delete(device)) log.info({ interface: device }, 'the interface is served again')
    } catch (error) {
      const reason = `${device}: ${reasonOf(error)}`
      if (this.problems.get(device) !== reason) log.warn({ reason }, 'an interface cannot be served')
      this.problems.set(device, reason)
    }
  }

  private async close (device: string): Promise<void> {
    const found = this.open.get(device)
    this.open.delete(device)
    await found?.socket.close()
  }
}
