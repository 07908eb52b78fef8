/** The load: tftpload of ../shared/bench, compiled by the place. */
import { access, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import { cpuOf, treeOf } from '../dhcp/cpu.ts'
import type { Place, Server } from '../dhcp/place.ts'
import { cores } from '../dhcp/segment.ts'
import type { Run } from '../figures.ts'
import { faultOf, readLoad } from './loaded.ts'

const source = join(import.meta.dirname, '../../../shared/bench/tftpload.c')

/** Where the generator's source is. Throws UNAVAILABLE when it is not there. */
export async function sourceOfLoad (): Promise<string> {
  await access(source).catch(() => { throw new BedplateError('UNAVAILABLE', { reason: 'the load generator tftpload.c is not in ../shared/bench beside this repository; put the folder there' }) })
  return source
}

export interface LoadOptions {
  readonly server: Server
  /** The file's name, and where the original lies: every byte is compared. */
  readonly name: string, readonly reference: string
  readonly clients: number, readonly files: number, readonly windowSize: number
  /** Share of packets dropped, in percent, each way. */
  readonly loss?: number
  /** A file that does not arrive over a lossy way is the server's own figure, no fault of the run. */
  readonly mayLose?: boolean
  readonly figure: 'rate' | 'p99'
}

/** Processor time of a server and of the children it makes, of which some end without anybody waiting for them: looked at ten times a second. */
function watchCpu (pids: () => readonly number[]): () => number {
  const first = new Map<number, number>()
  const last = new Map<number, number>()
  const look = (begin: boolean): void => {
    for (const pid of new Set(pids().flatMap(treeOf))) {
      const spent = cpuOf([pid])
      if (!first.has(pid)) first.set(pid, begin ? spent : 0)
      last.set(pid, Math.max(spent, last.get(pid) ?? 0))
    }
  }
  look(true)
  const timer = setInterval(() => { look(false) }, 100)
  return () => {
    clearInterval(timer)
    look(false)
    return [...last].reduce((sum, [pid, spent]) => sum + spent - (first.get(pid) ?? 0), 0)
  }
}

/** One run: files fetched whole, `clients` at once, in blocks of 1,468 bytes. */
export async function load ({ segment, program }: Place, { server, name, reference, clients, files, windowSize, loss = 0, mayLose = false, figure }: LoadOptions): Promise<Run> {
  const cpu = watchCpu(server.pids)
  const { stdout, stderr } = await segment.clients.namespace.exec(['taskset', '-c', cores.load, program, '-s', server.address, '-f', name, '-V', reference, '-b', '1468', '-w', String(windowSize), '-c', String(clients), '-n', String(files), ...(loss === 0 ? [] : ['-L', String(loss), '-A', String(loss), '-t', '300']), '-D', '150'], { timeout: 180_000 })
  const seconds = cpu()
  const loaded = readLoad(stdout)
  if (loaded === undefined) throw new BedplateError('UNAVAILABLE', { reason: `the load generator gave no result: ${stdout} ${stderr}`.slice(0, 500) })
  const { size } = await stat(reference)
  const fault = faultOf(mayLose ? { ...loaded, count: loaded.done } : loaded)
  const rest = figure === 'rate' ? { 'p99 ms': loaded.p99 } : { 'MiB/s': loaded.rate }
  return {
    value: loaded[figure],
    details: { ...rest, 'p50 ms': loaded.p50, 'CPU s per GiB': seconds / (Math.max(1, loaded.done) * size / 2 ** 30), 'window granted': loaded.windowSize, 'blocks twice': loaded.repeated, 'client timeouts': loaded.timeouts, lost: loaded.count - loaded.done, ...(loss === 0 ? {} : { dropped: loaded.dropped }) },
    ...(fault === undefined ? {} : { fault })
  }
}
