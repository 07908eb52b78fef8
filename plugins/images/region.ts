/** images, the region half: keeps the files in the database and hands them to racks piece by piece. */
import { BedplateError } from '../../core/errors.ts'
import { defineRegion } from '../../core/plugin.ts'
import { Network } from '../network/manifest.ts'
import { imageRoutes } from './api.ts'
import { chunkBytes, Images, manifest } from './manifest.ts'
import { peersOf } from './neighbours.ts'
import { findImage, hold, listImages, newestOf, readChunk, sweep, wantedFiles } from './store.ts'

export default defineRegion(manifest, {
  requires: { network: Network },
  provides: { images: Images },
  setup ({ db, deps: { network } }) {
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
      async wanted (rack, keys) {
        const asked = (kind: 'file' | 'peer') => keys?.filter(key => key.kind === kind).map(({ id }) => id)
        const [files, peers] = [asked('file'), asked('peer')]
        return [
          ...files?.length === 0 ? [] : (await wantedFiles(db, files)).map(file => ({ kind: 'file' as const, id: file.sha256, value: file })),
          ...peers?.length === 0 ? [] : peersOf(rack, await network.attachments(db)).filter(({ id }) => peers?.includes(id) !== false).map(({ id, addresses }) => ({ kind: 'peer' as const, id, value: { addresses } }))
        ]
      },
      async touches (changes) {
        const files = changes.filter(({ topic }) => topic === 'images.file').map(({ id }) => ({ kind: 'file' as const, id }))
        const moved = changes.filter(({ topic }) => topic === 'network.attachment' || topic === 'network.subnet').map(({ id }) => id)
        if (moved.length === 0) return files
        // A rack that has moved has other neighbours, and they another one: there are few racks, and little is told of each.
        return [...files, ...[...new Set([...moved, ...(await network.attachments(db)).map(({ rack }) => rack)])].map(id => ({ kind: 'peer' as const, id }))]
      },
      async facts (tx, rack, batch) {
        await hold(tx, rack, batch.map(({ body }) => body.sha256))
      },
      reconcile: () => db.tx(sweep)
    }
  }
})
