/** The system of a cell: Debian's kernel as it is signed, an initrd of busybox that says what it got, and a small root. Built under .cache/boot. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, chmod, copyFile, mkdir, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
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

const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false)

/** Takes seconds once the packages are there, and then it stays: several runs may want it at once, and each finds it whole. */
export async function cellImage (architecture: Architecture, say: (line: string) => void): Promise<CellImage> {
  const from = await unpacked(architecture, [`linux-image-cloud-${architecture}>`, 'busybox-static'], say)
  const kernel = (await readdir(join(from, 'boot'))).filter(name => name.startsWith('vmlinuz-')).sort().at(-1)
  if (kernel === undefined) throw new Error(`there is no kernel in ${from}`)
  const version = kernel.slice('vmlinuz-'.length)
  const init = await readFile(join(import.meta.dirname, 'init'))
  const key = createHash('sha256').update(JSON.stringify([version, modules, lease])).update(init).digest('hex').slice(0, 12)
  const directory = join(project, '.cache/boot', `cell-${architecture}-${key}`)
  if (!await exists(directory)) {
    const work = join(project, '.cache/boot', `.building-${randomUUID()}`)
    try {
      await build(work, from, version, init)
      await rename(work, directory).catch(async (error: unknown) => { if (!await exists(directory)) throw error }) // another run was first
    } finally { await rm(work, { recursive: true, force: true }) }
  }
  return { architecture, kernel: await fileOf(join(from, 'boot', kernel)), initrd: await fileOf(join(directory, 'initrd.img')), root: await fileOf(join(directory, 'root')) }
}

async function build (directory: string, from: string, version: string, init: Buffer): Promise<void> {
  const tree = join(directory, 'tree')
  for (const folder of ['bin', 'modules']) await mkdir(join(tree, folder), { recursive: true })
  await copyFile(join(from, 'bin/busybox'), join(tree, 'bin/busybox'))
  await chmod(join(tree, 'bin/busybox'), 0o755)
  await symlink('busybox', join(tree, 'bin/sh')) // of /init's first line, before busybox has installed itself
  await writeFile(join(tree, 'init'), init, { mode: 0o755 })
  await writeFile(join(tree, 'lease'), lease, { mode: 0o755 })
  const folder = join(from, 'lib/modules', version)
  const found = new Map((await readdir(folder, { recursive: true })).filter(path => path.endsWith('.ko')).map(path => [basename(path, '.ko').replaceAll('-', '_'), path]))
  const order = modules.filter(name => found.has(name)) // the others are part of this architecture's kernel
  for (const name of order) await copyFile(join(folder, found.get(name) ?? ''), join(tree, 'modules', `${name}.ko`))
  await writeFile(join(tree, 'modules/order'), order.map(name => `${name}.ko\n`).join(''))
  await run('sh', ['-c', 'find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > ../initrd.img'], { cwd: tree })
  await writeFile(join(directory, 'root'), randomBytes(3 << 20))
}
