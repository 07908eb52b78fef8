/** Kernel and initrd of the Linux initiator: Debian's own kernel, its iscsistart, and busybox. Built under .cache/boot from packages that are unpacked, never installed. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { unpacked } from '../boot/packages.ts'
import { project } from '../lab/controller.ts'

const run = promisify(execFile)
/** What is loaded; what each needs comes before it. */
const wanted = ['virtio_pci', 'virtio_net', 'af_packet', 'iscsi_ibft', 'iscsi_tcp', 'sd_mod', 'crc32c_intel']
const libraries = ['libc6', 'libssl3', 'libkmod2', 'libopeniscsiusr', 'libzstd1', 'liblzma5']
const nameOf = (path: string): string => basename(path, '.ko').replaceAll('-', '_')

/** In the order in which they can be put in, by the dependencies each module names in itself. */
async function ordered (folder: string): Promise<string[]> {
  const paths = new Map((await readdir(folder, { recursive: true })).filter(path => path.endsWith('.ko')).map(path => [nameOf(path), join(folder, path)]))
  const order: string[] = []
  const add = async (name: string): Promise<void> => {
    const path = paths.get(name)
    if (path === undefined || order.includes(path)) return // part of the kernel itself
    const bytes = await readFile(path)
    const at = bytes.indexOf('\0depends=') + 9
    for (const before of bytes.toString('latin1', at, bytes.indexOf(0, at)).split(',').filter(Boolean)) await add(before.replaceAll('-', '_'))
    if (!order.includes(path)) order.push(path)
  }
  for (const name of wanted) await add(name)
  return order
}

/** The shared libraries a program needs, by the names it has for them, found among the unpacked packages. */
async function librariesOf (program: string, from: string): Promise<string[]> {
  const all = (await readdir(from, { recursive: true })).filter(path => /\.so(?:\.|$)/.test(path))
  const found = new Map<string, string>()
  const add = async (file: string): Promise<void> => {
    const { stdout } = await run('objdump', ['-p', file])
    for (const [, needed = ''] of stdout.matchAll(/NEEDED\s+(\S+)/g)) {
      const path = all.find(one => basename(one) === needed)
      if (path === undefined || found.has(needed)) continue
      found.set(needed, join(from, path))
      await add(join(from, path))
    }
  }
  await add(program)
  return [...found.values()]
}

export async function guestImage (say: (line: string) => void): Promise<{ readonly kernel: string, readonly initrd: string }> {
  const from = await unpacked('amd64', ['linux-image-cloud-amd64>', 'busybox-static', 'open-iscsi', ...libraries], say)
  const directory = join(project, '.cache/boot/iscsi-guest')
  const tree = join(directory, 'tree')
  await rm(tree, { recursive: true, force: true })
  for (const folder of ['bin', 'etc', 'modules', 'lib64', 'usr/lib']) await mkdir(join(tree, folder), { recursive: true })
  const put = async (path: string, as: string): Promise<void> => {
    await mkdir(dirname(join(tree, as)), { recursive: true })
    await copyFile(path, join(tree, as))
    await run('chmod', ['755', join(tree, as)])
  }
  await put(join(import.meta.dirname, 'guest-init'), 'init')
  await put(join(from, 'bin/busybox'), 'bin/busybox')
  await run('ln', ['-sf', 'busybox', join(tree, 'bin/sh')])
  const started = await anyOf([join(from, 'usr/sbin/iscsistart'), join(from, 'sbin/iscsistart')])
  await put(started, 'bin/iscsistart')
  for (const library of await librariesOf(started, from)) await put(library, basename(library).startsWith('ld-linux') ? join('lib64', basename(library)) : join('usr/lib', basename(library)))
  await run('ln', ['-sf', 'usr/lib', join(tree, 'lib')])
  const order = await ordered(join(from, 'lib/modules'))
  for (const module of order) await put(module, join('modules', basename(module)))
  await writeFile(join(tree, 'modules/order'), order.map(path => `${basename(path)}\n`).join(''))
  const initrd = join(directory, 'initrd.img')
  await run('sh', ['-c', 'find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > "$1"', 'sh', initrd], { cwd: tree })
  const kernel = (await readdir(join(from, 'boot'))).find(name => name.startsWith('vmlinuz-')) ?? ''
  return { kernel: join(from, 'boot', kernel), initrd }
}

async function anyOf (paths: readonly string[]): Promise<string> {
  for (const path of paths) if (await readFile(path).then(() => true, () => false)) return path
  throw new TypeError(`none of ${paths.join(', ')} is there`)
}
