/** Brings one file from a region to the disk: in pieces, going on where an earlier try stopped, verified before it gets its name. */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { constants, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import { chunkBytes } from './manifest.ts'

/** A piece of a file from `offset` (empty only past the end), and the size of the whole. */
export type Fetch = (sha256: string, offset: number, signal: AbortSignal) => Promise<{ readonly data: Uint8Array, readonly size: number }>
export interface PullOptions {
  readonly directory: string, readonly sha256: string, readonly fetch: Fetch, readonly signal: AbortSignal
  /** Bytes that are here, of how many. */
  progress?(done: number, size: number): void
}

const partSuffix = '.part'

/**
 * Resolves with the file's size once it lies whole, verified and flushed under its SHA-256 in the directory. What was
 * pulled stays as a partial file when a piece cannot be had; FILE_CORRUPT drops it.
 */
export async function pullFile ({ directory, sha256, fetch, signal, progress }: PullOptions): Promise<number> {
  const part = join(directory, sha256 + partSuffix)
  const handle = await open(part, constants.O_RDWR | constants.O_CREAT, 0o644)
  let size: number
  try {
    const hash = createHash('sha256')
    let offset = await hashed(handle, hash, signal)
    let next = fetch(sha256, offset, signal)
    for (;;) {
      const piece = await next
      signal.throwIfAborted()
      size = piece.size
      if (offset + piece.data.length > size || (piece.data.length === 0 && offset < size)) throw await corrupt(part, sha256, `${offset + piece.data.length} bytes of ${size}`)
      const at = offset
      offset += piece.data.length
      // The next piece travels while this one is written.
      if (offset < size) { next = fetch(sha256, offset, signal); next.catch(() => {}) }
      hash.update(piece.data)
      await writeAll(handle, piece.data, at)
      progress?.(offset, size)
      if (offset >= size) break
    }
    const found = hash.digest('hex')
    if (found !== sha256) throw await corrupt(part, sha256, found)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, join(directory, sha256))
  await flushDirectory(directory)
  return size
}

async function corrupt (part: string, sha256: string, found: string): Promise<BedplateError> {
  await rm(part, { force: true })
  return new BedplateError('FILE_CORRUPT', { sha256, found })
}

/** Runs what is in the file already through the hash; resolves with how much that is. */
async function hashed (handle: FileHandle, hash: Hash, signal: AbortSignal): Promise<number> {
  const buffer = Buffer.allocUnsafe(chunkBytes)
  for (let offset = 0; ;) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset)
    if (bytesRead === 0) return offset
    hash.update(buffer.subarray(0, bytesRead))
    offset += bytesRead
  }
}

async function writeAll (handle: FileHandle, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length;) done += (await handle.write(data, done, data.length - done, position + done)).bytesWritten
}

/** Makes the new name survive a power cut. */
async function flushDirectory (directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY)
  try { await handle.sync() } finally { await handle.close() }
}
