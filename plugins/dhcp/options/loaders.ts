/** The loaders of each architecture: IANA's numbers for option 93 (and DHCPv6's option 61) → file names as Debian's packages have them. Pure. */

/** What runs first on a machine: `ipxe`, or `grub`, which where the firmware can check signatures comes behind the signed shim. */
export type LoaderKind = 'ipxe' | 'grub'

export interface Loader {
  /** The first file of each kind; the other kind where there is none. */
  readonly ipxe?: string
  readonly grub?: string
  /** The firmware reads a PXELINUX configuration by itself and needs no loader. */
  readonly configuration?: true
}

const bios: Loader = { ipxe: 'undionly.kpxe' }
// GRUB 2.06, which Debian 12 has, knows no network when it was loaded by UEFI's HTTP boot; there such firmware gets iPXE, or fails at once and goes on with PXE.
const http = (name: string): Loader => ({ ipxe: name })
const ia32: Loader = { grub: 'grubnetia32.efi' }
const x64: Loader = { ipxe: 'ipxe.efi', grub: 'shimx64.efi' }
const arm64: Loader = { ipxe: 'ipxe-arm64.efi', grub: 'shimaa64.efi' }
const reading: Loader = { configuration: true }

const loaders: Readonly<Record<number, Loader>> = {
  0: bios,
  6: ia32,
  7: x64, 9: x64, // 7 is UEFI byte code by its name; every x64 firmware says it
  11: arm64,
  16: http('ipxe.efi'), 19: http('ipxe-arm64.efi'), // the same firmware when it boots by HTTP; 15 would be ia32
  12: { grub: 'core.elf' }, // Open Firmware on POWER; Debian ships only the parts: grub-mknetdir puts this one together
  14: reading, // OPAL: petitboot
  31: reading // s390x
}

export const loadersOf = (architecture: number): Loader | undefined => loaders[architecture]

/** Debian 12's iPXE is for x86 alone and one for ARM must be put beside it by hand, so on ARM GRUB comes first unless iPXE is asked for; elsewhere iPXE does. */
export function loaderFile (architecture: number, kind: LoaderKind | undefined): string | undefined {
  const loader = loaders[architecture]
  if (loader === undefined) return undefined
  const preferred = kind ?? (loader === arm64 ? 'grub' : 'ipxe')
  return loader[preferred] ?? loader.ipxe ?? loader.grub
}
