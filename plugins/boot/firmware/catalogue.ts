/** Which loaders there are, where Debian puts them, and which package brings them. Pure data. */

export interface LoaderSource {
  /** Where the package puts its files. */
  readonly directory: string
  /** What to install; `:arm64`: of that architecture, also on a rack of another one. */
  readonly package: string
  /** Files the firmware or a loader asks for; the source is in order when they are all there. */
  readonly names: readonly string[]
  readonly for: string
  /** Without it most machines cannot boot, and its absence is a fault; the others are for those who have such machines. */
  readonly needed?: true
}

export const sources: readonly LoaderSource[] = [
  { directory: '/usr/lib/ipxe', package: 'ipxe', names: ['undionly.kpxe', 'ipxe.efi'], for: 'BIOS and UEFI x64', needed: true },
  { directory: '/usr/lib/shim', package: 'shim-signed', names: ['shimx64.efi.signed'], for: 'Secure Boot' },
  { directory: '/usr/lib/grub/x86_64-efi-signed', package: 'grub-efi-amd64-signed', names: ['grubnetx64.efi.signed'], for: 'Secure Boot' },
  { directory: '/usr/lib/shim', package: 'shim-signed:arm64', names: ['shimaa64.efi.signed'], for: 'UEFI arm64' },
  { directory: '/usr/lib/grub/arm64-efi-signed', package: 'grub-efi-arm64-signed:arm64', names: ['grubnetaa64.efi.signed'], for: 'UEFI arm64' },
  { directory: '/usr/lib/grub/i386-efi/monolithic', package: 'grub-efi-ia32-bin', names: ['grubnetia32.efi'], for: 'UEFI on 32 bits' },
  { directory: '/usr/lib/PXELINUX', package: 'pxelinux', names: ['lpxelinux.0', 'pxelinux.0'], for: 'PXELINUX' },
  { directory: '/usr/lib/syslinux/modules/bios', package: 'syslinux-common', names: ['ldlinux.c32'], for: 'PXELINUX' }
]

/** Where loaders are looked for when nothing is configured: what was put there by hand first. */
export const usualDirectories: readonly string[] = ['/usr/local/lib/bedplate/loaders', ...new Set(sources.map(({ directory }) => directory))]

/**
 * Names that are asked for → the files that are meant. UEFI's HTTP boot takes nothing for a program whose name does not end in .efi, which Debian's signed ones do not;
 * and shim looks for the name that GRUB has on disks, while Debian's image for the network has another.
 */
export const aliases: Readonly<Record<string, string>> = { 'shimx64.efi': 'shimx64.efi.signed', 'shimaa64.efi': 'shimaa64.efi.signed', 'grubx64.efi': 'grubnetx64.efi.signed', 'grubaa64.efi': 'grubnetaa64.efi.signed', 'grubia32.efi': 'grubnetia32.efi' }

/** The file that a name stands for where it has no file of its own. */
export const meant = (name: string): string => Object.hasOwn(aliases, name) ? aliases[name] ?? name : name

/** How to get what is missing. */
export const remedyFor = (packages: readonly string[]): string => {
  const foreign = [...new Set(packages.flatMap(name => /:(\w+)$/.exec(name)?.[1] ?? []))]
  return `${foreign.map(architecture => `dpkg --add-architecture ${architecture} && apt-get update && `).join('')}apt-get install ${packages.join(' ')}`
}
