/** What a client boots over IPv6, by its architecture and by the loader it is to get. */
import { expect, it } from 'vitest'
import { bootOf6 } from '../../../../plugins/dhcp/v6/boot6.ts'
import { option6 } from '../../../../plugins/dhcp/v6/codes6.ts'
import { parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { u16, u32, writeStrings } from '../../../../plugins/dhcp/v6/options6.ts'
import type { LoaderKind } from '../../../../plugins/dhcp/options/loaders.ts'

const url = (vendor: string, architecture: number, kind?: LoaderKind): string | undefined =>
  bootOf6([{ code: option6.vendorClass, value: Buffer.concat([u32(343), writeStrings(Buffer.from(vendor))]) }, { code: option6.architecture, value: u16(architecture) }], parseIp6('fd00::1'), 5248, '52:54:00:00:00:01', kind)?.url

it.each<readonly [string, number, LoaderKind | undefined, string | undefined]>([
  ['PXEClient', 7, undefined, 'tftp://[fd00::1]/ipxe.efi'], ['PXEClient', 7, 'grub', 'tftp://[fd00::1]/shimx64.efi'], ['PXEClient', 11, undefined, 'tftp://[fd00::1]/shimaa64.efi'], ['PXEClient', 6, undefined, 'tftp://[fd00::1]/grubnetia32.efi'],
  ['HTTPClient', 16, undefined, 'http://[fd00::1]:5248/boot/loaders/ipxe.efi'], ['HTTPClient', 16, 'grub', 'http://[fd00::1]:5248/boot/loaders/ipxe.efi'], ['PXEClient', 0, undefined, undefined], ['PXEClient', 999, 'grub', undefined]
])('%s of architecture %i that is to get %s: %s', (vendor, architecture, kind, expected) => { expect(url(vendor, architecture, kind)).toBe(expected) })
