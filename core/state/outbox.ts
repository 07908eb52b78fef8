/** The rack's outbox: facts go to disk first, then in order to one region at a time, and leave the disk when a region has stored them. */
import type { ActiveRack } from '../active.ts'
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import { degraded, running, type Health } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Reported } from '../plugin.ts'
import { check } from '../rpc/check.ts'
import type { Frames } from '../rpc/frames.ts'
import type { Link } from '../rpc/link.ts'
import type { RackStore } from './store.ts'
import { createWaiting } from './waiting.ts'

/** What the outbox needs of the rack's disk, and of a link. */
export type Disk = Pick<RackStore, 'epoch' | 'append' | 'oldest' | 'settle' | 'depth' | 'dropOldest'>
export type Way = Pick<Link, 'send'>

export interface Outbox {
  /** Durable once it returns: one synced commit per fact. A fact that does not fit its schema is a fault of the plugin: logged, counted, dropped. Throws only when the disk does. */
  report(plugin: string, kind: string, body: unknown): Reported
  stored(link: Way, frame: Frames['stored']): void
  /** Sends until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  /** Links came or went: look again. Whoever keeps the links says so each time; a batch over a link that is gone waits for it. */
  nudge(): void
  health(): Health
}

export interface OutboxOptions {
  readonly store: () => Disk, readonly halves: () => readonly ActiveRack[], readonly clock: Clock, readonly log: Logger, readonly metrics: Metrics
  /** The links to regions that are up, the preferred first. */
  readonly links: () => readonly Way[]
  /** Rows; default 1,000,000. When they are reached, the oldest tenth (at most 1,000) is dropped to make room: what is new says more of how things stand. */
  readonly limit?: number
  readonly atOnce?: number // facts in one frame, at most
  readonly patience?: number // ms without `stored` before another region is asked
}

const batch = { count: 500, size: 1024 * 1024 }
/** ms between two batches that are not full, unless somebody waits for what is in the next: a batch is a transaction of seven statements, whether it brings one fact or hundreds. */
const gap = 50
const dropAtOnce = 1000

/** Makes the outbox of one rack end. */
export function createOutbox (o: OutboxOptions): Outbox {
  const limit = o.limit ?? 1_000_000
  const patience = o.patience ?? 10_000
  const atOnce = o.atOnce ?? batch.count
  const dropped = o.metrics.counter('outbox_dropped_total', 'Facts dropped, the oldest first, because the outbox held as many as it may (a region may have stored some of them already)')
  const invalid = o.metrics.counter('facts_invalid_total', 'Facts of this controller\'s own plugins that did not fit their schema', ['plugin'])
  const depth = o.metrics.gauge('outbox_facts', 'Facts on this rack that no region has said it stored; at its limit (1,000,000) the oldest are dropped')
  const waiting = createWaiting()
  let lost = 0
  let sent = 0 // the last sequence number any region was given
  let full = false
  let slow = false
  let wake = Promise.withResolvers<void>()
  let hurry = Promise.withResolvers<void>() // somebody waits
  let flight: { readonly link: Way, readonly through: number, readonly done: (stored: boolean) => void } | undefined
  /** Look again: links came or went, or the region that has the batch cannot store now. Another is given it then: what both store counts once. */
  const nudge = () => {
    if (flight !== undefined && !o.links().includes(flight.link)) flight.done(false)
    wake.resolve()
  }

  function faultOf (plugin: string, kind: string, body: unknown): string | undefined {
    const facts = o.halves().find(half => half.manifest.name === plugin)?.manifest.facts ?? {}
    const schema = Object.hasOwn(facts, kind) ? facts[kind] : undefined
    return schema === undefined ? 'its manifest has no such fact' : check(schema, body)
  }

  /** Sends one batch over the link; true when the region stored it. */
  async function deliver (link: Way, frame: Frames['facts'], through: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const done = new AbortController()
    flight = { link, through, done: resolve }
    const ended = () => { resolve(false) }
    signal.addEventListener('abort', ended, { once: true })
    void o.clock.sleep(patience, done.signal).then(() => { if (!done.signal.aborted) { slow = true; resolve(false) } })
    try {
      link.send(frame)
      sent = Math.max(sent, through)
      return await promise
    } finally {
      flight = undefined
      done.abort()
      signal.removeEventListener('abort', ended)
    }
  }

  async function pause (signal: AbortSignal): Promise<void> {
    hurry = Promise.withResolvers()
    if (waiting.any) return
    const over = new AbortController()
    await Promise.race([hurry.promise, o.clock.sleep(gap, AbortSignal.any([signal, over.signal]))])
    over.abort()
  }

  async function run (signal: AbortSignal): Promise<void> {
    let turn = 0
    signal.addEventListener('abort', nudge, { once: true })
    while (!signal.aborted) {
      const seen = wake = Promise.withResolvers()
      const links = o.links()
      const link = links[turn % Math.max(1, links.length)]
      try {
        const store = o.store()
        const items = link === undefined ? [] : store.oldest(atOnce, batch.size)
        const [first] = items
        const last = items.at(-1)
        if (link === undefined || first === undefined || last === undefined) { await seen.promise; continue }
        if (await deliver(link, { t: 'facts', epoch: store.epoch, first: first.seq, items }, last.seq, signal)) {
          slow = false
          full = full && store.depth() >= limit
          if (items.length < atOnce) await pause(signal)
        } else {
          turn++
          await Promise.race([wake.promise, o.clock.sleep(100, signal)])
        }
      } catch (error) {
        o.log.error({ reason: reasonOf(error) }, 'facts could not be sent')
        await o.clock.sleep(1000, signal)
      }
    }
    signal.removeEventListener('abort', nudge)
  }

  return {
    report (plugin, kind, body) {
      const fault = faultOf(plugin, kind, body)
      if (fault !== undefined) {
        invalid.inc({ plugin })
        o.log.error({ plugin, kind, reason: fault }, 'a fact was not valid and was dropped')
        return { stored: async () => false }
      }
      const store = o.store()
      if (store.depth() >= limit) {
        const count = store.dropOldest(Math.max(1, Math.min(dropAtOnce, Math.floor(limit / 10))))
        lost += count
        dropped.inc(count)
        if (!full) o.log.error({ ...new BedplateError('OUTBOX_FULL', { count: limit, dropped: lost }).details }, 'the outbox is full; the oldest facts are dropped')
        full = true
        waiting.dropped((store.oldest(1, 0)[0]?.seq ?? Infinity) - 1)
      }
      const seq = store.append(plugin, kind, new Date(o.clock.now()).toISOString(), JSON.stringify(body) ?? 'null')
      depth.set(store.depth())
      wake.resolve()
      return {
        stored (signal) {
          const stored = waiting.stored(seq, signal)
          if (waiting.any) hurry.resolve()
          return stored
        }
      }
    },
    stored (link, frame) {
      const store = o.store()
      if (frame.epoch !== store.epoch || frame.through > sent) return // about another life, or more than was ever sent
      try { store.settle(frame.through) } catch (error) { // the rack's disk, and no fault of the region: what it has stored it stores once
        o.log.error({ reason: reasonOf(error) }, 'facts that are stored could not be taken off the disk')
        if (flight?.link === link) flight.done(false)
        return
      }
      waiting.settled(frame.through)
      depth.set(store.depth())
      if (flight?.link === link && frame.through >= flight.through) flight.done(true)
    },
    run,
    nudge,
    health () {
      if (full) return degraded(new BedplateError('OUTBOX_FULL', { count: limit, dropped: lost }).message)
      return slow ? degraded('no region stores the facts it is sent; is the database reachable? Facts are kept on this disk meanwhile') : running
    }
  }
}
