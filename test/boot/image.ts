/** The system of a cell: Debian's kernel as it is signed, an initrd of busybox that says what it got, and a small root. Built under .cache/boot. */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { project } from '../lab/controller.ts'
import { unpacked, type Architecture } from './packages.ts'

const run = promisify(execFile)
export interface CellFile { readonly path: string, readonly sha256: string, readonly size: number }
export interface CellImage { readonly architecture: Architecture, readonly kernel: CellFile, readonly initrd: CellFile, readonly root: CellFile }

/** In the order in which they are put in: each after what it needs. */
const modules = ['failover', 'net_failover', 'virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_net', 'af_packet', 'efivarfs']
const lease = '#!/bin/sh\n[ "$1" = bound ] || [ "$1" = renew ] || exit 0\nip addr add "$ip/$mask" dev "$interface"\n[ -z "$router" ] || ip route add default via "${router%% *}"\n'

export async function fileOf (path: string): Promise<CellFile> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return { path, sha256: hash.digest('hex'), size: (await stat(path)).size }
}

/** Takes seconds once the packages are there. */
export async function cellImage (architecture: Architecture, say: (line: string) => void): Promise<CellImage> {
  const from = await unpacked(architecture, [`linux-image-cloud-${architecture}>`, 'busybox-static'], say)
  const directory = join(project, '.cache/boot', `cell-${architecture}`)
  const tree = join(directory, 'tree')
  await rm(tree, { recursive: true, force: true })
  for (const folder of ['bin', 'modules']) await mkdir(join(tree, folder), { recursive: true })
  await copyFile(join(from, 'bin/busybox'), join(tree, 'bin/busybox'))
  await copyFile(join(import.meta.dirname, 'init'), join(tree, 'init'))
  await writeFile(join(tree, 'lease'), lease, { mode: 0o755 })
  await run('chmod', ['755', join(tree, 'init'), join(tree, 'bin/busybox')])
  const found = new Map((await readdir(join(from, 'lib/modules'), { recursive: true })).filter(path => path.endsWith('.ko')).map(path => [basename(path, '.ko').replaceAll('-', '_'), path]))
  const order = modules.filter(name => found.has(name)) // the others are part of this architecture's kernel
  for (const name of order) await copyFile(join(from, 'lib/modules', found.get(name) ?? ''), join(tree, 'modules', `${name}.ko`))
  await writeFile(join(tree, 'modules/order'), order.map(name => `${name}.ko`).join('\n') + '\n')
  // busybox's name in the path of /init's interpreter, before it has installed itself
  await run('ln', ['-sf', 'busybox', join(tree, 'bin/sh')])
  const initrd = join(directory, 'initrd.img')
  await run('sh', ['-c', 'find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > "$1"', 'sh', initrd], { cwd: tree })
  const root = join(directory, 'root')
  await writeFile(root, randomBytes(3 << 20))
  const kernel = (await readdir(join(from, 'boot'))).find(name => name.startsWith('vmlinuz-')) ?? ''
  await readFile(join(from, 'boot', kernel)) // a kernel that is not there is found out here
  return { architecture, kernel: await fileOf(join(from, 'boot', kernel)), initrd: await fileOf(initrd), root: await fileOf(root) }
}
