/** A TFTP server and boot's rack half on loopback, with what they need faked at the edge. */
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../../../core/http/app.ts'
import { systemClock } from '../../../core/clock.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import rack from '../../../plugins/boot/rack.ts'
import { createTftpServer } from '../../../plugins/boot/tftp/server.ts'
import type { Served, TftpOptions } from '../../../plugins/boot/tftp/server.ts'
import { Chain } from '../../../plugins/dhcp/v4/chain.ts'
import { createLoaders } from '../../../plugins/boot/firmware/loaders.ts'
import { decode } from '../../../plugins/boot/tftp/packet.ts'
import type { Packet } from '../../../plugins/boot/tftp/packet.ts'
import type { FileStore } from '../../../plugins/images/manifest.ts'
import { quiet, reported } from '../../kit/parts.ts'

/** A folder with files in it, gone after `remove()`. */
export async function folder (files: Readonly<Record<string, Uint8Array>>): Promise<{ readonly path: string, remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'bedplate-boot-'))
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes)
  return { path, remove: () => rm(path, { recursive: true }) }
}

/** A UDP port that was free a moment ago. */
export async function freePort (): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => { socket.bind(0, '0.0.0.0', resolve) })
  const { port } = socket.address()
  await new Promise<void>(resolve => { socket.close(resolve) })
  return port
}

export async function tftpServer (directory: string, options: Partial<TftpOptions> = {}) {
  const loaders = createLoaders([directory])
  await loaders.scan()
  const served: Served[] = []
  let dropped = 0
  const port = options.port ?? await freePort()
  const server = createTftpServer({ port, log: quiet, clock: systemClock, open: name => loaders.open(name), served: what => served.push(what), dropped: () => dropped++, addresses: () => ['127.0.0.1', '::1'], ...options })
  await server.start(new AbortController().signal)
  return { server, served, port, get dropped () { return dropped } }
}

/** A client made of a bare socket: sends what it is told and keeps what it hears. */
export async function bareClient (address = '127.0.0.1') {
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const heard: { readonly packet: Packet, readonly from: string, readonly port: number }[] = []
  socket.on('message', (bytes, from) => heard.push({ packet: decode(Buffer.from(bytes)), from: from.address, port: from.port }))
  await new Promise<void>(resolve => { socket.bind(0, address, resolve) })
  return { heard, send: (bytes: Uint8Array, port: number, to = address) => { socket.send(bytes, port, to) }, close: () => new Promise<void>(resolve => { socket.close(() => resolve()) }) }
}

type Certify = (request: { publicKey: string, addresses: string[] }) => Promise<{ certificate: string, authority: string }>
export type Report = Record<string, unknown>
/** boot's rack half: its HTTP routes mounted at /boot as the kernel does, its services not started. */
export async function rackHalf (files: FileStore, config: { readonly loaderDirectory: string, readonly tftpPort?: number, readonly httpsPort?: number, readonly dataDirectory?: string, readonly certify?: Certify }) {
  const reports: Report[] = []
  const tftpPort = config.tftpPort ?? await freePort()
  const dhcp = new Chain({ httpPort: 5248, firmwareLeaseSeconds: 120, log: quiet })
  const running = rack.setup({
    config: { tftpPort, httpsPort: config.httpsPort ?? 0, iscsiPort: 0, loaderDirectory: config.loaderDirectory, console: 'console=ttyS0' },
    deps: { files, dhcp }, hooks: createHooks(), log: quiet, clock: systemClock, metrics: createMetrics(), region: { certify: config.certify ?? (() => Promise.reject(new TypeError('there is no region'))) },
    controller: { id: 'rack', hostname: 'rack', roles: ['rack'], version: '0', dataDirectory: config.dataDirectory ?? '/nowhere' }, report: (_kind, body) => { reports.push(body); return reported }
  })
  const app = createApp(quiet)
  await app.register(running.routes!, { prefix: '/boot' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { running, dhcp, reports, app, tftpPort, base: `http://127.0.0.1:${port}`, close: async () => { app.server.closeAllConnections(); await app.close() } }
}
