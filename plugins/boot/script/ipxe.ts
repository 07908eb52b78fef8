/** What iPXE is told to do, from what is wanted of the machine. Pure. */
import type { Static } from 'typebox'
import type { manifest } from '../manifest.ts'

export type MachineEntry = Static<typeof manifest.wanted.machine>
export type BootFiles = Static<typeof manifest.wanted.unknown>

/** `base`: URL of the rack's HTTP port as this machine reaches it, no slash at the end. `mac`: lower case, colons. */
export interface Where { readonly base: string, readonly mac: string, readonly console: string }

const tries = 60
const pause = 5 // seconds

/** The script for a machine that is known, for one that nobody knows but that could be enlisted (`files`), or for neither. */
export function bootScript (machine: MachineEntry | undefined, unknown: BootFiles | undefined, where: Where): string {
  if (machine === undefined) {
    if (unknown === undefined) return waitScript(['Nothing to boot yet: no image has been imported.', 'Import one with "bedplate image import"; this machine looks again by itself.'], where)
    return ephemeralScript('a machine nobody knows yet: enlisting it', unknown, `${where.base}/provision/enlist`, where)
  }
  const name = printable(machine.hostname)
  switch (machine.purpose) {
    case 'local': return localScript(name)
    case 'poweroff': return powerOffScript(name, machine.reason, where)
    case 'commission':
    case 'deploy':
    case 'release': {
      if (machine.files === null) return waitScript([`${name} is to ${machine.purpose}, but there is no image for it.`, ...(machine.reason === null ? [] : [printable(machine.reason)]), 'This machine looks again by itself.'], where)
      if (machine.token === null) return waitScript([`${name} is to ${machine.purpose}, but its session is not ready yet.`, 'This machine looks again by itself.'], where)
      return ephemeralScript(`${name}: ${machine.purpose}`, machine.files, `${where.base}/provision/${machine.token}`, where)
    }
  }
}

/** The command line of the ephemeral system. `initrd=` is how a kernel started through its EFI stub finds the initrd that iPXE loaded. */
export function kernelOptions (files: BootFiles, url: string, { base, mac, console }: Where): string {
  return [
    'initrd=initrd.img', 'boot=bedplate', `bedplate.root=${base}/boot/files/${files.root.sha256}/root.squashfs`, `bedplate.size=${files.root.size}`, `bedplate.url=${url}`,
    `BOOTIF=01-${mac.replaceAll(':', '-')}`, 'ip=dhcp', printable(files.options), printable(console)
  ].filter(part => part !== '').join(' ')
}

// A restart of the rack in the middle must not strand the machine: every download is tried again, for minutes, and
// after that the firmware starts over.
function ephemeralScript (title: string, files: BootFiles, url: string, where: Where): string {
  const content = (file: { readonly sha256: string }, name: string) => `${where.base}/boot/files/${file.sha256}/${name}`
  return lines([
    `echo Bedplate: ${title}`,
    'set tries:int32 0',
    ':again',
    'imgfree',
    `kernel ${content(files.kernel, 'vmlinuz')} ${kernelOptions(files, url, where)} || goto retry`,
    `initrd --name initrd.img ${content(files.initrd, 'initrd.img')} || goto retry`,
    'boot || goto retry',
    ':retry',
    'inc tries',
    `iseq \${tries} ${tries} && goto failed ||`,
    `echo Bedplate: that failed, trying again (\${tries} of ${tries})`,
    `sleep ${pause}`,
    'goto again',
    ':failed',
    'echo Bedplate: giving up, starting over',
    'reboot'
  ])
}

// exit 1, not 0: after a success UEFI firmware may stop at its menu instead of trying the disk.
const localScript = (name: string): string => lines([
  `echo Bedplate: ${name} boots from its disk`,
  'iseq ${platform} efi && goto efi ||',
  'sanboot --no-describe --drive 0x80 || exit 1',
  ':efi',
  'exit 1'
])

// Many builds of iPXE have no `poweroff`; the machine then waits, and does what is wanted of it next.
const powerOffScript = (name: string, reason: string | null, where: Where): string => lines([
  `echo Bedplate: ${name} has nothing to do and is switched off${reason === null ? '' : `: ${printable(reason)}`}`,
  'sleep 10',
  'poweroff ||',
  'echo Bedplate: this iPXE cannot switch the machine off; waiting for orders',
  ...lookAgain(30, where)
])

const waitScript = (sentences: readonly string[], where: Where): string => lines([
  ...sentences.map(sentence => `echo Bedplate: ${sentence}`),
  ...lookAgain(10, where)
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

const lines = (body: readonly string[]): string => `#!ipxe\n${body.join('\n')}\n`

/** Words that iPXE takes for nothing but words: no line ends or control characters, no `${…}`, no `&&`, `||` or comment. */
export const printable = (value: string): string =>
  value.replace(/[^\x20-\x7e]+/g, ' ').replaceAll('${', '{').split(' ').filter(word => word !== '' && !/^(?:\|\||&&|#.*)$/.test(word)).join(' ')

/** Which architecture iPXE's `${buildarch}` stands for. A 32-bit x86 loader says nothing about the processor, which is 64-bit by now. */
export const architectureOf = (buildArchitecture: string | undefined): string => {
  switch (buildArchitecture) {
    case 'arm64': return 'arm64'
    case 'arm32': return 'armhf'
    default: return 'amd64'
  }
}
