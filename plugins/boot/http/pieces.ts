/** The body of an answer that is made of several files and of bytes between them. */
import { createReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { reasonOf } from '../../../core/errors.ts'
import { taking } from './taking.ts'
import type { Outcome } from './taking.ts'

export type Part = Buffer | { readonly path: string, readonly size: number }

/** Bytes of one piece. */
const large = 1 << 18

/**
 * Sends the parts in order, `size` bytes together, as the body of an answer whose head was written and says how many there are; each file no further than the size it should have. A client
 * that takes nothing for `patience` ms is given up. What does not come to `size` bytes is cut, for nothing else tells a client that its answer is not whole. Never rejects.
 */
export async function sendPieces (response: ServerResponse, { parts, size, patience }: { readonly parts: readonly Part[], readonly size: number, readonly patience: number }): Promise<Outcome> {
  const client = taking(response, patience)
  let bytes = 0
  try {
    for await (const piece of piecesOf(parts)) {
      if (client.gone !== undefined) break
      await client.write(piece)
      if (client.gone !== undefined) break
      bytes += piece.length
      client.took()
    }
  } catch (error) {
    client.giveUp(reasonOf(error))
  } finally {
    client.stop()
  }
  return client.end(bytes, bytes >= size)
}

async function * piecesOf (parts: readonly Part[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    if (Buffer.isBuffer(part)) { yield part; continue }
    if (part.size > 0) for await (const piece of createReadStream(part.path, { end: part.size - 1, highWaterMark: large })) yield piece as Buffer
  }
}
