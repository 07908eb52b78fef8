/** The cells: firmware × the way to the loader × image × the way to the root. Pure data. */
import type { FirmwareName } from './machine.ts'

export type Way = 'http' | 'initrd' | 'iscsi'
/** `cell`: Debian's signed kernel and a system of busybox that says what it got; `debian`: the image that Bedplate builds. */
export type ImageName = 'cell' | 'debian'
export interface Row {
  readonly name: string
  readonly firmware: FirmwareName
  /** What the machine goes through, and by what: for the table. */
  readonly chain: string
  readonly transport: 'HTTP' | 'TFTP' | 'TFTP, HTTP'
  readonly loader: 'auto' | 'ipxe' | 'grub'
  /** A loader that is named to a machine that would otherwise not be given it. */
  readonly named?: string
  /** Files that have to be fetched on the way, each by this transport, in this order: the beginning of what the rack reports. */
  readonly fetched: readonly (readonly ['tftp' | 'http', RegExp])[]
}

const script = ['http', /^\/ipxe\//] as const
const [grubText, ownGrub] = [['tftp', /grub\/grub\.cfg$/] as const, ['tftp', /grub\.cfg-01-/] as const]
const kernel = (by: 'tftp' | 'http') => [by, /vmlinuz$/] as const
const shim = (name: string) => [['tftp', new RegExp(`^shim${name}\\.efi$`)], ['tftp', new RegExp(`^grub${name}\\.efi$`)], grubText, ownGrub, kernel('tftp')] as const

export const rows: readonly Row[] = [
  { name: 'bios', firmware: 'bios', chain: 'iPXE in ROM → script', transport: 'HTTP', loader: 'auto', fetched: [script, kernel('http')] },
  { name: 'bios-pxelinux', firmware: 'bios', chain: 'PXELINUX → pxelinux.cfg/01-…', transport: 'TFTP', loader: 'auto', named: 'lpxelinux.0', fetched: [['tftp', /^lpxelinux\.0$/], ['tftp', /pxelinux\.cfg\/01-/], kernel('tftp')] },
  { name: 'uefi-rom', firmware: 'uefi-rom', chain: 'iPXE in ROM → script', transport: 'HTTP', loader: 'auto', fetched: [script, kernel('http')] },
  { name: 'uefi-pxe', firmware: 'uefi-pxe', chain: 'PXE → ipxe.efi → script', transport: 'TFTP, HTTP', loader: 'auto', fetched: [['tftp', /^ipxe\.efi$/], script, kernel('http')] },
  { name: 'uefi-grub', firmware: 'uefi-pxe', chain: 'PXE → shim → GRUB → grub.cfg', transport: 'TFTP', loader: 'grub', fetched: shim('x64') },
  { name: 'uefi-http', firmware: 'uefi-http', chain: 'HTTP boot → ipxe.efi → script', transport: 'HTTP', loader: 'auto', fetched: [['http', /ipxe\.efi$/], script, kernel('http')] },
  { name: 'uefi-secure', firmware: 'uefi-secure', chain: 'PXE → shim → GRUB → grub.cfg', transport: 'TFTP', loader: 'grub', fetched: shim('x64') },
  { name: 'arm64', firmware: 'arm64-pxe', chain: 'PXE → shim → GRUB → grub.cfg', transport: 'TFTP', loader: 'auto', fetched: shim('aa64') }
]

export interface Plan { readonly row: Row, readonly image: ImageName, readonly way: Way }
export const nameOf = ({ row, image, way }: Plan): string => `${row.name}/${image}/${way}`

/** busybox has no iSCSI initiator, and the image that Bedplate builds is for amd64. */
export const exists = ({ row, image, way }: Plan): boolean => image === 'cell' ? way !== 'iscsi' : row.firmware !== 'arm64-pxe'
const images: readonly ImageName[] = ['cell', 'debian']
export const ways: readonly Way[] = ['http', 'iscsi', 'initrd']
export const plans: readonly Plan[] = rows.flatMap(row => images.flatMap(image => ways.map(way => ({ row, image, way })))).filter(exists)
