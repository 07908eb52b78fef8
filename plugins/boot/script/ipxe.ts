/** What iPXE is told to do, from what is wanted of the machine. Pure. */
import { hostOf, kernelOptions as optionsOf, pause, taskOf, tries } from './task.ts'
import type { BootFiles, MachineEntry, Task, Where } from './task.ts'
import { printable } from './printable.ts'
import { filled } from './template.ts'

export { printable }
export type { BootFiles, MachineEntry, Where }

/** The script for a machine that is known, for one that nobody knows but that could be enlisted (`files`), or for neither. */
export const bootScript = (machine: MachineEntry | undefined, unknown: BootFiles | undefined, where: Where): string => ipxeScript(taskOf(machine, unknown, where), where)

export function ipxeScript (task: Task, where: Where): string {
  switch (task.kind) {
    case 'boot': return task.files.templates?.ipxe === undefined ? ephemeralScript(task, where) : filled(task.files.templates.ipxe, task, where, `initrd=initrd.img ${task.options.join(' ')}`)
    case 'local': return localScript(task.title, where)
    case 'poweroff': return powerOffScript(task.title, where)
    case 'wait': return lines([...task.sentences.map(sentence => `echo Bedplate: ${sentence}`), ...lookAgain(10, where)])
  }
}

/** The command line as iPXE gives it. `initrd=` is how a kernel started through its EFI stub finds the initrd that iPXE loaded. */
export const kernelOptions = (files: BootFiles, url: string, where: Where): string => ['initrd=initrd.img', ...optionsOf(files, url, where)].join(' ')

// A restart of the rack in the middle must not strand the machine: every download is tried again, for minutes, and
// after that the firmware starts over.
const ephemeralScript = ({ title, kernel, initrd, options }: Task & { kind: 'boot' }, { base }: Where): string => lines([
  `echo Bedplate: ${title}`,
  'set tries:int32 0',
  ':again',
  'imgfree',
  `kernel ${base}${kernel} initrd=initrd.img ${options.join(' ')} || goto retry`,
  `initrd --name initrd.img ${base}${initrd} || goto retry`,
  'boot || goto retry',
  ...retry('again')
])

const retry = (label: string): string[] => [
  ':retry',
  'inc tries',
  `iseq \${tries} ${tries} && goto failed ||`,
  `echo Bedplate: that failed, trying again (\${tries} of ${tries})`,
  `sleep ${pause}`,
  `goto ${label}`,
  ':failed',
  'echo Bedplate: giving up, starting over',
  'reboot'
]

// iPXE of 2019 on UEFI can start no disk, and loaded by firmware it may never come back to it: GRUB goes on from here. Where the rack has none it is left to the firmware after all;
// exit 1, not 0: after a success UEFI firmware may stop at its menu instead of trying the disk.
const localScript = (title: string, { base }: Where): string => lines([
  `echo Bedplate: ${title}`,
  'iseq ${platform} efi && goto efi ||',
  'sanboot --no-describe --drive 0x80 || exit 1',
  ':efi',
  'set grub grubx64.efi',
  'iseq ${buildarch} arm64 && set grub grubaa64.efi ||',
  'iseq ${buildarch} i386 && set grub grubia32.efi ||',
  `chain --autofree tftp://${hostOf(base)}/\${grub} ||`,
  'exit 1'
])

// Many builds of iPXE have no `poweroff`; the machine then waits, and does what is wanted of it next.
const powerOffScript = (title: string, where: Where): string => lines([
  `echo Bedplate: ${title}`,
  'sleep 10',
  'poweroff ||',
  'echo Bedplate: this iPXE cannot switch the machine off; waiting for orders',
  ...lookAgain(30, where)
])

/** Asks for the script again after a while, some hundred times at most; then the firmware starts over. */
const lookAgain = (seconds: number, { base, mac }: Where): string[] => [
  'isset ${looks} || set looks:int32 0',
  ':look',
  'inc looks',
  'iseq ${looks} 200 && goto over ||',
  `sleep ${seconds}`,
  `chain --replace --autofree ${base}/boot/ipxe/${mac.replaceAll(':', '-')} ||`,
  'goto look',
  ':over',
  'reboot'
]

/** For any machine: fetches the script of its own. What is put on a stick, or named to an iPXE whose DHCP server is another one. */
export const genericScript = (base: string): string => lines([
  'isset ${mac} || dhcp ||',
  'set tries:int32 0',
  ':again',
  `chain --replace --autofree ${base}/boot/ipxe/\${mac:hexhyp}?arch=\${buildarch} || goto retry`,
  ...retry('again')
])

const lines = (body: readonly string[]): string => `#!ipxe\n${body.join('\n')}\n`

/** Which architecture iPXE's `${buildarch}` stands for. A 32-bit x86 loader says nothing about the processor, which is 64-bit by now. */
export const architectureOf = (buildArchitecture: string | undefined): string => {
  switch (buildArchitecture) {
    case 'arm64': return 'arm64'
    case 'arm32': return 'armhf'
    default: return 'amd64'
  }
}
