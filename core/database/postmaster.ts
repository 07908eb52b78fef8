/** postmaster.pid: what it says, and whether the server it names is alive. */
import { readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface Postmaster { readonly pid: number, readonly data: string, readonly port: number, readonly socketDirectory: string, readonly status: string }

/** Reads the text of a postmaster.pid file; undefined when it is not (yet) a whole one. */
export function parsePostmaster (text: string): Postmaster | undefined {
  const [pid, data, , port, socketDirectory, , , status] = text.split('\n').map(line => line.trim())
  if (!pid || !/^\d{1,10}$/.test(pid) || Number(pid) < 2 || !data || !port || !/^\d{1,5}$/.test(port) || socketDirectory === undefined) return undefined
  return { pid: Number(pid), data, port: Number(port), socketDirectory, status: status ?? '' }
}

/** The server that claims `data`, dead or alive. */
export const postmasterOf = (data: string): Promise<Postmaster | undefined> =>
  readFile(join(data, 'postmaster.pid'), 'utf8').then(parsePostmaster, () => undefined)

/** True while the process `pid` is a server of `data`. A number alone proves nothing: after a crash or a reboot another process may have it. */
export async function serves (pid: number, data: string): Promise<boolean> {
  if (process.platform === 'linux') return await readlink(`/proc/${pid}/cwd`).then(cwd => cwd === data, () => false) // the server works from its data directory
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
