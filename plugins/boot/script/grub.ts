/** What GRUB is told to do, from what is wanted of the machine; written for 2.06, which has no arithmetic and no ports in HTTP addresses. Pure. */
import { pause, tries } from './task.ts'
import type { Task, Where } from './task.ts'
import { filled } from './template.ts'

/** `device`: where GRUB reads from, as `(tftp,10.0.0.1)`. */
export interface GrubWhere extends Where { readonly device: string }

const looks = 200
const count = (to: number): string => Array.from({ length: to }, (_, index) => index + 1).join(' ')

/**
 * The first configuration, the same for every machine: Debian's GRUB for the network asks for `/grub/grub.cfg` and nothing that names the machine, so this one does.
 * It keeps asking for minutes, as a rack may be starting again; what the machine's own text does not end in a boot is looked at again.
 */
export const genericGrub = (device: string): string => lines([
  'set bedplate=looking',
  `for look in ${count(looks)}; do`,
  `  source ${device}/grub/$grub_cpu/grub.cfg-01-$net_default_mac`,
  `  sleep ${pause}`,
  'done',
  "echo 'Bedplate: giving up, starting over'",
  'reboot'
])

export function grubConfiguration (task: Task, where: GrubWhere): string {
  switch (task.kind) {
    case 'boot': {
      const options = task.options.map(quoted).join(' ')
      return task.files.templates?.grub === undefined ? bootLines(task, where, options) : filled(task.files.templates.grub, task, { ...where, base: where.device }, options)
    }
    case 'local': return localLines(task.title)
    // `halt` is there on every platform; where the firmware does not switch off, GRUB waits in it
    case 'poweroff': return lines([say(task.title), 'sleep 10', 'halt'])
    case 'wait': return lines([...task.sentences.map(say), `sleep ${pause}`, 'if [ "$bedplate" != looking ]; then reboot; fi'])
  }
}

const bootLines = ({ title, kernel, initrd }: Task & { kind: 'boot' }, { device }: GrubWhere, options: string): string => lines([
  say(title),
  `for try in ${count(tries)}; do`,
  `  if linux ${device}${kernel} ${options}; then`,
  `    if initrd ${device}${initrd}; then`,
  '      boot',
  '    fi',
  '  fi',
  `  echo "Bedplate: that failed, trying again ($try of ${tries})"`,
  `  sleep ${pause}`,
  'done',
  "echo 'Bedplate: giving up, starting over'",
  'reboot'
])

// Firmware may take GRUB's `exit` for a success and stop at its menu, so the disk's own loader is started from here: the one at the place every firmware looks at.
const localLines = (title: string): string => lines([
  say(title),
  'set loader=/EFI/BOOT/BOOTX64.EFI',
  'if [ "$grub_cpu" = arm64 ]; then set loader=/EFI/BOOT/BOOTAA64.EFI; fi',
  'if [ "$grub_cpu" = i386 ]; then set loader=/EFI/BOOT/BOOTIA32.EFI; fi',
  'if search --no-floppy --file --set=disk $loader; then',
  '  set root=$disk',
  '  if chainloader ($disk)$loader; then',
  '    boot',
  '  fi',
  'fi',
  "echo 'Bedplate: no disk has a loader; leaving it to the firmware'",
  'exit'
])

/** One argument, whatever is in it. */
export const quoted = (word: string): string => /^[\w.,:/@%+=~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

const say = (sentence: string): string => `echo ${quoted(`Bedplate: ${sentence}`)}`
const lines = (body: readonly string[]): string => `${body.join('\n')}\n`
