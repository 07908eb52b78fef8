/** Other racks of the segment as sources of files: over the HTTP they serve machines with, as plain bytes. Whoever answers there is not trusted; the hash of the whole decides. */
import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import type { Fetch, Source } from './pull.ts'

/** Of one request. A rack sends this much in a tenth of a second; a source that dies costs no more than it. */
const pieceBytes = 4 << 20
const patience = 5_000 // ms without a byte

/** What a rack that has only part of the file, or none, says: it must not pull it for us, or two racks would wait for one another. */
const onlyThere = { 'cache-control': 'only-if-cached' }

/** The size of the whole in `bytes 0-99/100` or `bytes *\/100`, and where the part begins. */
export function readContentRange (text: string | undefined): { readonly from: number | null, readonly size: number } | undefined {
  const [, from, size] = /^bytes (?:(\d{1,15})-\d{1,15}|\*)\/(\d{1,15})$/.exec(text ?? '') ?? []
  return size === undefined ? undefined : { from: from === undefined ? null : Number(from), size: Number(size) }
}

/** `address`: an IP address. */
export function createPeer (name: string, address: string, port: number): Source & { close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const fail = (reason: string, cause?: unknown): BedplateError => new BedplateError('UNAVAILABLE', { reason: `rack ${name} (${address}): ${reason}` }, cause)
  const fetch: Fetch = (sha256, offset, signal) => new Promise((resolve, reject) => {
    const asked = request({ agent, host: address, port, path: `/boot/files/${sha256}/rack`, headers: { ...onlyThere, range: `bytes=${offset}-${offset + pieceBytes - 1}` }, signal, timeout: patience }, answer => {
      take(answer, offset).then(resolve, (error: unknown) => { asked.destroy(); reject(error instanceof BedplateError ? error : fail(reasonOf(error), error)) })
    })
    asked.on('timeout', () => { asked.destroy(fail('it fell silent')) })
    asked.on('error', error => { reject(error instanceof BedplateError ? error : fail(reasonOf(error), error)) })
    asked.end()
  })

  async function take (answer: IncomingMessage, offset: number): Promise<{ readonly data: Uint8Array, readonly size: number }> {
    const range = readContentRange(answer.headers['content-range'])
    if (answer.statusCode === 416 && range !== undefined && offset >= range.size) { answer.resume(); return { data: new Uint8Array(0), size: range.size } }
    const size = answer.statusCode === 206 ? range?.size : undefined
    if (size === undefined || range?.from !== offset) { answer.resume(); throw fail(answer.statusCode === 504 ? 'it does not have the file' : `it answered ${answer.statusCode} to a request for bytes from ${offset}`) }
    const parts: Buffer[] = []
    let length = 0
    for await (const part of answer) {
      length += (part as Buffer).length
      if (length > pieceBytes) throw fail('it sends more than it was asked for')
      parts.push(part as Buffer)
    }
    return { data: Buffer.concat(parts), size }
  }
  return { name: `rack ${name}`, fetch, close: () => { agent.destroy() } }
}
