/** What TFTP reads from: bytes in memory, or a file whose pieces all who read it share. */

export interface Content {
  readonly size: number
  /** Bytes from `offset`, at most `length`, at least one unless there is none. At once when they are in memory. Not to be written to: others read them too; and good until the end of this turn of the event loop. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>
  close(): Promise<void>
}

export const memoryContent = (bytes: Uint8Array): Content => ({
  size: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
  close: async () => {}
})

/** All that a content holds, as one piece of memory. */
export async function wholeOf (content: Content): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let at = 0; at < content.size;) {
    const part = await content.read(at, content.size - at)
    if (part.length === 0) break
    parts.push(Buffer.from(part))
    at += part.length
  }
  return Buffer.concat(parts)
}
