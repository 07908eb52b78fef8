/** Takes a file in: a stream into pieces in the database, counted only once its SHA-256 is right. */
import { createHash } from 'node:crypto'
import { BedplateError } from '../../core/errors.ts'
import type { Database } from '../../core/plugin.ts'
import { chunkBytes } from './manifest.ts'
import type { ImageFile } from './manifest.ts'
import { beginUpload, dropUpload, findFile, finishUpload, putChunk } from './store.ts'

/**
 * Stores what the stream gives as the file `sha256`. Memory stays at a few pieces however large the file: the stream is
 * read only as fast as the database writes. FILE_CORRUPT when the content is another one, INVALID_REQUEST when the
 * stream breaks off; nothing of it is kept then.
 */
export async function storeFile (db: Database, sha256: string, stream: AsyncIterable<Uint8Array>): Promise<ImageFile> {
  const upload = await beginUpload(db)
  try {
    const hash = createHash('sha256')
    let size = 0
    let number = 0
    for await (const piece of pieces(broken(stream))) {
      hash.update(piece)
      size += piece.length
      await putChunk(db, upload, number++, piece)
    }
    const found = hash.digest('hex')
    if (found !== sha256) throw new BedplateError('FILE_CORRUPT', { sha256, found })
    await db.tx(tx => finishUpload(tx, upload, { sha256, size }))
    return { sha256, size }
  } catch (error) {
    // A commit whose answer was lost may have happened: then the upload is the file, and stays.
    const stored = await findFile(db, sha256).catch(() => undefined)
    if (stored === undefined) await dropUpload(db, upload).catch(() => {}) // else the sweep takes it
    throw error
  }
}

async function * broken (stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield * stream
  } catch (error) {
    throw new BedplateError('INVALID_REQUEST', { reason: 'the upload broke off before its end' }, error)
  }
}

/** The stream cut anew into pieces of chunkBytes, the last one shorter. The buffer handed out is used again for the next piece. */
export async function * pieces (stream: AsyncIterable<Uint8Array>, length = chunkBytes): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  for await (const bytes of stream) {
    for (let at = 0; at < bytes.length;) {
      const taken = Math.min(bytes.length - at, length - filled)
      buffer.set(bytes.subarray(at, at + taken), filled)
      at += taken
      filled += taken
      if (filled === length) {
        yield buffer
        filled = 0
      }
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled)
}
