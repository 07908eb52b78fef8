/** What a client boots over IPv6: architecture, vendor class and user class → boot file URL (RFC 5970). Pure. */
import { architecture6, asksFor6, userClasses6, vendorClass6 } from './client6.ts'
import { option6 } from './codes6.ts'
import { loaderFile } from '../options/loaders.ts'
import type { LoaderKind } from '../options/loaders.ts'
import { ip6Text } from './ipv6.ts'
import type { Ip6 } from './ipv6.ts'
import { u32, writeStrings } from './options6.ts'
import type { Option6, Options6 } from './options6.ts'

const bios = 0 // no BIOS boots over IPv6
const intel = 343 // the enterprise that PXE's and UEFI's vendor classes carry

export interface Boot6 { readonly url: string, readonly options: readonly Option6[] }

/**
 * `undefined` for a client that does not boot from the network, or for whose architecture there is nothing.
 * @param rack the address of this rack on the client's segment
 * @param mac of the client's interface; iPXE gets its own script only where it is known
 * @param kind the loader that firmware is to get; without one, that which is usual for its architecture
 */
export function bootOf6 (options: Options6, rack: Ip6 | null, httpPort: number, mac: string | undefined, kind?: LoaderKind): Boot6 | undefined {
  if (rack === null) return undefined
  const ipxe = userClasses6(options).some(name => name.startsWith('iPXE'))
  const vendor = vendorClass6(options)
  const firmware = ['HTTPClient', 'PXEClient'].find(name => vendor?.texts.some(text => text.startsWith(name)))
  const architecture = architecture6(options) ?? architectureIn(vendor?.texts ?? [])
  if (!ipxe && firmware === undefined && !(architecture !== undefined && asksFor6(options, option6.bootFileUrl))) return undefined
  const host = `[${ip6Text(rack)}]`
  if (ipxe) return mac === undefined ? undefined : booting(`http://${host}:${httpPort}/boot/ipxe/${mac.replaceAll(':', '-')}`)
  const loader = architecture === undefined || architecture === bios ? undefined : loaderFile(architecture, kind)
  if (loader === undefined) return undefined
  // UEFI takes an HTTP offer only from a server that calls itself an HTTPClient's.
  if (firmware === 'HTTPClient') return booting(`http://${host}:${httpPort}/boot/loaders/${loader}`, 'HTTPClient', vendor?.enterprise)
  return booting(`tftp://${host}/${loader}`)
}

function booting (url: string, vendor?: string, enterprise = intel): Boot6 {
  const file: Option6 = { code: option6.bootFileUrl, value: Buffer.from(url, 'latin1') }
  return { url, options: vendor === undefined ? [file] : [{ code: option6.vendorClass, value: Buffer.concat([u32(enterprise), writeStrings(Buffer.from(vendor, 'latin1'))]) }, file] }
}

/** Firmware that leaves option 61 out names its architecture in the vendor class: `PXEClient:Arch:00007:…`. */
function architectureIn (texts: readonly string[]): number | undefined {
  for (const text of texts) {
    const number = /^(?:PXE|HTTP)Client:Arch:(\d{5})/.exec(text.slice(0, 64))?.[1]
    if (number !== undefined) return Number(number)
  }
  return undefined
}
