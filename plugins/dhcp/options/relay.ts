/** What a relay adds (RFC 3046): kept as it came and given back; the link it selects, and the server it speaks for. Pure. */
import type { Options } from './area.ts'
import { subOption } from './area.ts'
import { option } from './codes.ts'
import { readIp } from './values.ts'

export const agent = { circuitId: 1, remoteId: 2, linkSelection: 5, serverOverride: 11 } as const

const ofRelay = (giaddr: number, options: Options, code: number): Buffer | undefined => {
  if (giaddr === 0) return undefined // no relay: anybody can write that option
  const relay = options.get(option.relay)
  return relay === undefined ? undefined : subOption(relay, code)
}

/**
 * The address that tells which subnet the client is on; 0: the one the packet was heard on. In the order of RFC 3527 section 3: the relay's link selection,
 * the subnet the client itself selects (RFC 3011), giaddr.
 */
export const linkOf = (giaddr: number, options: Options): number =>
  readIp(ofRelay(giaddr, options, agent.linkSelection)) ?? readIp(options.get(option.subnetSelection)) ?? giaddr

/** The address the relay wants this server to be known by, so that extensions come through it (RFC 5107 section 4); `undefined` for this server's own. */
export const serverOverride = (giaddr: number, options: Options): number | undefined => readIp(ofRelay(giaddr, options, agent.serverOverride)) || undefined

/** The relay's port a client is on, in hexadecimal: kept with a binding. */
export interface RelayInfo { readonly circuitId: string | null, readonly remoteId: string | null }
export function relayInfoOf (giaddr: number, options: Options): RelayInfo | undefined {
  const circuit = ofRelay(giaddr, options, agent.circuitId)
  const remote = ofRelay(giaddr, options, agent.remoteId)
  return circuit === undefined && remote === undefined ? undefined : { circuitId: circuit?.toString('hex') ?? null, remoteId: remote?.toString('hex') ?? null }
}
