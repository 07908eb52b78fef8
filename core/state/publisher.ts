/** Region side of wanted state: follows the change feed, maps changed rows to keys once, and feeds the streams of all subscribed racks. */
import type { ActiveRegion } from '../active.ts'
import type { Clock } from '../clock.ts'
import { orAborted } from '../deadline.ts'
import { hasCode, reasonOf } from '../errors.ts'
import { degraded, off, running } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Change, Key, Service } from '../plugin.ts'
import type { FedDatabase } from '../rpc/ends.ts'
import type { Frames } from '../rpc/frames.ts'
import { inTurn } from '../rpc/in-turn.ts'
import type { Link } from '../rpc/link.ts'
import { databaseIdentity, createRackStates, type RackStates } from './registry.ts'
import { lineOf } from '../version.ts'
import { feedPart, openStream, positionText, type Stream } from './stream.ts'

export interface Publisher {
  readonly service: Service
  readonly states: RackStates
  /** The rack at the other end wants the state of these plugins, from these positions; replaces what it asked for on this link before. */
  subscribe(link: Link, positions: Readonly<Record<string, string>>): void
  acknowledged(link: Link, ack: Frames['ack']): void
}

export interface PublisherOptions {
  readonly db: FedDatabase, readonly clock: Clock, readonly log: Logger
  readonly halves: () => readonly ActiveRegion[]
  readonly version?: string // of this region
  readonly sweepEvery?: number // ms; the safety net: compute everything, send the difference
  readonly advanceEvery?: number // ms; how old a rack's position may get while nothing of it changes
}

interface Subscription { readonly rack: string, readonly abort: AbortController, readonly streams: Map<string, Stream>, readonly positions: Readonly<Record<string, string>> }

const lastWords = 1000 // ms a stop waits for the positions to be stored

/** Makes the publisher of one region end. */
export function createPublisher (o: PublisherOptions): Publisher {
  const { db, clock, log } = o
  const states = createRackStates(db, clock, log)
  const subscriptions = new Map<Link, Subscription>()
  let database: string | undefined
  let cursor = '' // everything up to it has been marked on every stream
  let fault: string | undefined
  let hinted = false
  let wake = Promise.withResolvers<void>()
  let stopping: AbortController | undefined
  let following: Promise<void> | undefined

  const publishers = () => o.halves().filter(half => half.running.wanted !== undefined)

  /** The keys these changes concern: undefined for any, also when the plugin cannot say. */
  async function touched (half: ActiveRegion, changes: readonly Change[]): Promise<readonly Key[] | undefined> {
    if (changes.length === 0) return []
    if (half.running.touches === undefined) return undefined
    try {
      return await half.running.touches(changes)
    } catch (error) {
      log.warn({ plugin: half.manifest.name, reason: reasonOf(error) }, 'touches failed; everything is computed')
      return undefined
    }
  }

  /** Takes all there is in the feed and marks it. The cursor moves last: a stream's position never claims what is not marked on it. */
  async function follow (): Promise<void> {
    // The feed has read the same just now when this follows in its steps. Where it was before the question lies in what the answer holds: from there on they go together.
    const reached = db.feed.reached?.()
    const shared = cursor === '' ? undefined : db.feed.lately?.(cursor)
    const read = shared ?? (cursor === '' ? undefined : await db.feed.since(cursor))
    if (read === undefined || read.truncated) {
      const position = reached ?? await db.feed.position()
      for (const { streams } of subscriptions.values()) for (const stream of streams.values()) stream.mark(undefined)
      cursor = position
      return
    }
    for (const half of publishers()) {
      const keys = await touched(half, read.changes)
      if (keys?.length === 0) continue
      for (const { streams } of subscriptions.values()) streams.get(half.manifest.name)?.mark(keys)
    }
    const before = cursor
    cursor = shared === undefined ? reached ?? read.position : read.position
    if (shared !== undefined && cursor !== reached && cursor !== before) await follow()
  }

  function open (link: Link, subscription: Subscription): void {
    // A version may know kinds of entries, or make them in a way, that another does not. A rack that was given its state by another version, or was another one itself, gets the whole: once for each upgrade.
    const id = `${database as string}/${lineOf(o.version ?? '')}-${lineOf(link.peer.version)}`
    for (const half of publishers()) {
      const plugin = half.manifest.name
      if (!Object.hasOwn(subscription.positions, plugin)) continue
      const { running: part } = half
      subscription.streams.set(plugin, openStream({
        plugin, clock, from: subscription.positions[plugin] ?? '', signal: subscription.abort.signal,
        position: () => positionText(id, cursor),
        async join (from) {
          const feed = feedPart(id, from)
          if (feed === undefined) return undefined
          // A position the feed cannot read (another version wrote it) is no position: the whole goes over, as for a new rack.
          const { changes, truncated } = await db.feed.since(feed).catch((error: unknown) => { if (hasCode(error, 'INVALID_REQUEST')) return { changes: [], truncated: true }; throw error })
          return truncated ? undefined : await touched(half, changes)
        },
        wanted: keys => part.wanted?.(subscription.rack, keys) ?? Promise.resolve([]),
        send: frame => { link.send(frame) },
        stands (position, error) {
          if (error !== undefined) log.warn({ rack: subscription.rack, plugin, reason: error }, 'wanted state was not taken')
          states.set(subscription.rack, plugin, position, error)
        },
        lost: reason => { link.close(reason) }
      }))
    }
  }

  async function run (signal: AbortSignal): Promise<void> {
    const nudge = () => { hinted = true; wake.resolve() }
    const unsubscribe = db.feed.subscribe(nudge, nudge)
    const sweepEvery = o.sweepEvery ?? 600_000
    const advanceEvery = o.advanceEvery ?? 60_000
    let swept = clock.monotonic()
    let advanced = swept
    let delay = 200
    nudge()
    while (!signal.aborted) {
      if (!hinted) await Promise.race([wake.promise, clock.sleep(Math.min(5000, sweepEvery, advanceEvery), signal)])
      if (signal.aborted) break
      hinted = false
      wake = Promise.withResolvers()
      try {
        database ??= await orAborted(databaseIdentity(db), signal)
        await orAborted(follow(), signal)
        if (signal.aborted) break
        for (const [link, subscription] of subscriptions) if (subscription.streams.size === 0) open(link, subscription)
        const now = clock.monotonic()
        const sweep = now - swept >= sweepEvery
        const advance = now - advanced >= advanceEvery
        if (sweep) swept = now
        if (advance) advanced = now
        for (const { streams } of subscriptions.values()) for (const stream of streams.values()) { if (sweep) stream.mark(undefined); if (advance) stream.advance() }
        await orAborted(states.flush(), signal)
        fault = undefined
        delay = 200
      } catch (error) {
        fault = reasonOf(error)
        hinted = true
        await clock.sleep(delay, signal)
        delay = Math.min(delay * 2, 5000)
      }
    }
    unsubscribe()
  }

  function end (link: Link): void {
    subscriptions.get(link)?.abort.abort()
    subscriptions.delete(link)
  }

  const service: Service = {
    name: 'wanted-state',
    async start () {
      if (stopping !== undefined) return
      stopping = new AbortController()
      following = run(stopping.signal)
    },
    async stop () {
      stopping?.abort()
      for (const link of [...subscriptions.keys()]) end(link)
      await following
      stopping = undefined
      await orAborted(states.flush(), AbortSignal.timeout(lastWords)).catch(() => {}) // the database may be gone already; the next acknowledgement writes it again
    },
    health: () => stopping === undefined ? off('not started') : fault === undefined ? running : degraded(`changes cannot be read: ${fault}`)
  }

  return {
    service: inTurn(service),
    states,
    subscribe (link, positions) {
      end(link)
      if (Object.keys(positions).length === 0) return
      const subscription: Subscription = { rack: link.peer.controller, abort: new AbortController(), streams: new Map(), positions }
      subscriptions.set(link, subscription)
      link.signal.addEventListener('abort', () => { if (subscriptions.get(link) === subscription) end(link) }, { once: true })
      if (link.signal.aborted) { end(link); return }
      if (database !== undefined && cursor !== '' && stopping !== undefined && !stopping.signal.aborted) open(link, subscription)
      else { hinted = true; wake.resolve() }
    },
    acknowledged (link, ack) { subscriptions.get(link)?.streams.get(ack.plugin)?.acknowledged(ack) }
  }
}
