/** What a machine is to do, before any boot loader's language: from what is wanted of it. Pure. */
import type { Static } from 'typebox'
import type { manifest } from '../manifest.ts'
import { printable } from './printable.ts'

export type MachineEntry = Static<typeof manifest.wanted.machine>
export type BootFiles = Static<typeof manifest.wanted.unknown>

/** `base`: URL of the rack's HTTP port as this machine reaches it, no slash at the end. `mac`: lower case, colons. `iscsiPort`: of the rack's targets. */
export interface Where { readonly base: string, readonly mac: string, readonly console: string, readonly iscsiPort?: number }

export type Task =
  | { readonly kind: 'boot', readonly title: string, readonly files: BootFiles, readonly kernel: string, readonly initrd: string, readonly options: readonly string[] }
  | { readonly kind: 'local', readonly title: string }
  | { readonly kind: 'poweroff', readonly title: string }
  | { readonly kind: 'wait', readonly sentences: readonly string[] }

/** How often a download is tried, and how long after it failed it is tried again, in seconds: some minutes, then the firmware starts over. */
export const tries = 60
export const pause = 5

/** The task of a machine that is known, of one that nobody knows but that could be enlisted (`unknown`), or of neither. */
export function taskOf (machine: MachineEntry | undefined, unknown: BootFiles | undefined, where: Where): Task {
  if (machine === undefined) {
    if (unknown === undefined) return { kind: 'wait', sentences: ['Nothing to boot yet: no image has been imported.', 'Import one with "bedplate image import"; this machine looks again by itself.'] }
    return bootTask('a machine nobody knows yet: enlisting it', unknown, `${where.base}/provision/enlist`, where)
  }
  const name = printable(machine.hostname)
  switch (machine.purpose) {
    case 'local': return { kind: 'local', title: `${name} boots from its disk` }
    case 'poweroff': return { kind: 'poweroff', title: `${name} has nothing to do and is switched off${machine.reason === null ? '' : `: ${printable(machine.reason)}`}` }
    case 'commission':
    case 'deploy':
    case 'release': {
      const again = 'This machine looks again by itself.'
      if (machine.files === null) return { kind: 'wait', sentences: [`${name} is to ${machine.purpose}, but there is no image for it.`, ...(machine.reason === null ? [] : [printable(machine.reason)]), again] }
      if (machine.token === null) return { kind: 'wait', sentences: [`${name} is to ${machine.purpose}, but its session is not ready yet.`, again] }
      // the import refuses such an image, but a machine may have been set to another way than the image's own
      if (!brings(machine.files)) return { kind: 'wait', sentences: [`${name} is to get its root by the way ${machine.files.way}, which cannot bring one of ${machine.files.root.size} bytes.`, 'Give it another one with bedplate machine set-boot; this machine looks again by itself.'] }
      return bootTask(`${name}: ${machine.purpose}`, machine.files, `${where.base}/provision/${machine.token}`, where)
    }
  }
}

/** Whether the way can bring the root: beside the initrd its size has eight hex digits, and a disk has whole blocks. */
const brings = ({ root: { size }, way }: BootFiles): boolean => way === 'initrd' ? size < 2 ** 32 : way !== 'iscsi' || size % 512 === 0

const bootTask = (title: string, files: BootFiles, url: string, where: Where): Task =>
  ({ kind: 'boot', title, files, kernel: `/boot/files/${files.kernel.sha256}/vmlinuz`, initrd: initrdPath(files), options: kernelOptions(files, url, where) })

/** Below the rack's base, and the same by TFTP. A root that rides along is one file with the initrd, made by the rack: how loaders put two together differs too much (README). */
const initrdPath = ({ initrd, root, way }: BootFiles): string => way === 'initrd' ? `/boot/initrd/${initrd.sha256}/${root.sha256}/initrd.img` : `/boot/files/${initrd.sha256}/initrd.img`

/** The command line of the ephemeral system, word by word. */
export function kernelOptions (files: BootFiles, url: string, where: Where): string[] {
  return [
    'boot=bedplate', `bedplate.root=${rootOf(files, where)}`, `bedplate.size=${files.root.size}`, `bedplate.url=${url}`,
    `BOOTIF=01-${where.mac.replaceAll(':', '-')}`, 'ip=dhcp', ...words(files.options), ...words(where.console)
  ]
}

const words = (text: string): string[] => printable(text).split(' ').filter(word => word !== '')

/** The image's root, as the initrd reads it (images/build/root/usr/share/initramfs-tools/scripts/bedplate). */
function rootOf ({ root, way }: BootFiles, { base, iscsiPort = 3260 }: Where): string {
  if (way === 'initrd') return 'initrd'
  if (way === 'iscsi') return `iscsi:${hostOf(base)}:${iscsiPort}:iqn.2026-11.io.bedplate:root.${root.sha256}`
  return `${base}/boot/files/${root.sha256}/root.squashfs`
}

/** The host of a URL, an IPv6 address in brackets. */
export const hostOf = (base: string): string => /^https?:\/\/(\[[^\]]*\]|[^:/]*)/.exec(base)?.[1] ?? ''
