/** What boot learns from DHCP, and what it has DHCP say: which firmware a machine has, which address, and which loader it gets. */
import type { Clock, Logger } from '../../../core/plugin.ts'
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
  readonly choice: Choice, readonly clock: Pick<Clock, 'monotonic'>, readonly wanted: Pick<Wanted, 'machine'>, readonly loaders: Pick<Loaders, 'missing' | 'path'>, readonly log: Pick<Logger, 'warn'>
  /** A machine was found to refuse iPXE. */
  refused(mac: string, machine: string | null): void
}

const architectureOption = 93
const most = 10_000
const shim = 'shimx64.efi'

/** Taps the hooks `classify` and `boot`. Everything is in memory and bounded. */
export function tapDhcp (dhcp: DhcpService, { choice, clock, log, wanted, loaders, refused }: TapOptions): Seen {
  const firmwares = new Map<string, number>()
  const addresses = new Map<string, string>()
  const said = new Set<string>() // names of loaders the log has been told are missing
  const keep = <V>(map: Map<string, V>, key: string, value: V): void => {
    map.delete(key)
    map.set(key, value)
    if (map.size > most) for (const oldest of map.keys()) { map.delete(oldest); break }
  }
  // Whichever rack answers, each that hears a packet classifies it: the one that served a loader, as holder of the boot address say, answers seldom.
  dhcp.hooks.classify.tap('boot', (classes, { packet, type }) => {
    const { mac, options } = packet
    const architecture = options.get(architectureOption)
    if (architecture !== undefined && architecture.length >= 2) keep(firmwares, mac, architecture.readUInt16BE(0))
    if (classes.includes('ipxe')) choice.ran(mac)
    else if (type === 'DISCOVER' && (classes.includes('pxe') || classes.includes('httpclient'))) { // only a DISCOVER begins a new attempt
      const machine = wanted.machine(mac)
      if (choice.came(mac, clock.monotonic(), machine?.loader)) refused(mac, machine?.machine ?? null)
    }
    return classes
  })
  dhcp.hooks.boot.tap('boot', (boot, exchange) => {
    const { packet: { mac }, classes, decision } = exchange
    if (boot === undefined) return undefined
    if (decision !== undefined && 'address' in decision && decision.kind === 'bind') keep(addresses, dotted(decision.address), mac)
    if (classes.includes('ipxe')) return undefined
    const kind = choice.kindOf(mac, wanted.machine(mac)?.loader)
    const made = kind === undefined ? undefined : dhcp.bootOf(exchange, kind)
    const name = nameOf(made ?? boot)
    if (name !== '') loaders.missing(name)
    if (made === undefined || choice.setting !== 'auto' || name === nameOf(boot)) return made
    // Another loader than the usual one, which this rack may not have: then the machine is no worse off with the usual one.
    const lacking = partsOf(name).find(part => loaders.path(part) === undefined)
    if (lacking === undefined) return made
    loaders.missing(lacking)
    if (!said.has(lacking)) {
      said.add(lacking)
      log.warn({ mac, lacking }, `${lacking} is not on this rack: machines that refuse iPXE still get ${nameOf(boot)}`)
    }
    return undefined
  })
  // No file is named here. Of the architectures only x64 has GRUB as what is not usual, so only there it is given up.
  dhcp.knowLoader(mac => {
    const kind = choice.kindOf(mac, wanted.machine(mac)?.loader)
    return kind === 'grub' && choice.setting === 'auto' && partsOf(shim).some(part => loaders.path(part) === undefined) ? undefined : kind
  })
  return { firmwareOf: mac => firmwares.get(mac) ?? null, macOf: address => addresses.get(address.replace(/^::ffff:/, '')) ?? null }
}

const nameOf = ({ file }: { readonly file: string }): string => file.replace(/^.*\//, '')
/** Shim is of no use without the GRUB that it starts. */
const partsOf = (name: string): string[] => [...new Set([name, name.replace(/^shim/, 'grub')])]
const dotted = (address: number): string => [24, 16, 8, 0].map(shift => address >>> shift & 255).join('.')
