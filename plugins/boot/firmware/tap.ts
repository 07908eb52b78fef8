/** What boot learns from DHCP, and what it has DHCP say: which firmware a machine has, which address, and which loader it gets. */
import type { Clock } from '../../../core/plugin.ts'
import type { DhcpService } from '../../dhcp/manifest.ts'
import type { Wanted } from '../rack/wanted.ts'
import type { Choice } from './choice.ts'
import type { Loaders } from './loaders.ts'

export interface Seen {
  /** Option 93 of the machine's firmware, when it was last heard; null: it was not. */
  firmwareOf(mac: string): number | null
  /** Who was last given the address by this rack; null: nobody that boots. Knows machines behind relays, whom no neighbour table has. */
  macOf(address: string): string | null
}
export interface TapOptions {
  readonly choice: Choice, readonly clock: Pick<Clock, 'monotonic'>, readonly wanted: Pick<Wanted, 'machine'>, readonly loaders: Pick<Loaders, 'missing'>
  /** A machine was found to refuse iPXE. */
  refused(mac: string, machine: string | null): void
}

const architectureOption = 93
const most = 10_000

/** Taps the hook `boot`. Everything is in memory and bounded. */
export function tapDhcp (dhcp: DhcpService, { choice, clock, wanted, loaders, refused }: TapOptions): Seen {
  const firmwares = new Map<string, number>()
  const addresses = new Map<string, string>()
  const keep = <V>(map: Map<string, V>, key: string, value: V): void => {
    map.delete(key)
    map.set(key, value)
    if (map.size > most) for (const oldest of map.keys()) { map.delete(oldest); break }
  }
  dhcp.hooks.boot.tap('boot', (boot, exchange) => {
    const { packet, classes, type, decision } = exchange
    if (boot === undefined) return undefined
    const { mac } = packet
    const architecture = packet.options.get(architectureOption)
    if (architecture !== undefined && architecture.length >= 2) keep(firmwares, mac, architecture.readUInt16BE(0))
    if (decision !== undefined && 'address' in decision && decision.kind === 'bind') keep(addresses, dotted(decision.address), mac)
    if (classes.includes('ipxe')) {
      choice.ran(mac)
      return undefined
    }
    const machine = wanted.machine(mac)
    // Only a DISCOVER begins a new attempt: the REQUEST after it gets what its offer said.
    const chosen = type === 'DISCOVER' ? choice.came(mac, clock.monotonic(), machine?.loader) : { kind: choice.kindOf(mac, machine?.loader), refused: false }
    if (chosen.refused) refused(mac, machine?.machine ?? null)
    const made = chosen.kind === undefined ? undefined : dhcp.bootOf(exchange, chosen.kind)
    const { file } = made ?? boot
    if (file !== '') loaders.missing(file.replace(/^.*\//, ''))
    return made
  })
  dhcp.knowLoader(mac => choice.kindOf(mac, wanted.machine(mac)?.loader))
  return { firmwareOf: mac => firmwares.get(mac) ?? null, macOf: address => addresses.get(address.replace(/^::ffff:/, '')) ?? null }
}

const dotted = (address: number): string => [24, 16, 8, 0].map(shift => address >>> shift & 255).join('.')
