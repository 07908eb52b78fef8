/** Runs others' programs against simulated BMCs. */
import { execFile } from 'node:child_process'
import { ensurePackages } from '../lab/packages.ts'

export interface Ran { readonly code: number, readonly out: string, readonly err: string }
/** With an environment that no setting of this host gets into. Never rejects, but where the program cannot be started. */
export const ran = (program: string, args: readonly string[], { home = '/nonexistent', env = {} }: { readonly home?: string, readonly env?: Readonly<Record<string, string>> } = {}): Promise<Ran> => new Promise((resolve, reject) => {
  execFile(program, args, { timeout: 60_000, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: home, LC_ALL: 'C', ...env } }, (error, out, err) => {
    if (error !== null && typeof error.code !== 'number') reject(error)
    else resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
  })
})
/** The programs these tests judge by. */
export const judges = () => ensurePackages(['freeipmi-tools', 'ipmitool', 'python3-sushy', 'redfishtool'], () => {})
