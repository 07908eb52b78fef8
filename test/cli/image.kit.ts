/** A folder that is an image as far as anybody looks before booting it. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fakeInitrd, fakeKernel, fakeRoot } from '../plugins/images/rig.ts'

export const files = { 'vmlinuz': fakeKernel(4096), 'initrd.img': fakeInitrd(2048), 'root.squashfs': fakeRoot(5 * 2 ** 20) } as const

/** `more`: further fields of image.json. */
export async function writeImage (folder: string, name = 'debian-13', more: object = {}): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  await writeFile(join(folder, 'image.json'), JSON.stringify({
    name, os: 'debian', release: '13', architecture: 'amd64', title: 'Debian 13', user: 'debian', kernelOptions: 'console=ttyS0', kernel: 'vmlinuz', initrd: 'initrd.img', root: 'root.squashfs', ...more
  }))
}
