/** What a relay adds (RFC 3046): kept as it came and given back, and the link it selects (RFC 3527). Pure. */
import type { Options } from './area.ts'
import { readEncapsulated } from './area.ts'
import { option } from './codes.ts'
import { readIp } from './values.ts'

const linkSelection = 5

/** The address that tells which subnet the client is on: the link selection of the relay, else giaddr; 0 without a relay. */
export function linkOf (giaddr: number, options: Options): number {
  if (giaddr === 0) return 0
  const relay = options.get(option.relay)
  return (relay === undefined ? undefined : readIp(readEncapsulated(relay).get(linkSelection))) ?? giaddr
}
