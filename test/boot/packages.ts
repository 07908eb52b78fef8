/** Files of Debian packages of any architecture, unpacked under .cache/boot and never installed: kernels, and the loaders of machines that are not like this one. */
import { execFile } from 'node:child_process'
import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BedplateError, reasonOf } from '../../core/errors.ts'
import { project } from '../lab/controller.ts'

const run = promisify(execFile)
export type Architecture = 'amd64' | 'arm64'
const cache = join(project, '.cache/boot')
const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false)

/** apt with a state of its own, as if this host had that architecture and nothing installed: the host's sources, and nothing of the host is changed. */
async function aptOf (architecture: Architecture): Promise<readonly string[]> {
  const state = join(cache, 'apt', architecture)
  for (const folder of ['state/lists/partial', 'cache/archives/partial']) await mkdir(join(state, folder), { recursive: true })
  await writeFile(join(state, 'status'), '', { flag: 'a' })
  return ['-q', '-o', `APT::Architecture=${architecture}`, '-o', `APT::Architectures::=${architecture}`, '-o', `Dir::State=${join(state, 'state')}`, '-o', `Dir::State::status=${join(state, 'status')}`, '-o', `Dir::Cache=${join(state, 'cache')}`, '-o', 'APT::Sandbox::User=root']
}

/**
 * The folder into which the packages are unpacked. `names` may be expressions of what a package depends on (`linux-image-cloud-amd64>`): that package then.
 * PROGRAM_MISSING when they cannot be had.
 */
export async function unpacked (architecture: Architecture, names: readonly string[], say: (line: string) => void): Promise<string> {
  const target = join(cache, architecture)
  const wanting: string[] = []
  for (const name of names) if (!await exists(join(target, '.have', name.replace('>', '+')))) wanting.push(name)
  if (wanting.length === 0) return target
  say(`fetching ${wanting.join(' ')} for ${architecture}`)
  const apt = await aptOf(architecture)
  const work = join(cache, `.fetching-${process.pid}`)
  try {
    const listed = await readdir(join(cache, 'apt', architecture, 'state/lists'))
    if (!listed.some(name => name.endsWith('_Packages') || name.includes('_Packages'))) await run('apt-get', [...apt, 'update'])
    await mkdir(join(target, '.have'), { recursive: true })
    for (const name of wanting) {
      await rm(work, { recursive: true, force: true })
      await mkdir(work, { recursive: true })
      const exact = name.endsWith('>') ? await dependencyOf(name.slice(0, -1), apt) : name
      await run('apt-get', [...apt, 'download', exact], { cwd: work, timeout: 300_000 })
      for (const file of await readdir(work)) await run('dpkg-deb', ['-x', join(work, file), target])
      await writeFile(join(target, '.have', name.replace('>', '+')), exact)
    }
    return target
  } catch (error) {
    throw new BedplateError('PROGRAM_MISSING', { program: `${wanting.join(', ')} (${architecture})`, remedy: `Debian's packages must be reachable: ${reasonOf(error)}` }, error)
  } finally { await rm(work, { recursive: true, force: true }) }
}

/** What a meta package stands for: its first dependency that is a kernel. */
async function dependencyOf (name: string, apt: readonly string[]): Promise<string> {
  const { stdout } = await run('apt-cache', [...apt, 'depends', name])
  const found = /Depends:\s+(linux-image-\S+)/.exec(stdout)?.[1]
  if (found === undefined) throw new Error(`${name} depends on no kernel`)
  return found
}
