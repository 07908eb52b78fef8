/** A rack's half of DHCP put together, without sockets: packets in, replies out. The rack runs it, and so does the simulation. */
import { reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger, Metrics, WantedChange } from '../../../core/plugin.ts'
import type { AloneView } from '../v4/address.ts'
import { Alone } from '../alone/alone.ts'
import type { Known6 } from '../alone/alone.ts'
import { Blocks } from './blocks.ts'
import type { BootClock } from '../alone/boot-clock.ts'
import { Chain } from '../v4/chain.ts'
import { Conversation } from '../alone/conversation.ts'
import { parseIp } from '../v4/ipv4.ts'
import type { Journal } from '../alone/journal.ts'
import { Limits, limitsOf, starvedSentence } from './limits.ts'
import type { manifest, RegionClient } from '../manifest.ts'
import { Memory } from './memory.ts'
import { Reach } from '../alone/reach.ts'
import type { Segment } from '../v4/segment.ts'
import { Server } from '../v4/server.ts'
import type { Send, ServerOptions } from '../v4/server.ts'
import { createTraffic } from './traffic.ts'
import type { Traffic } from './traffic.ts'
import { isOf6 } from '../v6/memory6.ts'
import { beatEvery } from './recent.ts'
import { Standby } from './standby.ts'
import { Wishes } from './wishes.ts'

export interface ResponderConfig {
  readonly rackHttpPort: number, readonly firmwareLeaseSeconds: number, readonly quarantineSeconds: number, readonly blockSize: number, readonly reserveSize: number
  readonly newClientPoolSeconds: number, readonly newClientsPerSecond: number, readonly newClientsPerPort: number, readonly newClientsPortBurst: number
  readonly rapidCommit?: boolean
}
export interface ResponderOptions {
  readonly config: ResponderConfig, readonly log: Logger, readonly clock: Clock, readonly boot: BootClock, readonly metrics: Metrics
  /** bind and sync are idempotent and may be carried out late or twice; grant is made once. Rejects with LINK_DOWN at once when no region is linked. */
  readonly region: RegionClient
  readonly report: ServerOptions['report']
  /** Opened by `start`. */
  readonly journal: () => Journal
  /** What is known of IPv6. */
  readonly six?: Known6
}
export interface Responder {
  readonly memory: Memory
  readonly chain: Chain
  readonly limits: Limits
  readonly traffic: Traffic
  /** Bindings on their way to the region, or decided alone: of either family. */
  readonly wishes: Pick<Wishes, 'ask'>
  /** Takes one datagram in. Never throws. */
  receive(segment: Segment, data: Buffer, send: Send): void
  apply(change: WantedChange<(typeof manifest)['wanted']>, whole: boolean): void
  /** Opens the journal and begins the conversation with the regions. Without a journal (its disk fails) it serves by the regions alone, and says so. */
  start(): void
  /** Ends the conversation and closes the journal. */
  stop(): Promise<void>
  /** Asks for what is lacking: blocks. */
  refill(): void
  /** How far this rack could go without a region. `since`: when it was cut off, ms since the epoch; `knownFor`: ms for which it may extend leases it knows; `reserve`: addresses for new clients by subnet. */
  status(): { readonly since: number | undefined, readonly knownFor: number, readonly reserve: ReadonlyMap<string, number>, readonly undelivered: number }
  /** What is not as it should be, one sentence each. */
  problems(): string[]
}

const leaveToPeers = 30_000 // ms from one try to the next of a rack that reaches no region and never had a journal, where other racks serve as well

const timeOf = (at: number): string => new Date(at).toISOString().slice(0, 19).replace('T', ' ')

export function createResponder ({ config, log, clock, boot, metrics, region, report, journal, six }: ResponderOptions): Responder {
  const traffic = createTraffic(metrics)
  const tapFailures = metrics.counter('dhcp_tap_failures', 'Extensions of the DHCP chain that failed and were passed over, by stage and name.', ['stage', 'tap'])
  const gaveAlone = metrics.counter('dhcp_given_alone', 'Leases given while no region answered.')
  const gauges = {
    cut: metrics.gauge('dhcp_cut_off', '1 while no region answers this rack about leases.'),
    undelivered: metrics.gauge('dhcp_journal_entries', 'Leases given without a region that no region has stored yet.'),
    reserve: metrics.gauge('dhcp_reserve_left', 'Addresses this rack could give to new clients without a region.', ['subnet'])
  }
  const memory = new Memory()
  const chain = new Chain({ httpPort: config.rackHttpPort, firmwareLeaseSeconds: config.firmwareLeaseSeconds, ...config.rapidCommit === undefined ? {} : { rapidCommit: config.rapidCommit }, log, failed: (stage, tap) => { tapFailures.inc({ stage, tap }) } })
  const reach = new Reach(clock.now, (cut, reason) => {
    if (cut) log.warn({ reason }, 'no region answers: leases are given from the journal alone')
    else log.info('a region answers again')
    gauges.cut.set(cut ? 1 : 0)
    conversation.wake()
  })
  let failed = -Infinity // monotonic, when a region did not answer last
  const alone = new Alone({ memory, six, boot, log, gave: () => { conversation.wake() } })
  // A rack whose journal never was open has no conversation that would find out that the regions answer again. It tries with a client's wish now and then, and leaves the clients to other racks in between, if there are any.
  const cutOff = (): boolean => reach.cut && (alone.epoch !== '' || clock.monotonic() - failed < (hasPeers() ? leaveToPeers : 1000))
  const hasPeers = (): boolean => [...memory.segments.values()].some(({ peers }) => peers.length > 0)
  const usable = (): boolean => alone.broken === undefined // what cannot be journalled is not offered either: the client would take that offer, and never another rack's
  const conversation = new Conversation({ alone, memory, reach, clock, boot, log, reserveSize: config.reserveSize, journal, sync: params => region.sync(params) })
  const view: AloneView = {
    get cut () { return cutOff() },
    holds: address => alone.reserve.holds(address),
    holder: address => alone.reserve.holds(address) ? alone.reserve.holder(address, boot.now()) : undefined,
    leaseOf: client => usable() ? alone.reserve.leaseOf(client) : undefined,
    free: subnet => usable() ? alone.reserve.free(subnet, boot.now()) : [],
    knows: (address, client) => usable() && alone.knows(address, client)
  }
  const wishes = new Wishes({
    call: async batch => (await region.bind({ wishes: [...batch] })).answers,
    batched: (count, seconds, failure) => {
      traffic.bound(count, seconds)
      if (failure !== undefined) log.debug({ count, reason: reasonOf(failure) }, 'bindings were not stored by a region')
    },
    monotonic: clock.monotonic,
    alone: {
      decide (batch) {
        const outcomes = alone.decide(batch)
        gaveAlone.inc(outcomes.reduce((sum, outcome) => sum + (outcome?.answer.stored === true ? 1 : 0), 0))
        return outcomes
      },
      own: wish => !wish.address.includes(':') && alone.reserve.holds(parseIp(wish.address)),
      cut: cutOff,
      heard: failure => { reach.heard(failure); if (failure !== undefined) failed = clock.monotonic() },
      sleep: (ms, signal) => clock.sleep(ms, signal),
      boot: boot.now
    }
  })
  const blocks = new Blocks({ memory, grant: region.grant, low: Math.ceil(config.blockSize * 0.75), log, clock })
  const limits = new Limits(limitsOf(config))
  const standby = new Standby()
  const server = new Server({ chain, limits, standby, memory, wishes, blocks, traffic, clock, log, report, alone: view, quarantineSeconds: config.quarantineSeconds })

  let beating: { readonly stop: AbortController, readonly done: Promise<void> } | undefined
  const beat = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(beatEvery, signal)
      memory.recent.beat()
    }
  }

  const status = (): ReturnType<Responder['status']> => {
    const now = boot.now()
    return { since: reach.since, knownFor: Math.max(0, (alone.until ?? now) - now), reserve: alone.reserve.left(now), undelivered: alone.undelivered }
  }
  return {
    memory, chain, limits, traffic, wishes, status,
    receive: (segment, data, send) => { server.receive(segment, data, send) },
    apply (change, whole) {
      memory.apply(change.put.filter(entry => entry.kind === 'retiring' || !isOf6(entry)), change.remove.filter(key => key.kind === 'retiring' || !isOf6(key)), whole, clock.now())
      chain.told.apply(change.put, change.remove, whole)
      limits.keep(memory.segments)
      standby.keep(memory.segments)
      if (whole || change.put.some(({ kind }) => kind === 'retiring' || kind === 'segment')) conversation.wake()
    },
    start () {
      if (!alone.ready(journal)) log.error({ reason: alone.broken }, 'the journal of leases cannot be opened: nothing is given while no region answers')
      conversation.start()
      if (beating !== undefined) return
      const stop = new AbortController()
      beating = { stop, done: beat(stop.signal) }
    },
    async stop () {
      beating?.stop.abort()
      await beating?.done
      beating = undefined
      await conversation.stop()
      alone.close()
    },
    refill () {
      for (const { subnets } of memory.segments.values()) for (const { id, dynamic } of subnets) if (dynamic.length > 0) blocks.refill(id)
      if (alone.epoch !== '' && !usable()) try { alone.commit(alone.heard === undefined ? {} : { heard: alone.heard }) } catch { /* still broken */ }
      const { undelivered, reserve } = status()
      gauges.undelivered.set(undelivered)
      for (const [subnet, left] of reserve) gauges.reserve.set({ subnet }, left)
    },
    problems () {
      const problems: string[] = []
      const { since, knownFor, reserve, undelivered } = status()
      if (since !== undefined) {
        const left = [...reserve].map(([subnet, count]) => `${count} in subnet ${subnet}`).join(', ')
        const known = knownFor === 0 ? 'leases it knows are not extended any more' : `leases it knows are extended for another ${Math.ceil(knownFor / 60_000)} min`
        problems.push(`No region answers since ${timeOf(since)} UTC (${reach.reason ?? ''}): ${known}; addresses for new clients: ${left === '' ? 'none' : left}; leases not delivered: ${undelivered}`)
      }
      if (alone.broken !== undefined) problems.push(`The journal of leases cannot be used, so nothing is given while no region answers: ${alone.broken}`)
      if (conversation.refused !== undefined) problems.push(conversation.refused)
      problems.push(...limits.starved(clock.monotonic()).slice(0, 3).map(starvedSentence))
      return problems
    }
  }
}
