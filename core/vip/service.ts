/** The floating address: held by the region that leads the lease `vip`, and on its interface for no longer than that lease may be trusted. */
import { lifetime, sameNetwork } from '../address/address.ts'
import type { Assigned, FloatingAddress, Placement } from '../address/address.ts'
import { openInterfaces } from '../address/interface.ts'
import type { Interfaces } from '../address/interface.ts'
import { createSegment } from '../address/segment.ts'
import type { Segment } from '../address/segment.ts'
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Health } from '../health.ts'
import { degraded, off, running } from '../health.ts'
import type { Elector, ElectorOptions } from '../leader/elector.ts'
import type { Pace, Term } from '../leader/term.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Service } from '../plugin.ts'
import { choosePlaces } from './address.ts'

/**
 * Moves within 3 s: a lease that was renewed just before its holder died runs out 2.4 s later, and the next one bids within 0.1 s and asks the segment for
 * 60 ms. It may be trusted for 2.1 s, so that a renewal that took up to 100 ms gives the address 2 s, a slower one 1 s; the kernel is late by 0.28 s at most,
 * which is before the lease runs out.
 */
export const vipPace: Pace = { ttl: 2400, renew: 400, margin: 300 }
const spread = 0.5 // of the usual chance by which bidders come later than the moment they may
const look = 500 // ms between two looks at the interfaces
const patience = 1500 // ms its holder may be not ready: a moment without a database ends with the lease, not before
const announceAfter = [0, 100, 200, 500, 1000] // ms from one announcement to the next: each may be lost, and a switch may need a moment

export interface FloatingAddressOptions {
  readonly addresses: readonly FloatingAddress[] // they move together
  readonly interface?: string | undefined
  readonly holder: string // the controller's id
  readonly db: ElectorOptions['db']
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Only a ready region takes the address; one that is not for longer gives it up. */
  ready(): boolean
  createElector(options: ElectorOptions): Elector
  readonly interfaces?: () => Promise<Interfaces>
  readonly segment?: Segment
}
export interface FloatingAddressService extends Service {
  readonly addresses: readonly string[]
  /** True while the addresses are on this host. */
  held(): boolean
}

/** A service that never is dead: a region that cannot have the address serves as well without it, and is degraded with the remedy. */
export function createFloatingAddress (options: FloatingAddressOptions): FloatingAddressService {
  const { addresses, holder, db, clock, log, segment = createSegment(clock), interfaces: open = openInterfaces } = options
  const names = addresses.map(({ text }) => text).join(', ')
  const gauge = options.metrics.gauge('vip_held', 'Whether this controller holds the floating address: 1 or 0')
  let interfaces: Interfaces | undefined
  let places: readonly Placement[] = []
  let able = false // the interfaces are there and we may change them
  let trouble: string | undefined // what keeps us from being able
  let claimed: string | undefined // who else has the address
  let holding = false
  let trusted = 0 // monotonic, as the next
  let lastReady = 0
  let taking: Promise<void> | undefined
  let telling: Promise<void> | undefined
  let life: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve() // one life at a time

  const fail = (error: unknown): void => {
    able = false
    const reason = reasonOf(error)
    if (reason !== trouble) log.warn({ reason }, 'the floating address cannot be held here')
    trouble = reason
  }
  const show = (held: boolean): void => { holding = held; gauge.set(held ? 1 : 0) }

  /** Puts the addresses on, or renews their lifetimes. False when the lease does not last a second more: what is on then goes by itself. */
  function put (term: Term): boolean {
    for (const { address, link } of places) {
      const seconds = lifetime(clock.monotonic(), trusted)
      if (seconds < 1 || !term.valid()) return false
      interfaces?.put(address, link.index, seconds)
    }
    if (term.valid()) return true
    takeOff() // this process was stopped in between, and what it put on came too late
    return false
  }

  function takeOff (): void {
    show(false)
    for (const { address, link } of places) try { interfaces?.remove(address, link.index) } catch (error) { log.error({ err: error }, `${address.text} could not be taken off ${link.name}; the kernel does it within 2 s`) }
  }

  async function take (term: Term): Promise<void> {
    const found = await Promise.all(places.map(async place => ({ place, mac: await segment.whoHas(place) })))
    if (term.signal.aborted) return
    const other = found.find(({ mac }) => mac !== undefined)
    const before = claimed
    claimed = other === undefined ? undefined : `${other.place.address.text} is in use on ${other.place.link.name} by ${other.mac}: find that machine and take the address off it. Until then it is not put on here.`
    if (claimed !== undefined) {
      if (before === undefined) log.warn({ reason: claimed }, 'the floating address is in use')
      return
    }
    if (!put(term)) return
    show(true)
    log.info({ term: term.number.toString(), places: places.map(({ address, link }) => `${address.text} on ${link.name}`) }, `holds the floating address ${names}`)
    telling = tell(term)
  }

  async function tell (term: Term): Promise<void> {
    for (const after of announceAfter) {
      await clock.sleep(after, term.signal)
      if (term.signal.aborted || !holding) return
      for (const place of places) await segment.announce(place).catch((error: unknown) => { log.warn({ err: error }, `${place.address.text} could not be announced on ${place.link.name}`) })
    }
  }

  function ready (): boolean {
    const now = clock.monotonic()
    if (options.ready()) lastReady = now
    return able && (lastReady === now || (holding && now - lastReady < patience))
  }

  const elector = options.createElector({
    name: 'vip', holder, db, clock, log, ...vipPace, random: () => Math.random() * spread,
    ready,
    onGain () {},
    onKept (term, until) {
      trusted = until
      if (!holding) { taking ??= take(term).catch(fail).finally(() => { taking = undefined }); return }
      try { put(term) } catch (error) { takeOff(); fail(error) }
    },
    onLoss () {
      if (holding) log.info(`gives up the floating address ${names}`)
      takeOff()
      claimed = undefined
    }
  })

  const ours = (assigned: Assigned): FloatingAddress | undefined => addresses.find(({ bytes }) => sameNetwork(bytes, assigned.bytes, bytes.length * 8))

  /** Looks whether we could have the address, and whether we are right to have it. What an earlier process left is taken off. */
  async function check (): Promise<void> {
    try {
      interfaces ??= await open()
      const [links, assigned] = [interfaces.links(), interfaces.addresses()]
      for (const one of assigned) {
        const address = ours(one)
        if (address === undefined) continue
        const name = links.find(({ index }) => index === one.link)?.name ?? `interface ${one.link}`
        if (one.lasting || one.prefix !== address.bytes.length * 8) { fail(`${address.text} is on ${name} already, for good: take it off ("ip address del ${address.text}/${one.prefix} dev ${name}") or leave it out of vip.addresses.`); return }
        if (!holding && taking === undefined) interfaces.remove(address, one.link)
      }
      const now = choosePlaces(addresses, links, assigned, options.interface)
      if (!holding && taking === undefined) {
        places = now
        for (const { address, link } of now) interfaces.remove(address, link.index) // also tells whether we may
        for (const place of now) await segment.check(place)
      }
      able = true
      trouble = undefined
    } catch (error) { fail(error) }
  }

  async function live (signal: AbortSignal): Promise<void> {
    try {
      await check()
      await elector.start(signal)
      while (!signal.aborted) {
        await clock.sleep(look, signal)
        if (!signal.aborted) await check()
      }
    } finally {
      await elector.stop()
      await Promise.all([taking, telling])
      if (holding) takeOff()
      able = false
      trouble = claimed = undefined
      interfaces?.close()
      interfaces = undefined
    }
  }

  return {
    name: 'floating-address',
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
      const reason = trouble ?? claimed
      if (reason !== undefined) return degraded(reason)
      const state = elector.health()
      return state.state === 'degraded' || state.state === 'dead' ? degraded(state.reason) : running
    },
    addresses: addresses.map(({ text, prefix }) => `${text}/${prefix}`),
    held: () => holding
  }
}
