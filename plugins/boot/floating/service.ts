/** The service of boot addresses on a rack: takes part for each VLAN that has one, and changes with what is wanted. */
import { sameNetwork, bytesOf } from '../../../core/address/address.ts'
import type { Assigned, Family, FloatingAddress, Link } from '../../../core/address/address.ts'
import { etherTypes } from '../../../core/address/announcement.ts'
import { openInterfaces } from '../../../core/address/interface.ts'
import type { Interfaces } from '../../../core/address/interface.ts'
import { createSegment } from '../../../core/address/segment.ts'
import type { Segment } from '../../../core/address/segment.ts'
import { joinGroup, openFrames } from '../../../core/address/socket.ts'
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { degraded, off, running } from '../../../core/health.ts'
import type { Health } from '../../../core/health.ts'
import type { Clock, Logger, Metrics, Service } from '../../../core/plugin.ts'
import { Member } from './member.ts'
import type { Channel, Company, Place } from './member.ts'
import { groups, vrrp } from './packet.ts'
import type { FloatingEntry } from '../manifest.ts'

export interface FloatingOptions {
  readonly clock: Clock, readonly log: Logger, readonly metrics: Metrics
  readonly interfaces?: () => Promise<Interfaces>
  readonly segment?: Segment
  readonly channel?: (link: Link, family: Family) => Promise<Channel>
  /** An address has come to this rack, or gone. */
  readonly moved?: () => void
}
export interface Floating {
  readonly service: Service
  /** What is wanted from now on, by VLAN. */
  want(entries: ReadonlyMap<string, FloatingEntry>): void
  /** Whether a rack has the address, as far as this one knows. */
  served(address: string): boolean
  /** The addresses this rack has now. */
  held(): readonly string[]
}

const look = 500 // ms between two looks at the interfaces
const poll = 50 // ms between two looks at what was advertised; it is also looked at before anything is decided

interface Wanted { readonly key: string, readonly vlan: string, readonly entry: FloatingEntry, readonly address: FloatingAddress, readonly vrid: number }

/** An entry's addresses; what is no address is left out. */
function wantedOf (entries: ReadonlyMap<string, FloatingEntry>): Wanted[] {
  return [...entries].flatMap(([vlan, entry]) => entry.addresses.flatMap(({ address: text, prefix, vrid }): Wanted[] => {
    const bytes = bytesOf(text)
    return bytes === undefined ? [] : [{ key: `${vlan} ${text}`, vlan, entry, address: { text, family: bytes.length === 4 ? 4 : 6, bytes, prefix }, vrid }]
  }))
}

/** The rack's own address it speaks from: in the network of the boot address, or its link-local one. */
function sourceOf ({ family, bytes, prefix }: FloatingAddress, link: Link, assigned: readonly Assigned[]): Uint8Array | undefined {
  const own = assigned.filter(one => one.link === link.index && one.family === family)
  if (family === 6) return own.find(one => one.bytes[0] === 0xfe && ((one.bytes[1] ?? 0) & 0xc0) === 0x80)?.bytes
  return own.find(one => one.lasting && one.prefix < 32 && sameNetwork(one.bytes, bytes, prefix))?.bytes ?? own.find(one => one.prefix < 32 && sameNetwork(one.bytes, bytes, prefix))?.bytes
}

async function openChannel (link: Link, family: Family): Promise<Channel> {
  const frames = await openFrames(link.index, family === 4 ? etherTypes.ip : etherTypes.ipv6, vrrp)
  try {
    const group = await joinGroup(link.index, groups[family])
    return { send: frames.send, receive: frames.receive, close () { frames.close(); group.close() } }
  } catch (error) { frames.close(); throw error }
}

const samePlace = (one: Place, other: Place): boolean => one.link.index === other.link.index && Buffer.compare(one.link.mac, other.link.mac) === 0 &&
  Buffer.compare(one.source, other.source) === 0 && one.address.prefix === other.address.prefix && one.vrid === other.vrid
const unavailable = (reason: string): BedplateError => new BedplateError('UNAVAILABLE', { reason })

export function createFloating (options: FloatingOptions): Floating {
  const { clock, log, segment = createSegment(clock), interfaces: open = openInterfaces, channel = openChannel } = options
  const gauge = options.metrics.gauge('boot_addresses_held', 'Boot addresses of VLANs that are on this rack.')
  const members = new Map<string, Member>()
  const troubles = new Map<string, string>()
  let wanted: readonly Wanted[] = []
  let interfaces: Interfaces | undefined
  let stale = true
  let wake = Promise.withResolvers<void>()
  let life: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve() // one life at a time

  const trouble = (key: string, error: unknown): void => {
    const reason = reasonOf(error)
    if (troubles.get(key) !== reason) log.warn({ reason }, 'a boot address cannot be held here')
    troubles.set(key, reason)
  }
  const end = (key: string, word: boolean): void => {
    const member = members.get(key)
    members.delete(key)
    if (word) member?.resign()
    else member?.drop()
  }

  /** Where an address belongs now. Throws UNAVAILABLE with what to do. */
  function placeOf ({ vlan, entry, address, vrid }: Wanted, links: readonly Link[], assigned: readonly Assigned[]): Place {
    const link = links.find(({ name }) => name === entry.interface)
    if (link === undefined) throw unavailable(`there is no interface ${entry.interface} for the boot address ${address.text}.`)
    if (!link.ethernet) throw unavailable(`${link.name} is no Ethernet interface, so that nobody could be told where ${address.text} is.`)
    if (!link.up) throw unavailable(`${link.name}, where the boot address ${address.text} belongs, is down or has no carrier: see to its cable and switch.`)
    const source = sourceOf(address, link, assigned)
    if (source === undefined) throw unavailable(`${link.name} has no ${address.family === 4 ? `address in the network of ${address.text}/${address.prefix}` : 'link-local address'} to speak from for the boot address ${address.text}.`)
    return { vlan, address, link, source, vrid }
  }

  /** Makes the members those that are wanted and possible. */
  async function adjust (signal: AbortSignal): Promise<void> {
    const now = wanted
    stale = false
    for (const key of [...members.keys()]) if (!now.some(one => one.key === key)) end(key, true)
    for (const key of [...troubles.keys()]) if (!now.some(one => one.key === key)) troubles.delete(key)
    if (now.length === 0) return
    let seen: { readonly links: readonly Link[], readonly assigned: readonly Assigned[] }
    try {
      interfaces ??= await open()
      seen = { links: interfaces.links(), assigned: interfaces.addresses() }
    } catch (error) { // what cannot be taken off goes by itself, since nothing is renewed
      for (const { key } of now) { end(key, true); trouble(key, error) }
      interfaces?.close()
      interfaces = undefined
      return
    }
    for (const one of now) {
      try { await admit(one, seen.links, seen.assigned, interfaces, signal) } catch (error) { end(one.key, true); trouble(one.key, error) }
    }
  }

  async function admit (one: Wanted, links: readonly Link[], assigned: readonly Assigned[], using: Interfaces, signal: AbortSignal): Promise<void> {
    const { key, address, entry } = one
    const company: Company = { rank: entry.rank, peers: new Map(entry.peers.map(({ mac, rack }) => [mac, rack])) }
    for (const there of assigned) {
      if (there.family !== address.family || !sameNetwork(there.bytes, address.bytes, address.bytes.length * 8)) continue
      const name = links.find(({ index }) => index === there.link)?.name ?? `interface ${there.link}`
      if (there.lasting) throw unavailable(`the boot address ${address.text} is on ${name} already, for good: take it off ("ip address del ${address.text}/${there.prefix} dev ${name}"), or set another boot address.`)
      if (members.get(key)?.place.link.index !== there.link) using.remove(address, there.link) // left by an earlier process
    }
    let place: Place
    try { place = placeOf(one, links, assigned) } catch (error) {
      end(key, false)
      throw error
    }
    const member = members.get(key)
    if (member !== undefined && samePlace(member.place, place)) { member.meet(company); return }
    end(key, true)
    const made = await channel(place.link, address.family)
    if (signal.aborted) { made.close(); return }
    members.set(key, new Member({ place, company, channel: made, interfaces: using, segment, clock, log, moved }))
    troubles.delete(key)
  }

  async function live (signal: AbortSignal): Promise<void> {
    let lookAt = -Infinity
    try {
      while (!signal.aborted) {
        if (stale || clock.monotonic() >= lookAt) {
          wake = Promise.withResolvers()
          await adjust(signal)
          lookAt = clock.monotonic() + look
        }
        let next = members.size === 0 ? lookAt : Math.min(lookAt, clock.monotonic() + poll)
        for (const member of members.values()) next = Math.min(next, member.step())
        const rest = new AbortController()
        await Promise.race([clock.sleep(Math.max(1, next - clock.monotonic()), AbortSignal.any([signal, rest.signal])), wake.promise])
        rest.abort()
      }
    } finally {
      for (const key of [...members.keys()]) end(key, true)
      troubles.clear()
      interfaces?.close()
      interfaces = undefined
      stale = true
    }
  }

  function moved (): void {
    gauge.set(held().length)
    options.moved?.()
  }
  const held = (): string[] => [...members.values()].flatMap(member => member.held ? [member.place.address.text] : [])

  const service: Service = {
    name: 'boot-addresses',
    async start (signal) {
      if (life !== undefined || signal.aborted) return
      const stop = new AbortController()
      ended = ended.then(() => live(stop.signal))
      life = { stop, done: ended }
    },
    async stop () {
      const ending = life
      life = undefined
      ending?.stop.abort()
      await ending?.done
    },
    health (): Health {
      if (life === undefined) return off('Not started.')
      if (wanted.length === 0) return off('No VLAN of this rack has a boot address.')
      const problems = [...troubles.values(), ...[...members.values()].flatMap(member => member.problem ?? [])]
      return problems.length === 0 ? running : degraded(problems.join(' '))
    }
  }
  return {
    service,
    held,
    want (entries) {
      wanted = wantedOf(entries)
      stale = true
      wake.resolve()
    },
    served (address) {
      for (const member of members.values()) if (member.place.address.text === address) return member.served
      return false
    }
  }
}
