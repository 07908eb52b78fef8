/** What a client boots: option 93 and user class → boot file, next server and the options firmware looks for. Pure. */
import { ipText } from './ipv4.ts'
import { architectureOf, ipxeOf, vendorClassOf } from './options/client.ts'
import { option } from './options/codes.ts'
import { text } from './options/values.ts'
import type { Packet } from './packet.ts'

export interface Boot {
  readonly nextServer: number
  readonly file: string // empty: nothing for this architecture
  readonly options: ReadonlyMap<number, Buffer>
}

/** iPXE as Debian's package `ipxe` ships it, by architecture (IANA's numbers for option 93). */
const loaders: Readonly<Record<number, string>> = { 0: 'undionly.kpxe', 7: 'ipxe.efi', 9: 'ipxe.efi', 0x10: 'ipxe.efi' }

// PXE 2.1, tag 6: take the boot file named here, with no boot server discovery.
const direct = Buffer.of(6, 1, 8, option.end)
// iPXE's no-pxedhcp: do not wait for a ProxyDHCP offer.
const noProxy = Buffer.of(0xb0, 1, 1)

/** `undefined` for a client that does not boot from the network. `rack`: the address of this rack on the client's segment. */
export function bootOf (packet: Packet, rack: number, httpPort: number): Boot | undefined {
  const vendor = vendorClassOf(packet.options)
  const firmware = vendor.startsWith('HTTPClient') ? 'HTTPClient' : vendor.startsWith('PXEClient') ? 'PXEClient' : undefined
  const ipxe = ipxeOf(packet.options)
  if (firmware === undefined && ipxe === undefined) return undefined
  const base = `http://${ipText(rack)}:${httpPort}/boot`
  const loader = loaders[architectureOf(packet.options) ?? 0] ?? ''
  const options = new Map<number, Buffer>()
  if (firmware !== undefined) options.set(option.vendorClass, text(firmware))
  if (ipxe?.http) {
    options.set(option.ipxe, noProxy)
    return { nextServer: rack, file: `${base}/ipxe/${packet.mac.replaceAll(':', '-')}`, options }
  }
  if (firmware === 'HTTPClient') return { nextServer: rack, file: loader === '' ? '' : `${base}/loaders/${loader}`, options }
  const machineId = packet.options.get(option.machineId)
  if (machineId !== undefined) options.set(option.machineId, machineId) // PXE 2.1 wants it echoed
  options.set(option.vendor, direct)
  if (loader !== '') options.set(option.tftpServer, text(ipText(rack)))
  return { nextServer: rack, file: loader, options }
}
