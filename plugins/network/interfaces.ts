/** From what the operating system lists to what a rack reports of its interfaces. Pure. */
import { isLinkLocal, parseIp } from './address.ts'
import type { RackInterface } from './manifest.ts'

/** One address of an interface of this host. */
export interface SystemAddress { readonly address: string, readonly cidr: string | null, readonly mac: string, readonly internal: boolean }

/** Sorted, so that two looks at the same state are equal. `ignore`: names, a trailing * matches any ending. */
export function reported (system: Readonly<Record<string, readonly SystemAddress[] | undefined>>, ignore: readonly string[]): RackInterface[] {
  return Object.entries(system)
    .filter(([name, addresses = []]) => addresses.some(({ internal }) => !internal) && !ignore.some(pattern => matches(pattern, name)))
    .map(([name, addresses = []]) => ({
      name: name.slice(0, 64), mac: (addresses[0]?.mac ?? '').toLowerCase(), up: true, // what is down is not listed
      addresses: addresses.flatMap(({ cidr }) => cidr !== null && !isLinkLocal(parseIp(cidr.split('/')[0] ?? '')) ? [cidr] : []).sort()
    }))
    .sort((a, b) => a.name < b.name ? -1 : 1)
}

const matches = (pattern: string, name: string): boolean => pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name
