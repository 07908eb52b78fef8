/** `bedplate image build`: what the build of an image needs of this host, and where it works. */
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { BedplateError, reasonOf } from '../core/errors.ts'
import type { Flavour } from '../plugins/images/build/packages.ts'
import type { ImageRequest } from '../plugins/images/build/debian.ts'
import { Failure } from './failure.ts'
import type { Environment, Session } from './session.ts'

/** Makes an image and gives its folder. Tests put their own in its place: the real one takes minutes, a mirror and root. */
export type Build = (request: ImageRequest) => Promise<string>

/** Each of the build's packages, by a file that is there when it is installed. */
export const proofs: Readonly<Record<string, string>> = {
  'mmdebstrap': '/usr/bin/mmdebstrap', 'squashfs-tools': '/usr/bin/mksquashfs', 'zstd': '/usr/bin/zstd', 'debian-archive-keyring': '/usr/share/keyrings/debian-archive-keyring.gpg'
}
/** What people call a release, and its codename. */
const releases: Readonly<Record<string, string | undefined>> = { 'debian': undefined, 'debian-12': 'bookworm', 'debian-13': 'trixie' }

/** Where images are built and stay. The build can be repeated, so this is a cache. */
export const buildDirectory = (env: Environment): string =>
  env.XDG_CACHE_HOME ? join(env.XDG_CACHE_HOME, 'bedplate', 'images') : env.BEDPLATE_DATA_DIRECTORY ? join(env.BEDPLATE_DATA_DIRECTORY, 'built-images') : '/var/cache/bedplate/images'

/** The packages that are not installed, of those that `files` prove. */
export async function missingPackages (files: Readonly<Record<string, string>> = proofs): Promise<string[]> {
  const found = await Promise.all(Object.entries(files).map(async ([name, file]) => await access(file, constants.R_OK).then(() => [], () => [name])))
  return found.flat()
}

/** Builds with the real builder, once it is sure that this user and this host can. Throws Failure with what to do. */
export const hostBuild: Build = async request => {
  if (process.getuid?.() !== 0) throw new Failure('Building an image unpacks a whole system with its owners and devices: run this as root (sudo bin/bedplate image build).')
  const missing = await missingPackages()
  if (missing.length > 0) throw new Failure(`Building an image needs ${missing.join(', ')}: apt-get install ${missing.join(' ')}`, { code: 'PROGRAM_MISSING' })
  const { buildDebianImage } = await import('../plugins/images/build/debian.ts')
  return await buildDebianImage(request)
}

export interface BuildOptions { readonly flavour: Flavour, readonly directory?: string }

/** The folder of the image named `name`, with the build's progress told. Throws Failure. */
export async function buildImage ({ output, env, io }: Session, name: string, { flavour, directory = buildDirectory(env) }: BuildOptions): Promise<string> {
  if (!Object.hasOwn(releases, name)) throw new Failure(`There is no recipe for ${name}; there are ${Object.keys(releases).join(', ')} (debian: the release of this host).`, { exitCode: 2 })
  const release = releases[name]
  const build = io.build ?? hostBuild
  const terminal = 'isTTY' in io.stderr && io.stderr.isTTY === true
  let told = false
  try {
    return await build({
      directory, architecture: 'amd64', flavour, ...release === undefined ? {} : { release }, ...io.signal === undefined ? {} : { signal: io.signal },
      progress (line) {
        told = terminal
        output.progress(line.slice(0, 'columns' in io.stderr ? Math.max(20, Number(io.stderr.columns) - 1) : undefined), !terminal)
      }
    })
  } catch (error) {
    if (error instanceof Failure) throw error
    if (io.signal?.aborted) throw new Failure('Interrupted.')
    const reason = error instanceof BedplateError && error.code === 'IMAGE_INVALID' ? String(error.details.reason) : reasonOf(error)
    throw new Failure(`The image was not built: ${reason}`, { code: error instanceof BedplateError ? error.code : undefined })
  } finally {
    if (told) io.stderr.write('\n') // the last line of progress stays
  }
}
