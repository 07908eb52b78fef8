/** The interfaces of a host that is a region alone, as its operating system tells them. Pure. */
import type { NetworkInterfaceInfo } from 'node:os'

export interface OwnInterface { readonly name: string, readonly mac: string, readonly addresses: readonly string[] }

/** Without loopback and link-local addresses, in the order of their names. */
export const ownInterfaces = (found: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>): OwnInterface[] => Object.entries(found)
  .flatMap(([name, infos = []]): OwnInterface[] => {
    const outside = infos.filter(({ internal, address }) => !internal && !/^(fe[89ab]|169\.254\.)/i.test(address))
    const [first] = outside
    return first === undefined ? [] : [{ name, mac: first.mac, addresses: outside.map(({ cidr, address }) => cidr ?? address).sort() }]
  })
  .sort((a, b) => a.name < b.name ? -1 : 1)
