/** images, the region half: keeps the files in the database and hands them to racks piece by piece. */
import { BedplateError } from '../../core/errors.ts'
import { defineRegion } from '../../core/plugin.ts'
import { imageRoutes } from './api.ts'
import { chunkBytes, Images, manifest } from './manifest.ts'
import { findImage, hold, listImages, newestOf, readChunk, sweep, wantedFiles } from './store.ts'

export default defineRegion(manifest, {
  requires: {},
  provides: { images: Images },
  setup ({ db }) {
    return {
      provides: { images: { list: q => listImages(q), find: findImage, ephemeral: newestOf } },
      rpc: {
        async chunk ({ sha256, offset }) {
          const within = offset % chunkBytes
          const read = await readChunk(db, sha256, Math.floor(offset / chunkBytes), within, chunkBytes - within)
          if (read === undefined) throw new BedplateError('NOT_FOUND', { what: 'file', id: sha256 })
          return { data: read.data.toString('base64'), size: read.size }
        }
      },
      services: [],
      routes: imageRoutes(db),
      async wanted (_rack, keys) {
        const files = await wantedFiles(db, keys?.map(({ id }) => id))
        return files.map(file => ({ kind: 'file' as const, id: file.sha256, value: file }))
      },
      touches: async changes => changes.filter(({ topic }) => topic === 'images.file').map(({ id }) => ({ kind: 'file' as const, id })),
      async facts (tx, rack, batch) {
        await hold(tx, rack, batch.map(({ body }) => body.sha256))
      },
      reconcile: () => db.tx(sweep)
    }
  }
})
