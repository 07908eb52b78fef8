/** What TFTP reads from: bytes in memory, or a file read ahead in pieces. */
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

export interface Content {
  readonly size: number
  /** Bytes from `offset`, at most `length`, fewer only at the end. At once when they are in memory. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>
  close(): Promise<void>
}

export const memoryContent = (bytes: Uint8Array): Content => ({
  size: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
  close: async () => {}
})

const readAhead = 1 << 18
const nothing = new Uint8Array(0)

/** Opens a regular file. It is read ahead, so that a window of blocks seldom waits for the disk. */
export async function fileContent (path: string): Promise<Content> {
  const handle: FileHandle = await open(path, 'r')
  let size: number
  try {
    size = (await handle.stat()).size
  } catch (error) {
    await handle.close()
    throw error
  }
  let piece = { from: 0, bytes: Buffer.alloc(0) }
  const within = (offset: number, length: number): Uint8Array | undefined =>
    offset >= piece.from && offset + length <= piece.from + piece.bytes.length ? piece.bytes.subarray(offset - piece.from, offset - piece.from + length) : undefined
  const load = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = Buffer.allocUnsafe(Math.min(Math.max(readAhead, length), size - offset))
    let filled = 0
    while (filled < bytes.length) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    piece = { from: offset, bytes: bytes.subarray(0, filled) }
    return piece.bytes.subarray(0, length)
  }
  return {
    size,
    read (offset, length) {
      const wanted = Math.max(0, Math.min(length, size - offset))
      if (wanted === 0) return nothing
      return within(offset, wanted) ?? load(offset, wanted)
    },
    close: () => handle.close()
  }
}
