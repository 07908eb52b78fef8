/** Processor time of processes, from /proc. */
import { readFileSync } from 'node:fs'

const perSecond = 100 // USER_HZ, the same on every Linux

/** Seconds these processes have had, with those of their threads and of the children they have waited for: one that ends meanwhile counts on with its parent. */
export const cpuOf = (pids: readonly number[]): number => pids.reduce((sum, pid) => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return sum + [11, 12, 13, 14].reduce((ticks, index) => ticks + Number(fields[index]), 0) / perSecond
  } catch { return sum }
}, 0)

/** A process and all below it. */
export function treeOf (pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    return [pid, ...children.flatMap(treeOf)]
  } catch { return [] }
}
