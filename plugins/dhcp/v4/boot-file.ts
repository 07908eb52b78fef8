/** What a client boots: option 93 and user class → boot file, next server and the options firmware looks for. Pure. */
import { firmwareOf } from './classes.ts'
import { ipText } from './ipv4.ts'
import { architectureOf, ipxeOf } from '../options/client.ts'
import { option } from '../options/codes.ts'
import { loaderFile, loadersOf } from '../options/loaders.ts'
import type { LoaderKind } from '../options/loaders.ts'
import { ip, text } from '../options/values.ts'
import type { Packet } from './packet.ts'

export interface Boot {
  readonly nextServer: number
  readonly file: string // empty: nothing for this architecture
  /** Options for every such client, and those only for clients that ask. */
  readonly options: ReadonlyMap<number, Buffer>
  readonly asked: ReadonlyMap<number, Buffer>
}

// PXE 2.1, tag 6: take the boot file named here, with no boot server discovery.
const direct = Buffer.of(6, 1, 8, option.end)
// iPXE's no-pxedhcp: do not wait for a ProxyDHCP offer.
const noProxy = Buffer.of(0xb0, 1, 1)

let [keptRack, keptPort] = [0, 0]
const kept = new Map<number, Boot>() // for PXE firmware without an id of its own, by architecture

/**
 * `undefined` for a client that does not boot from the network. `rack`: the address of this rack on the client's segment.
 * `kind`: the loader that firmware is to get; without one, that which is usual for its architecture.
 */
export function bootOf (packet: Packet, rack: number, httpPort: number, kind?: LoaderKind): Boot | undefined {
  const firmware = firmwareOf(packet.options)
  const ipxe = ipxeOf(packet.options)
  if (firmware === undefined && ipxe === undefined) return undefined
  if (firmware !== 'PXEClient' || ipxe !== undefined || packet.options.has(option.machineId) || kind !== undefined) return bootFor(packet, rack, httpPort, firmware, ipxe, kind)
  if (rack !== keptRack || httpPort !== keptPort || kept.size > 64) { kept.clear(); keptRack = rack; keptPort = httpPort }
  const architecture = architectureOf(packet.options) ?? 0
  let boot = kept.get(architecture)
  if (boot === undefined) kept.set(architecture, boot = bootFor(packet, rack, httpPort, firmware, ipxe, kind))
  return boot
}

function bootFor (packet: Packet, rack: number, httpPort: number, firmware: ReturnType<typeof firmwareOf>, ipxe: ReturnType<typeof ipxeOf>, kind: LoaderKind | undefined): Boot {
  const base = `http://${ipText(rack)}:${httpPort}/boot`
  const architecture = architectureOf(packet.options) ?? 0
  const loader = loaderFile(architecture, kind) ?? ''
  const options = new Map<number, Buffer>()
  const asked = new Map<number, Buffer>()
  if (firmware !== undefined) options.set(option.vendorClass, text(firmware))
  if (ipxe?.http) {
    const file = `${base}/ipxe/${packet.mac.replaceAll(':', '-')}`
    options.set(option.bootFile, text(file))
    options.set(option.ipxe, noProxy)
    return { nextServer: rack, file, options, asked }
  }
  if (firmware === 'HTTPClient') {
    const file = loader === '' ? '' : `${base}/loaders/${loader}`
    if (file !== '') options.set(option.bootFile, text(file))
    return { nextServer: rack, file, options, asked }
  }
  // RFC 5071: firmware that reads PXELINUX's configuration by itself is told its name; what it loads then comes from there.
  if (loadersOf(architecture)?.configuration) options.set(option.configFile, text(`pxelinux.cfg/01-${packet.mac.replaceAll(':', '-')}`))
  const machineId = packet.options.get(option.machineId)
  if (machineId !== undefined) options.set(option.machineId, machineId) // PXE 2.1 wants it echoed
  options.set(option.vendor, direct)
  if (loader !== '') {
    asked.set(option.bootFile, text(loader))
    asked.set(option.tftpServer, text(ipText(rack)))
  }
  asked.set(option.tftpServers, ip(rack))
  return { nextServer: rack, file: loader, options, asked }
}
