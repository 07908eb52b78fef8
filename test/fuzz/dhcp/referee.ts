/** A referee in memory, one row per address as in the database: what the fuzzer holds every reply against. */
import { holds, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { clientIdOf } from '../../../plugins/dhcp/options/client.ts'
import type { Packet } from '../../../plugins/dhcp/v4/packet.ts'
import type { Range, Segment } from '../../../plugins/dhcp/v4/segment.ts'

/** `untold`: the rack has not heard of it yet: it may still offer the address, which promises nothing, though not acknowledge it. */
export interface Row { readonly client: string, readonly subnet: string, expires: number, untold: boolean }

const rest = 10_000 // ms an address rests after its binding ended

export class StoringReferee {
  readonly rows = new Map<number, Row>()
  /** Set aside for a client alone. */
  readonly hosts = new Map<number, string>()
  private readonly quarantined = new Map<number, number>()
  /** Set aside for the rack while it is cut off; and the leases it gave alone that are not told yet, as its journal has them. */
  readonly reserve = new Map<number, string>()
  readonly alone = new Map<number, { readonly client: string, readonly ends: number }>()
  private readonly ids = new Set<string>()
  private readonly granted = new Set<number>()
  private readonly ranges = new Map<string, readonly Range[]>()

  constructor (segments: readonly Segment[]) { for (const { subnets } of segments) for (const { id, dynamic } of subnets) this.ranges.set(id, dynamic) }

  /** Who sent a packet: by its client id where an address is set aside for that, else by its MAC. */
  clientOf ({ mac, options }: Packet): string {
    const id = clientIdOf(options)
    return id !== null && this.ids.has(`id:${id}`) ? `id:${id}` : mac
  }

  setAside (address: number, client: string): void {
    this.hosts.set(address, client)
    if (client.startsWith('id:')) this.ids.add(client)
  }

  /** Stores it, or not. */
  bind (address: number, subnet: string, client: string, seconds: number, now: number): boolean {
    const host = this.hosts.get(address)
    const row = this.rows.get(address)
    if (this.reserve.has(address) || (host !== undefined && host !== client)) return false
    if ((this.quarantined.get(address) ?? 0) > now) return false
    if (row !== undefined && row.client !== client && row.expires + rest > now) return false
    this.rows.set(address, { client, subnet, expires: now + seconds * 1000, untold: row?.client !== client })
    this.granted.delete(address)
    return true
  }

  /** Up to `most` free addresses for the rack's block, and the lapsed rows that ended for it. */
  grant (subnet: string, most: number, now: number): { readonly addresses: number[], readonly ended: number[] } {
    const [addresses, ended]: [number[], number[]] = [[], []]
    for (const { start, end } of this.ranges.get(subnet) ?? []) {
      for (let address = start; address <= end && addresses.length < most; address++) {
        const row = this.rows.get(address)
        if (this.granted.has(address) || this.reserve.has(address) || this.hosts.has(address) || (this.quarantined.get(address) ?? 0) > now || (row !== undefined && row.expires + rest > now)) continue
        if (row !== undefined) { this.rows.delete(address); ended.push(address) }
        this.granted.add(address)
        addresses.push(address)
      }
    }
    return { addresses, ended }
  }

  /** The rack's reserve in a subnet, filled up. */
  fill (subnet: string, count: number, now: number): void {
    const have = [...this.reserve.values()].filter(of => of === subnet).length
    for (const address of this.grant(subnet, Math.max(0, count - have), now).addresses) { this.granted.delete(address); this.reserve.set(address, subnet) }
  }

  /** The rack's journal has a lease on its disk. Says what is wrong about it, if anything. */
  journaled (address: number, client: string, ends: number, now: number): string | undefined {
    const before = this.alone.get(address)
    const row = this.rows.get(address)
    this.alone.set(address, { client, ends })
    if (before !== undefined && before.client !== client && before.ends > now) return 'a lease given alone while another one it gave alone is in force'
    return row !== undefined && row.client !== client && row.expires > now ? 'a lease given alone of an address another client holds' : undefined
  }

  /** The rack hands in a lease it gave alone. */
  settle (address: number, subnet: string, client: string, seconds: number, now: number): boolean {
    this.reserve.delete(address)
    this.alone.delete(address)
    return this.bind(address, subnet, client, seconds, now)
  }

  release (address: number, client: string, now: number): void {
    const row = this.rows.get(address)
    if (row?.client === client) row.expires = Math.min(row.expires, now)
  }

  decline (address: number, client: string, until: number): void {
    if (this.rows.get(address)?.client !== client) return
    this.rows.delete(address)
    this.quarantined.set(address, until)
  }

  /** Why this address may not be promised to this client now, if it may not. */
  objection (segment: Segment, address: number, client: string, now: number, offer = false): string | undefined {
    const subnet = segment.subnets.find(({ prefix }) => holds(prefix, address))
    if (subnet === undefined) return 'an address of no subnet of the segment'
    if (address === subnet.prefix.network || address === subnet.prefix.broadcast || address === segment.address || address === subnet.gateway) return 'an address that is nobody\'s'
    const host = this.hosts.get(address)
    const alone = this.alone.get(address)
    if (alone !== undefined && alone.client !== client && alone.ends > now) return 'an address it gave another client alone'
    if (host !== undefined && host !== client) return 'an address set aside for another client'
    const row = this.rows.get(address)
    if (row !== undefined && row.client !== client && row.expires > now && !(offer && row.untold)) return 'an address another client holds'
    if (host === undefined && row?.client !== client && !subnet.dynamic.some(({ start, end }) => address >= start && address <= end)) return 'an address outside every range'
    return undefined
  }
}

export const at = (text: string): number => parseIp(text)
