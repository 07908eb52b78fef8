/** Brings one file to the disk: in pieces, from a region or another rack, going on at the next where one fails, verified as it comes in and before it gets its name. */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { constants, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import { chunkBytes } from './manifest.ts'

/** A piece of a file from `offset` (empty only past the end), and the size of the whole. */
export type Fetch = (sha256: string, offset: number, signal: AbortSignal) => Promise<{ readonly data: Uint8Array, readonly size: number }>
/** Somewhere a file may be had. */
export interface Source { readonly name: string, readonly fetch: Fetch }
export interface PullOptions {
  readonly directory: string, readonly sha256: string, readonly signal: AbortSignal
  /** In the order they are asked; one that fails is left for the next, at the byte it failed at. */
  readonly sources: readonly Source[]
  /** Bytes the whole should have, when that is known: a source that says otherwise has another file. */
  readonly size?: number | undefined
  /** Bytes that are here, of how many. */
  progress?(done: number, size: number): void
  /** A source failed, and another one is asked. */
  passed?(source: Source, error: unknown): void
}

const partSuffix = '.part'

/**
 * Resolves with the file's size once it lies whole, verified and flushed under its SHA-256 in the directory. What was
 * pulled stays as a partial file when no source has the next piece; FILE_CORRUPT drops it, and so does a full disk (UNAVAILABLE).
 * Where the whole is wrong it is pulled anew from those who gave none of it.
 */
export async function pullFile (options: PullOptions): Promise<number> {
  const { directory, sha256, sources } = options
  const part = join(directory, sha256 + partSuffix)
  let left = sources
  for (;;) {
    const { size, wrong, gave, resumed } = await attempt(part, { ...options, sources: left })
    if (wrong === undefined) {
      await rename(part, join(directory, sha256))
      await flushDirectory(directory)
      return size
    }
    await rm(part, { force: true })
    const corrupt = new BedplateError('FILE_CORRUPT', { sha256, found: wrong })
    left = left.filter(source => !gave.has(source))
    if (resumed || left.length === 0 || gave.size === 0) throw corrupt // what was here already may be to blame, or there is nobody else
    for (const source of gave) options.passed?.(source, corrupt)
  }
}

interface Attempt { readonly size: number, /** What came instead: a hash, or how many bytes. */ readonly wrong?: string, /** Who gave bytes of it. */ readonly gave: ReadonlySet<Source>, /** Some of it lay here before. */ readonly resumed: boolean }

async function attempt (part: string, { sha256, sources, size: expected, signal, progress, passed }: PullOptions): Promise<Attempt> {
  const handle = await open(part, constants.O_RDWR | constants.O_CREAT, 0o644)
  const gave = new Set<Source>()
  let current = 0 // the source that is asked first
  let size = expected

  /** The next piece, from whoever has it. Rejects with the first source's error when nobody does. */
  async function next (offset: number): Promise<{ readonly source: Source, readonly data: Uint8Array, readonly size: number }> {
    const errors: { readonly source: Source, readonly error: unknown }[] = []
    while (errors.length < sources.length) {
      signal.throwIfAborted()
      const source = sources[current % sources.length] as Source
      try {
        const piece = await source.fetch(sha256, offset, signal)
        if (size !== undefined && piece.size !== size) throw new BedplateError('FILE_CORRUPT', { sha256, found: `${piece.size} bytes instead of ${size}` })
        if (offset + piece.data.length > piece.size || (piece.data.length === 0 && offset < piece.size)) throw new BedplateError('FILE_CORRUPT', { sha256, found: `${offset + piece.data.length} bytes of ${piece.size}` })
        return { source, ...piece }
      } catch (error) {
        signal.throwIfAborted()
        errors.push({ source, error })
        current++
        if (errors.length < sources.length) passed?.(source, error)
      }
    }
    const first = errors.find(({ source }) => source === sources[0]) ?? errors[0]
    throw first?.error ?? new BedplateError('UNAVAILABLE', { reason: 'there is nowhere to pull the file from' })
  }

  try {
    const hash = createHash('sha256')
    let offset = await hashed(handle, hash, signal)
    const resumed = offset > 0
    let coming = next(offset)
    for (;;) {
      const piece = await coming
      signal.throwIfAborted()
      size = piece.size
      const at = offset
      offset += piece.data.length
      if (piece.data.length > 0) gave.add(piece.source)
      // The next piece travels while this one is written.
      if (offset < size) { coming = next(offset); coming.catch(() => {}) }
      hash.update(piece.data)
      await writeAll(handle, piece.data, at)
      progress?.(offset, size)
      if (offset >= size) break
    }
    const found = hash.digest('hex')
    if (found !== sha256) return { size, wrong: found, gave, resumed }
    await handle.sync()
    return { size, gave, resumed }
  } catch (error) {
    if (error instanceof BedplateError && error.code === 'FILE_CORRUPT') await rm(part, { force: true })
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    await rm(part, { force: true }) // the room is worth more to files that fit
    throw new BedplateError('UNAVAILABLE', { reason: `the disk that holds ${part.replace(/\/[^/]*$/, '')} is full` }, error)
  } finally {
    await handle.close()
  }
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
