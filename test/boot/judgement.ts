/** What is shown beside the table: what Secure Boot refuses, and that machines boot from their disks. */
import { bootsLocally, refusesIpxe, refusesTampered, type RunOptions } from './run.ts'

export const judgements: readonly { readonly name: string, readonly title: string, run(options: RunOptions): Promise<void> }[] = [
  { name: 'secure-refuses-ipxe', title: 'Secure Boot refuses iPXE, which is not signed; switched on again the machine gets shim by itself, and boots', run: refusesIpxe },
  { name: 'secure-refuses-tampered', title: 'Secure Boot: a kernel with one bit changed is fetched and not started', run: refusesTampered },
  { name: 'local-bios', title: 'BIOS, iPXE: boots from its disk', run: options => bootsLocally('bios', 'auto', options) },
  { name: 'local-uefi-ipxe', title: 'UEFI x64, iPXE: boots from its disk', run: options => bootsLocally('uefi-pxe', 'auto', options) },
  { name: 'local-uefi-grub', title: 'UEFI x64, GRUB: boots from its disk', run: options => bootsLocally('uefi-pxe', 'grub', options) },
  { name: 'local-uefi-secure', title: 'UEFI x64 with Secure Boot, GRUB: boots from its disk', run: options => bootsLocally('uefi-secure', 'grub', options) },
  { name: 'local-arm64', title: 'UEFI arm64, GRUB: boots from its disk', run: options => bootsLocally('arm64-pxe', 'auto', options) }
]
