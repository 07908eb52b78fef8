/** images, the rack half: a verified copy of every file on the rack's own disk. */
import { join } from 'node:path'
import { defineRack } from '../../core/plugin.ts'
import { createCache } from './cache.ts'
import { Files, manifest } from './manifest.ts'

export default defineRack(manifest, {
  requires: {},
  provides: { files: Files },
  setup ({ config, controller, region, clock, log, metrics, report }) {
    const pulled = metrics.counter('images_pulled_bytes_total', 'Bytes of image files pulled from regions.')
    const cache = createCache({
      directory: config.cacheDirectory ?? join(controller.dataDirectory, 'images'),
      async fetch (sha256, offset, signal) {
        const { data, size } = await region.chunk({ sha256, offset }, { signal })
        const bytes = Buffer.from(data, 'base64')
        pulled.inc(bytes.length)
        return { data: bytes, size }
      },
      clock,
      log,
      arrived: (sha256, seconds) => report('held', { sha256, seconds })
    })
    return {
      provides: { files: cache },
      rpc: {},
      services: [cache],
      apply: ({ put, remove }, whole) => cache.want(put.map(({ value }) => value), remove.map(({ id }) => id), whole)
    }
  }
})
