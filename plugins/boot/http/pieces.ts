/** The body of an answer that is made of several files and of bytes between them. */
import { createReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Outcome } from './body.ts'

export type Part = Buffer | { readonly path: string, readonly size: number }

/** Bytes of one piece. */
const large = 1 << 18

/**
 * Sends the parts in order, `size` bytes together, as the body of an answer whose head was written and says how many there are; each file no further than the size it should have. A client
 * that takes nothing for `patience` ms is given up. What does not come to `size` bytes is cut, for nothing else tells a client that its answer is not whole. Never rejects.
 */
export async function sendPieces (response: ServerResponse, { parts, size, patience }: { readonly parts: readonly Part[], readonly size: number, readonly patience: number }): Promise<Outcome> {
  let bytes = 0
  let gone: string | undefined
  let leave = (): void => {}
  const left = new Promise<void>(resolve => { leave = resolve })
  const giveUp = (why: string): void => { gone ??= why; leave() }
  const closed = (): void => giveUp('the client closed the connection')
  response.once('close', closed)
  const stall = setTimeout(() => giveUp(`the client took nothing for ${patience / 1000} s`), patience).unref()
  try {
    for await (const piece of piecesOf(parts)) {
      if (gone !== undefined) break
      const taken = new Promise<void>(resolve => { response.write(piece, error => { if (error === null || error === undefined) resolve(); else closed() }) })
      await Promise.race([taken, left])
      if (gone !== undefined) break
      bytes += piece.length
      stall.refresh()
    }
  } catch (error) {
    gone ??= error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(stall)
    response.off('close', closed)
  }
  if (bytes < size) { response.destroy(); return { bytes, failure: gone ?? 'it ended early' } }
  if (response.destroyed) return { bytes } // a client that has all of it may leave before this is told
  await new Promise<void>(resolve => { response.once('close', resolve); response.end(resolve) })
  return { bytes }
}

async function * piecesOf (parts: readonly Part[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    if (Buffer.isBuffer(part)) { yield part; continue }
    if (part.size > 0) for await (const piece of createReadStream(part.path, { end: part.size - 1, highWaterMark: large })) yield piece as Buffer
  }
}
