/** The body of an answer: part of a file, given to the connection as fast as the client takes it. */
import type { FileHandle } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { reasonOf } from '../../../core/errors.ts'
import type { Calls } from './sendfile.ts'
import { taking } from './taking.ts'
import type { Outcome } from './taking.ts'

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

/**
 * Sends bytes `from` to `to` as the body of an answer whose head was written and says how many there are. Resolves once the connection has taken them all, or will take no more: then it is
 * cut, for nothing else tells a client that its answer is not whole. A transfer holds one piece of memory at a time. Never rejects.
 */
export async function sendBody (response: ServerResponse, { file, from, to, calls, patience }: BodyOptions): Promise<Outcome> {
  const client = taking(response, patience)
  let at = from
  const descriptor = calls !== undefined && to - from >= worthwhile ? second(response.socket, calls) : -1
  const direct = descriptor !== -1 && calls !== undefined ? calls : undefined
  const line = direct?.line?.(descriptor)
  const buffer = direct === undefined ? Buffer.allocUnsafeSlow(Math.min(large, to - from + 1)) : spare.pop() ?? Buffer.allocUnsafeSlow(small)
  try {
    while (at <= to && client.gone === undefined) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - at + 1), at)
      if (bytesRead === 0) throw new RangeError(`the file ends at byte ${at}`)
      if (client.gone !== undefined) break
      await client.write(buffer.subarray(0, bytesRead))
      if (client.gone !== undefined) break
      at += bytesRead
      client.took()
      for (let dry = false; direct !== undefined && at <= to && client.gone === undefined;) {
        const taken = await direct.sendfile(descriptor, file.fd, at, Math.min(most, to - at + 1))
        if (taken > 0) { at += taken; client.took() }
        if (taken === most || at > to) continue
        if (line === undefined || (taken <= 0 && dry)) break // there was room, and yet it took none
        dry = taken <= 0
        await client.orGone(line.room())
      }
    }
  } catch (error) {
    client.giveUp(reasonOf(error))
  } finally {
    client.stop()
    line?.close()
    if (direct !== undefined) direct.close(descriptor)
    if (direct !== undefined && at > to && spare.length < mostSpare) spare.push(buffer) // all of it was taken: nobody reads it any more
  }
  return client.end(at - from, at > to)
}

/** A second descriptor of a plain TCP connection; -1 where the bytes have to pass through this process: TLS, or an answer that waits for the one before it. */
function second (socket: Socket | null, calls: Calls): number {
  if (socket === null || socket instanceof TLSSocket) return -1
  const handle: unknown = Reflect.get(socket, '_handle') // Node's own object behind the socket; where there is none, the plain way
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  return typeof fd === 'number' && fd >= 0 ? calls.duplicate(fd) : -1
}
