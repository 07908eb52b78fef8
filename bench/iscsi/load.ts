/** The client of the iSCSI bench: one connection, so many reads at once; what it prints, and what the server's processor time was meanwhile. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { cpuOf, treeOf } from '../dhcp/cpu.ts'
import type { Run } from '../figures.ts'
import type { Place, Server } from './place.ts'

export interface LoadOptions { readonly server: Server, readonly bytes: number, readonly order: 'random' | 'sequential', readonly depth: number, readonly seconds: number }
export interface Loaded { readonly done: number, readonly iops: number, readonly bytes: number, /** ms */ readonly p50: number, readonly p99: number, readonly fault: string }

/** The one line of JSON it prints. Throws TypeError when there is none. Pure. */
export function readLoad (text: string): Loaded {
  const line = text.trim().split('\n').at(-1) ?? ''
  if (!line.startsWith('{')) throw new TypeError(`iscsiload said: ${line.slice(0, 200) || 'nothing'}`)
  const { done, iops, bytes, p50, p99, fault } = JSON.parse(line) as Record<string, unknown>
  return { done: Number(done), iops: Number(iops), bytes: Number(bytes), p50: Number(p50), p99: Number(p99), fault: String(fault) }
}

/** One run. `compared`: the whole unit is read once instead, and every byte held against the file's. */
export async function load (place: Place, { server, bytes, order, depth, seconds }: LoadOptions, compared = false): Promise<Run> {
  const { host, port, target, lun, pid } = server
  const before = cpuOf(treeOf(pid))
  const { stdout } = await promisify(execFile)('taskset', ['-c', '1', place.program, host, String(port), target, String(lun), String(depth), String(bytes), String(seconds), order, String(place.size), ...compared ? [place.file] : []], { timeout: 120_000 })
  const { done, iops, bytes: moved, p50, p99, fault } = readLoad(stdout)
  const cpu = cpuOf(treeOf(pid)) - before
  const [failed] = [fault, done === 0 ? 'nothing was read' : ''].filter(text => text !== '')
  return { value: iops, details: { 'MiB/s': iops * bytes / 2 ** 20, 'p50 ms': p50, 'p99 ms': p99, 'CPU s/GiB': cpu / (moved / 2 ** 30) }, ...failed === undefined ? {} : { fault: failed } }
}
