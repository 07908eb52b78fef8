/** The halves of images, wired by hand: a region on a real database behind real HTTP, racks that call it directly. */
import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createApp } from '../../../core/http/app.ts'
import { createHooks } from '../../../core/hooks.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { systemClock } from '../../../core/clock.ts'
import type { Clock, Controller, Database } from '../../../core/plugin.ts'
import { createSecrets } from '../../../core/secrets.ts'
import region from '../../../plugins/images/region.ts'
import rack from '../../../plugins/images/rack.ts'
import type { NetworkService } from '../../../plugins/network/manifest.ts'
import { quiet, reported as stored } from '../../kit/parts.ts'

const controller = (id: string, dataDirectory: string): Controller => ({ id, hostname: id, roles: ['region'], version: '0', dataDirectory })
const shared = () => ({ hooks: createHooks(), log: quiet, metrics: createMetrics() })

export const setupRegion = (db: Database, attachments: NetworkService['attachments'] = async () => []) => region.setup({
  ...shared(), config: { peerPort: 0 }, deps: { network: { attachments } as NetworkService }, db, clock: systemClock, controller: controller('region', '/nowhere'), secrets: createSecrets(Buffer.alloc(32)),
  rack: () => { throw new TypeError('no racks here') }, racks: () => []
})
export type Region = ReturnType<typeof setupRegion>

/** The region's routes as the API host mounts them, on loopback. */
export async function serve (running: Region): Promise<{ readonly url: string, close(): Promise<void> }> {
  const app = createApp(quiet)
  await app.register(running.routes!, { prefix: '/api/v1/images' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/api/v1/images`, close: async () => { app.server.closeAllConnections(); await app.close() } }
}

export interface Reported { readonly sha256: string, readonly seconds: number }
type Chunk = (params: { sha256: string, offset: number }) => Promise<{ data: string, size: number }>
export function setupRack (chunk: Chunk, dataDirectory: string, { clock = systemClock, cacheDirectory, peerPort = 0 }: { readonly clock?: Clock, readonly cacheDirectory?: string, readonly peerPort?: number } = {}) {
  const reported: Reported[] = []
  const running = rack.setup({
    ...shared(), config: { peerPort, ...cacheDirectory === undefined ? {} : { cacheDirectory } }, deps: {}, clock, controller: controller('rack', dataDirectory), region: { chunk }, report: (_kind, body) => { reported.push(body); return stored }
  })
  return { running, reported, files: running.provides.files, service: running.services[0]! }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Bytes that pass for a part of an image, of any size. */
export const fakeKernel = (size = 4096): Buffer => { const bytes = Buffer.alloc(size, 7); bytes.write('HdrS', 0x202, 'latin1'); return bytes }
export const fakeInitrd = (size = 2000): Buffer => { const bytes = Buffer.alloc(size, 9); Buffer.from([0x1f, 0x8b]).copy(bytes); return bytes }
export function fakeRoot (size = 5000, fill = 5): Buffer {
  const bytes = Buffer.alloc(size, fill)
  bytes.write('hsqs', 0, 'latin1')
  bytes.writeBigUInt64LE(BigInt(size), 40)
  return bytes
}
