/** The wanted state of one plugin on its way to one rack: one computation at a time, one change in flight, everything that came meanwhile taken together. */
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Frames } from '../rpc/frames.ts'
import type { Entry, Key } from '../plugin.ts'
import { confirm, difference, keyOf, parts, type Known } from './difference.ts'

export interface StreamOptions {
  readonly plugin: string
  readonly from: string // the position the rack has
  readonly clock: Clock
  readonly signal: AbortSignal // aborts when the subscription is over
  /** Everything up to this position has been marked on this stream. */
  position(): string
  /** The keys that changed since a position, or undefined when it cannot be joined. */
  join(from: string): Promise<readonly Key[] | undefined>
  wanted(keys?: readonly Key[]): Promise<readonly Entry[]>
  send(frame: Frames['wanted']): void
  /** The rack stands at `position`; `error` says why it is not further. */
  stands(position: string, error: string | undefined): void
  /** The rack does not answer. */
  lost(reason: string): void
}

export interface Stream {
  /** These keys may have changed; `undefined`: any may have. */
  mark(keys: readonly Key[] | undefined): void
  /** Tell the rack how far the feed is, though nothing of it changed. */
  advance(): void
  acknowledged(ack: Frames['ack']): void
}

const ackWithin = 60_000 // ms
const retry = { least: 200, first: 1000, last: 30_000 } // ms
const manyKeys = 10_000 // beyond it, everything is computed

/** Starts the stream; it ends with its signal. */
export function openStream (options: StreamOptions): Stream {
  const { clock, signal } = options
  const known: Known = { hashes: new Map(), complete: false }
  let position = options.from
  let dirty = new Map<string, Key>()
  let all = false // any key may have changed
  let whole = false // the rack's state is unknown
  let advance = false
  let wake = Promise.withResolvers<void>()
  let answer: ((ack: Frames['ack'] | undefined) => void) | undefined

  const pending = () => all || whole || advance || dirty.size > 0

  async function run (): Promise<void> {
    let delay = retry.first
    let joined = false
    while (!signal.aborted) {
      if (joined && !pending()) { await wake.promise; continue }
      // Position and marks are taken together, before any value is read: what changes after this is marked again.
      const to = options.position()
      const taken = { dirty, all, whole }
      dirty = new Map(); all = false; whole = false; advance = false
      wake = Promise.withResolvers()
      let failed: string | undefined
      try {
        if (!joined) {
          const keys = position === '' ? undefined : await options.join(position)
          if (keys === undefined) taken.whole = true
          else for (const key of keys) taken.dirty.set(keyOf(key), key)
          joined = true
        }
        failed = await bring(taken, to)
      } catch (error) {
        failed = reasonOf(error)
      }
      if (signal.aborted) return
      if (failed === undefined) { delay = retry.first; continue }
      options.stands(position, failed)
      // What failed stays owed; it is tried again after a pause, or as soon as something else changes.
      for (const [key, value] of taken.dirty) dirty.set(key, value)
      all ||= taken.all
      whole ||= taken.whole
      await clock.sleep(retry.least, signal)
      await Promise.race([clock.sleep(delay, signal), wake.promise])
      delay = Math.min(delay * 2, retry.last)
    }
  }

  /** Computes and sends one change; gives the rack's complaint, if any. */
  async function bring (taken: { dirty: Map<string, Key>, all: boolean, whole: boolean }, to: string): Promise<string | undefined> {
    const everything = taken.whole || taken.all || taken.dirty.size > manyKeys
    const asWhole = taken.whole || (everything && !known.complete)
    const keys = everything ? undefined : [...taken.dirty.values()]
    const entries = keys?.length === 0 ? [] : await options.wanted(keys)
    if (signal.aborted) return undefined
    const change = difference(asWhole ? { hashes: new Map(), complete: true } : known, entries, keys)
    const frames = parts(change)
    const nothing = change.put.length === 0 && change.remove.length === 0
    if (nothing && !asWhole && (to === position || (taken.dirty.size > 0 && position !== ''))) return undefined
    const answered = awaitAnswer()
    frames.forEach((part, index) => {
      options.send({ t: 'wanted', plugin: options.plugin, from: position, to, whole: asWhole, put: [...part.put], remove: [...part.remove], ...(index < frames.length - 1 ? { more: true } : {}) })
    })
    const ack = await answered
    if (ack === undefined) return undefined
    if (ack.error !== undefined) return ack.error // it kept all it had, so what is known of it still holds
    if (ack.position !== to) { taken.whole = true; return 'the rack stands at another position than it was taken to' }
    position = to
    confirm(known, change, asWhole)
    options.stands(position, undefined)
    return undefined
  }

  async function awaitAnswer (): Promise<Frames['ack'] | undefined> {
    const { promise, resolve } = Promise.withResolvers<Frames['ack'] | undefined>()
    const done = new AbortController()
    answer = resolve
    const ended = () => { resolve(undefined) }
    signal.addEventListener('abort', ended, { once: true })
    void clock.sleep(ackWithin, done.signal).then(() => { if (answer === resolve) { options.lost(`no acknowledgement of ${options.plugin} within ${ackWithin / 1000} s`); resolve(undefined) } })
    try {
      return await promise
    } finally {
      answer = undefined
      done.abort('answered')
      signal.removeEventListener('abort', ended)
    }
  }

  signal.addEventListener('abort', () => { wake.resolve() }, { once: true })
  void run()
  return {
    mark (keys) {
      if (keys === undefined) all = true
      else for (const key of keys) dirty.set(keyOf(key), key)
      if (pending()) wake.resolve()
    },
    advance () { advance = true; wake.resolve() },
    acknowledged (ack) { answer?.(ack) }
  }
}

/** A position of this database's feed; positions of another database are never joined. */
export const positionText = (database: string, feed: string): string => `${database}/${feed}`
/** The feed's part of a position, or undefined when it belongs to another database. */
export function feedPart (database: string, position: string): string | undefined {
  return position.startsWith(`${database}/`) ? position.slice(database.length + 1) : undefined
}
