/** SHA-256 of files that are not named by it: read once, and again when they have changed. */
import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

export interface Digests {
  /** The hash of an open file, hex. Rejects when it cannot be read. */
  of(path: string, file: FileHandle, about: Stats): Promise<string>
}

const pieceBytes = 1 << 18

export function createDigests (most = 1_000): Digests {
  const known = new Map<string, { readonly state: string, readonly digest: Promise<string> }>()
  async function read (file: FileHandle): Promise<string> {
    const hash = createHash('sha256')
    const buffer = Buffer.allocUnsafe(pieceBytes)
    for (let at = 0; ;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
      if (bytesRead === 0) return hash.digest('hex')
      hash.update(buffer.subarray(0, bytesRead))
      at += bytesRead
    }
  }
  return {
    of (path, file, { ino, size, mtimeMs, ctimeMs }) {
      const state = `${ino} ${size} ${mtimeMs} ${ctimeMs}`
      const before = known.get(path)
      if (before?.state === state) return before.digest
      const digest = read(file)
      known.delete(path)
      known.set(path, { state, digest })
      digest.catch(() => { if (known.get(path)?.digest === digest) known.delete(path) })
      for (const oldest of known.keys()) { if (known.size <= most) break; known.delete(oldest) }
      return digest
    }
  }
}
