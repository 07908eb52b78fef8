/** The load: httpload, compiled by the place. */
import { BedplateError } from '../../core/errors.ts'
import { cpuOf } from '../dhcp/cpu.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores } from '../dhcp/segment.ts'
import type { Run } from '../figures.ts'
import { readLoad } from './loaded.ts'

export interface LoadOptions {
  readonly server: Server, readonly port: number, readonly path: string
  /** Bytes of the file. */
  readonly size: number
  readonly clients: number, readonly files: number
  /** Compares every byte with this file; the clients are slower then. */
  readonly reference?: string
  /** The kernel drops what comes, so that the clients cost next to nothing. */
  readonly drop?: boolean
}

/** One run: files fetched whole, `clients` at once. MiB a second. */
export async function load (place: Place, { server, port, path, size, clients, files, reference, drop = false }: LoadOptions): Promise<Run> {
  const before = cpuOf(server.pids())
  const { stdout, stderr } = await place.segment.clients.namespace.exec(['taskset', '-c', cores.load, place.program, '-s', server.address, '-p', String(port), '-u', path, '-b', String(size), '-c', String(clients), '-n', String(files), ...(reference === undefined ? [] : ['-V', reference]), ...(drop ? ['-d'] : [])], { timeout: 120_000 })
  const cpu = cpuOf(server.pids()) - before
  const loaded = readLoad(stdout)
  if (loaded === undefined) throw new BedplateError('UNAVAILABLE', { reason: `the client program gave no result: ${stdout} ${stderr}`.slice(0, 500) })
  const gibibytes = loaded.bytes / 2 ** 30
  return {
    value: loaded.bytes / 2 ** 20 / loaded.seconds,
    details: { 'p50 ms': loaded.p50 * 1000, 'p99 ms': loaded.p99 * 1000, 'CPU s per GiB': cpu / gibibytes, files: loaded.done },
    ...(loaded.faults === 0 && loaded.done === files ? {} : { fault: `${files - loaded.done} of ${files} files: ${loaded.fault}` })
  }
}
