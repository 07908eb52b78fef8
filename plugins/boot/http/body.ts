/** The body of an answer: part of a file, given to the connection as fast as the client takes it. */
import type { FileHandle } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Calls } from './sendfile.ts'

/** Bytes that go the plain way before the kernel takes over, and whenever it takes none: to write them meets the error. */
const small = 1 << 14
/** Bytes of one piece where all of it goes the plain way. */
const large = 1 << 18
/** Bytes asked of one sendfile: as much as a connection takes at once (tcp_wmem). With 1 MiB the way to the thread and back costs a sixth more. */
const most = 1 << 22
/** Buffers of `small` bytes that nobody uses now: made anew for each file, they would be what the collector is busy with. */
const spare: Buffer[] = []
const mostSpare = 64
/** Files below this are not worth a second descriptor. */
const worthwhile = 1 << 16

export interface BodyOptions {
  readonly file: FileHandle
  /** First byte and last byte. */
  readonly from: number, readonly to: number
  /** undefined: the plain way all through. */
  readonly calls: Calls | undefined
  /** A client that takes nothing for so many ms is given up. */
  readonly patience: number
}
export interface Outcome { readonly bytes: number, /** undefined: all of it was given to the connection. */ readonly failure?: string }

/**
 * Sends bytes `from` to `to` as the body of an answer whose head was written and says how many there are. Resolves once the connection has taken them all, or will take no more: then it is
 * cut, for nothing else tells a client that its answer is not whole. A transfer holds one piece of memory at a time. Never rejects.
 */
export async function sendBody (response: ServerResponse, { file, from, to, calls, patience }: BodyOptions): Promise<Outcome> {
  let at = from
  let gone: string | undefined
  let leave = (): void => {}
  const left = new Promise<void>(resolve => { leave = resolve })
  const giveUp = (why: string): void => { gone ??= why; leave() }
  const closed = (): void => giveUp('the client closed the connection')
  response.once('close', closed)
  const stall = setTimeout(() => giveUp(`the client took nothing for ${patience / 1000} s`), patience).unref()
  const descriptor = calls !== undefined && to - from >= worthwhile ? second(response.socket, calls) : -1
  const direct = descriptor !== -1 && calls !== undefined ? calls : undefined
  const line = direct?.line?.(descriptor)
  const buffer = direct === undefined ? Buffer.allocUnsafeSlow(Math.min(large, to - from + 1)) : spare.pop() ?? Buffer.allocUnsafeSlow(small)
  try {
    while (at <= to && gone === undefined) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - at + 1), at)
      if (bytesRead === 0) throw new RangeError(`the file ends at byte ${at}`)
      if (gone !== undefined) break
      await Promise.race([written(response, buffer.subarray(0, bytesRead)).catch(closed), left])
      if (gone !== undefined) break
      at += bytesRead
      stall.refresh()
      for (let dry = false; direct !== undefined && at <= to && gone === undefined;) {
        const taken = await direct.sendfile(descriptor, file.fd, at, Math.min(most, to - at + 1))
        if (taken > 0) { at += taken; stall.refresh() }
        if (taken === most || at > to) continue
        if (line === undefined || (taken <= 0 && dry)) break // there was room, and yet it took none
        dry = taken <= 0
        await Promise.race([line.room(), left])
      }
    }
  } catch (error) {
    gone ??= error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(stall)
    response.off('close', closed)
    line?.close()
    if (direct !== undefined) direct.close(descriptor)
    if (direct !== undefined && at > to && spare.length < mostSpare) spare.push(buffer) // all of it was taken: nobody reads it any more
  }
  if (at <= to) { response.destroy(); return { bytes: at - from, failure: gone ?? 'it ended early' } }
  if (response.destroyed) return { bytes: at - from } // a client that has all of it may leave before this is told
  await new Promise<void>(resolve => { response.once('close', resolve); response.end(resolve) })
  return { bytes: at - from }
}

/** Resolves once the connection has taken the bytes: the buffer may be used again. */
const written = (response: ServerResponse, bytes: Uint8Array): Promise<void> => new Promise((resolve, reject) => {
  response.write(bytes, error => { if (error === null || error === undefined) resolve(); else reject(error) })
})

/** A second descriptor of a plain TCP connection; -1 where the bytes have to pass through this process: TLS, or an answer that waits for the one before it. */
function second (socket: Socket | null, calls: Calls): number {
  if (socket === null || socket instanceof TLSSocket) return -1
  const handle: unknown = Reflect.get(socket, '_handle') // Node's own object behind the socket; where there is none, the plain way
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  return typeof fd === 'number' && fd >= 0 ? calls.duplicate(fd) : -1
}
