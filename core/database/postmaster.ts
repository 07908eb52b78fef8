/** postmaster.pid: what it says, and whether the server it names is alive. */
import { readFile, stat } from 'node:fs/promises'
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
  if (process.platform === 'linux') {
    // The server works from its data directory. The directory itself is compared, not its path: that reads differently from another mount namespace or root.
    const found = await Promise.all([stat(`/proc/${pid}/cwd`, { bigint: true }), stat(data, { bigint: true })]).catch(() => undefined)
    return found !== undefined && found[0].dev === found[1].dev && found[0].ino === found[1].ino
  }
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
