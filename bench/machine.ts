/** What the figures come from: processors, memory, kernel and the versions of the programs. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The first line a program says; what it is missing from says so. */
export async function firstLine (command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(command, [...args])
    return (stdout.trim() || stderr.trim()).split('\n')[0] ?? ''
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string, stderr?: string }
    return (stdout.trim() || stderr.trim()).split('\n')[0] || `${command} is missing`
  }
}

export function machine (): string {
  const all = cpus()
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux'
  return `${all.length} × ${all[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${name}, Linux ${release()}, Node ${process.versions.node}; load average at the end ${loadavg().map(load => load.toFixed(1)).join(' ')}`
}
