/** images, the rack half: a verified copy of every file on the rack's own disk. */
import { join } from 'node:path'
import { defineRack } from '../../core/plugin.ts'
import { createCache } from './cache.ts'
import { Files, manifest } from './manifest.ts'
import { createPeer } from './peers.ts'
import type { Source } from './pull.ts'

export default defineRack(manifest, {
  requires: {},
  provides: { files: Files },
  setup ({ config, controller, region, clock, log, metrics, report }) {
    const pulled = metrics.counter('images_pulled_bytes_total', 'Bytes of image files pulled from regions.')
    const peers = new Map<string, (Source & { close(): void })[]>() // by rack
    const home: Source = {
      name: 'a region',
      async fetch (sha256, offset, signal) {
        const { data, size } = await region.chunk({ sha256, offset }, { signal })
        const bytes = Buffer.from(data, 'base64')
        pulled.inc(bytes.length)
        return { data: bytes, size }
      }
    }
    const cache = createCache({
      directory: config.cacheDirectory ?? join(controller.dataDirectory, 'images'),
      sources: () => [home, ...[...peers.values()].flat()],
      clock,
      log,
      arrived: (sha256, seconds) => report('held', { sha256, seconds })
    })
    return {
      provides: { files: cache },
      rpc: {},
      services: [cache],
      apply ({ put, remove }, whole) {
        for (const [id, had] of peers) if (whole || [...put, ...remove].some(one => one.kind === 'peer' && one.id === id)) { peers.delete(id); for (const peer of had) peer.close() }
        if (config.peerPort !== 0) for (const entry of put) if (entry.kind === 'peer') peers.set(entry.id, entry.value.addresses.map(address => createPeer(entry.id, address, config.peerPort)))
        cache.want(put.flatMap(entry => entry.kind === 'file' ? [entry.value] : []), remove.flatMap(({ kind, id }) => kind === 'file' ? [id] : []), whole)
      }
    }
  }
})
