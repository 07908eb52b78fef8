/** The load: dhcpload of ../shared/bench, compiled here, and perfdhcp as a second opinion. What they say is read in `loaded.ts`. */
import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BedplateError } from '../../core/errors.ts'
import type { Run } from '../figures.ts'
import { cpuOf } from './cpu.ts'
import { faultOf, readLoad, readPerf } from './loaded.ts'
import type { Loaded } from './loaded.ts'
import type { Host } from './segment.ts'
import { cores, relays } from './segment.ts'

const run = promisify(execFile)
const source = join(import.meta.dirname, '../../../shared/bench/dhcpload.c')

/** Compiles the generator into `folder`. Throws UNAVAILABLE when its source is not there. */
export async function compileLoad (folder: string): Promise<string> {
  await access(source).catch(() => { throw new BedplateError('UNAVAILABLE', { reason: 'the load generator dhcpload.c is not in ../shared/bench beside this repository, and no other generator is fast enough; put the folder there' }) })
  const program = join(folder, 'dhcpload')
  await run('gcc', ['-O2', '-o', program, source])
  return program
}

export interface LoadOptions {
  readonly program: string, readonly clients: Host, readonly server: string
  readonly count: number
  /** Exchanges at once; or with `rate` that many begin each second. */
  readonly window?: number, readonly rate?: number
  /** Number of the first client: others have had theirs. */
  readonly offset: number
  readonly cpus?: string
  /** Processes the work is charged to. */
  readonly pids?: () => readonly number[]
}

/** One run: four-packet exchanges of clients nobody has seen. */
export async function load ({ program, clients, server, count, window = 64, rate, offset, cpus = cores.load, pids = () => [] }: LoadOptions): Promise<Loaded & { readonly cpu: number }> {
  const before = cpuOf(pids())
  const { stdout, stderr } = await clients.namespace.exec(['taskset', '-c', cpus, program, '-s', server, '-g', relays[0], '-n', String(count), '-o', String(offset), '-D', '60', ...(rate === undefined ? ['-w', String(window)] : ['-R', String(rate)])], { timeout: 90_000 })
  const seconds = cpuOf(pids()) - before
  const loaded = readLoad(stdout)
  if (loaded === undefined) throw new BedplateError('UNAVAILABLE', { reason: `the load generator gave no result: ${stdout} ${stderr}`.slice(0, 500) })
  return { ...loaded, cpu: seconds / Math.max(1, loaded.done) * 1000 }
}

/** A run's figure: exchanges per second, with what belongs to it. */
export const rateOf = (loaded: Loaded & { readonly cpu: number }, cpu = true): Run => {
  const fault = faultOf(loaded)
  return {
    value: loaded.rate,
    details: { 'p50 ms': loaded.p50 / 1000, 'p99 ms': loaded.p99 / 1000, exchanges: loaded.done, lost: loaded.count - loaded.done, retransmitted: loaded.retransmitted, ...(cpu ? { 'CPU s per 1,000': loaded.cpu } : {}) },
    ...(fault === undefined ? {} : { fault })
  }
}

/** The same by perfdhcp, up to 8,000/s (beyond, its own receive buffer drops); undefined when it says nothing. */
export async function perfdhcp (clients: Host, server: string, rate: number, seconds: number): Promise<{ readonly rate: number, readonly drops: number } | undefined> {
  const { stdout } = await clients.namespace.exec(['taskset', '-c', cores.load, '/usr/sbin/perfdhcp', '-4', '-l', relays[1], '-r', String(rate), '-R', '1000000', '-p', String(seconds), '-b', `mac=06:${offsetMac()}`, server], { timeout: (seconds + 30) * 1000 })
  return readPerf(stdout)
}
let runs = 0
const offsetMac = () => `${(++runs).toString(16).padStart(2, '0')}:00:00:00:00`
