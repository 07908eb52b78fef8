/** Builds the Debian image (kernel, initrd, squashfs) from Debian's own packages, as the host's apt is set up to get them, or from Debian's public mirror. Needs root. */
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { access, copyFile, mkdir, readFile, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { imagePackages, leftOut, type Flavour } from './packages.ts'
import { ofRelease, parseDeb822, parseList, sourceLine, type Source } from './sources.ts'

const here = import.meta.dirname

export interface ImageRequest {
  /** Finished images stay here, one folder each; the build works in it too (2 GB). */
  readonly directory: string
  readonly architecture: 'amd64'
  /** Codename of the release; by default the host's own, or `usualRelease` where the host is no Debian. */
  readonly release?: string
  readonly flavour?: Flavour
  /** Called with each line of progress. */
  readonly progress?: (line: string) => void
  readonly signal?: AbortSignal
}

/** Debian's numbers, as the image's name has them. */
const numbers: Readonly<Record<string, string>> = { bookworm: '12', trixie: '13', forky: '14' }
const usualRelease = 'bookworm' // the one the lab's tests run on
const invalid = (reason: string) => new BedplateError('IMAGE_INVALID', { reason })

/** Runs a program; every line it says goes to `progress`. IMAGE_INVALID with its last lines when it fails, PROGRAM_MISSING. */
function run (program: string, args: readonly string[], progress: (line: string) => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', HOME: '/root' }, ...(signal ? { signal } : {}) })
    const last: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      let rest = ''
      stream.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) { if (!line.trim()) continue; last.push(line); if (last.length > 20) last.shift(); progress(line) }
      })
    }
    child.once('error', error => reject('code' in error && error.code === 'ENOENT' ? new BedplateError('PROGRAM_MISSING', { program, remedy: `apt-get install ${program === 'mksquashfs' ? 'squashfs-tools' : program}` }) : error))
    child.once('close', code => { if (code === 0) resolve(); else reject(invalid(`${program} ended with ${code}: ${last.join('; ')}`)) })
  })
}

const exists = (path: string) => access(path).then(() => true, () => false)
const readIf = (path: string) => readFile(path, 'utf8').catch(() => '')

/** The host's apt sources of that release; none where the host is an Ubuntu: mmdebstrap then takes Debian's public mirror, verified by debian-archive-keyring. */
async function hostSources (codename: string): Promise<Source[]> {
  const folder = '/etc/apt/sources.list.d'
  const names = (await readdir(folder).catch(() => [])).sort()
  const all = parseList(await readIf('/etc/apt/sources.list'))
  for (const name of names) {
    if (name.endsWith('.sources')) all.push(...parseDeb822(await readIf(join(folder, name))))
    if (name.endsWith('.list')) all.push(...parseList(await readIf(join(folder, name))))
  }
  const found = ofRelease(all, codename)
  return Promise.all(found.map(async source => source.signedBy && !await exists(source.signedBy) ? { ...source, signedBy: null } : source))
}

/** The host's ways to reach a mirror (proxy, checks, certificates), for the build alone. */
async function hostAcquire (): Promise<string> {
  const lines: string[] = []
  await run('apt-config', ['dump'], line => { if (/^Acquire::(http|https|ftp|Check-|Retries|ForceIPv)/i.test(line)) lines.push(line) })
  return [...lines, 'Acquire::Languages "none";', 'Acquire::Retries "3";', 'APT::Install-Recommends "false";'].join('\n') + '\n'
}

async function filesBelow (folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name)).sort()
}

/** The codename of the host's release when it is a Debian we know of. */
function releaseOf (osRelease: string): string {
  const [, codename = ''] = /^VERSION_CODENAME=["']?(\w+)/m.exec(osRelease) ?? []
  return Object.hasOwn(numbers, codename) ? codename : usualRelease
}

/** Names everything the image is made from: the same key, the same image (but for what the mirror has updated since). */
async function contentKey (parts: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(parts))
  for (const path of [...await filesBelow(join(here, 'root')), join(here, 'finish.sh'), join(here, 'debian.ts')]) hash.update(`\0${relative(here, path)}\0`).update(await readFile(path))
  return hash.digest('hex').slice(0, 12)
}

/**
 * Gives the folder of a Debian image: image.json, vmlinuz, initrd.img, root.squashfs. One that was built before from the same
 * package list and files is given at once; else it takes a minute or two. IMAGE_INVALID, PROGRAM_MISSING.
 */
export async function buildDebianImage (request: ImageRequest): Promise<string> {
  const { architecture, flavour = 'cloud', signal } = request
  const progress = request.progress ?? (() => {})
  const codename = request.release ?? releaseOf(await readIf('/etc/os-release'))
  const release = numbers[codename]
  if (!release) throw invalid(`"${codename}" is no release of Debian that the builder knows (${Object.keys(numbers).join(', ')}); name one`)
  const packages = imagePackages(architecture, flavour)
  const name = `debian-${release}`
  const target = join(request.directory, `${name}-${architecture}-${flavour}-${await contentKey([codename, ...packages, ...leftOut])}`)
  if (await exists(join(target, 'image.json'))) return target

  const sources = await hostSources(codename)
  await mkdir(request.directory, { recursive: true })
  const work = join(await realpath(request.directory), `.building-${randomUUID()}`)
  const [root, out] = [join(work, 'root'), join(work, 'out')]
  try {
    await mkdir(out, { recursive: true })
    const started = performance.now()
    const say = (line: string) => progress(`${Math.round((performance.now() - started) / 1000)} s  ${line}`)
    const aptConf = join(work, 'apt.conf')
    await writeFile(aptConf, await hostAcquire())
    // what the installed system will use: the same mirror, without the host's credentials
    const given = sources.length > 0
    if (given) await writeFile(join(work, 'sources.list'), sources.map(source => `${sourceLine({ ...source, signedBy: null }, 'drop')}\n`).join(''))
    say(`${name}: ${packages.length} packages and what they need${given ? '' : ", from Debian's public mirror (this host's apt knows no source of Debian)"}`)
    await run('mmdebstrap', [
      '--mode=root', '--variant=minbase', '--format=directory', `--architectures=${architecture}`, `--aptopt=${aptConf}`,
      ...leftOut.map(option => `--dpkgopt=${option}`), '--dpkgopt=force-confold', '--dpkgopt=force-unsafe-io', `--include=${packages.join(',')}`,
      `--setup-hook=cp -r --preserve=mode ${join(here, 'root')}/. "$1"/`, // before the kernel's package makes the initrd: it is made once
      ...given ? [`--customize-hook=cp ${join(work, 'sources.list')} "$1/etc/apt/sources.list" && rm -f "$1"/etc/apt/sources.list.d/*`] : [],
      `--customize-hook=sh ${join(here, 'finish.sh')} "$1"`,
      codename, root, ...sources.map(source => sourceLine(source, 'keep'))
    ], say, signal)
    await copyFile(await realpath(join(root, 'vmlinuz')), join(out, 'vmlinuz'))
    await copyFile(await realpath(join(root, 'initrd.img')), join(out, 'initrd.img'))
    say('packing the root file system')
    await run('mksquashfs', [root, join(out, 'root.squashfs'), '-comp', 'zstd', '-Xcompression-level', '12', '-b', '128K', '-noappend', '-no-progress', '-quiet'], say, signal)
    const image = { name, os: 'debian', release, architecture, title: `Debian ${release}`, user: 'debian', kernelOptions: '', kernel: 'vmlinuz', initrd: 'initrd.img', root: 'root.squashfs' }
    await writeFile(join(out, 'image.json'), JSON.stringify(image, null, 2) + '\n')
    await rename(out, target).catch(async (error: unknown) => { if (!await exists(join(target, 'image.json'))) throw error }) // another build of it was first
    const sizes = await Promise.all(['vmlinuz', 'initrd.img', 'root.squashfs'].map(async file => `${file} ${Math.round((await stat(join(target, file))).size / 1e6)} MB`))
    say(`${name} is built: ${sizes.join(', ')}`)
    return target
  } catch (error) {
    throw error instanceof BedplateError ? error : invalid(reasonOf(error))
  } finally {
    await rm(work, { recursive: true, force: true }).catch(() => {})
  }
}
