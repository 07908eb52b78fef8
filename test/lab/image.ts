/** The lab's image: built once from Debian's packages, then taken from .cache/images. */
import { join } from 'node:path'
import { buildDebianImage } from '../../plugins/images/build/debian.ts'
import { buildPackages } from '../../plugins/images/build/packages.ts'
import { project } from './controller.ts'
import { ensurePackages } from './packages.ts'

/** The folder of the image for virtual machines. The first build takes minutes and says how far it is. */
export async function labImage (say: (line: string) => void): Promise<string> {
  await ensurePackages(buildPackages, say)
  return await buildDebianImage({ directory: join(project, '.cache/images'), architecture: 'amd64', flavour: 'cloud', progress: line => { if (!/I: (running --|finding|chroot|automatically)/.test(line)) say(`image: ${line.replace('I: ', '')}`) } })
}
