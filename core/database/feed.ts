/** The change feed: every committed row of the change log, to whoever subscribes here, though transactions commit in another order than they begin. */
import type { Clock } from '../clock.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Health } from '../health.ts'
import { degraded, off, running } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Service } from '../plugin.ts'
import type { Change, Query, Tx } from './database.ts'
import type { Unlisten } from './listen.ts'
import { horizonOf, parsePosition } from './position.ts'

export interface Since { readonly changes: readonly Change[], readonly position: string, readonly truncated: boolean }
export interface Feed {
  /** `gap` is called when changes may have been missed (cut off for longer than the log keeps them, or a failover that lost commits): read everything again. */
  subscribe(listener: (changes: readonly Change[]) => void, gap?: () => void): () => void
  /** Where the log ends now. Opaque; may be kept and given to `since`, also by another region. */
  position(): Promise<string>
  /**
   * What was committed after `position`. `truncated`: not all of it is there any more, or it is more than `limit` things (default 10,000); then read everything again and go on from the new position.
   * @throws BedplateError INVALID_REQUEST when `position` is none
   */
  since(position: string, limit?: number): Promise<Since>
  /** What the feed itself read last from exactly this position on, if it did lately: the same answer as `since` gave then, for nothing. */
  lately?(position: string): Since | undefined
  /** Where the feed itself has read to; undefined while it does not run. */
  reached?(): string | undefined
  readonly service: Service
}
interface FeedOptions { readonly query: Query['query'], readonly listen: (channel: string, listener: () => void) => Unlisten, readonly clock: Clock, readonly log: Logger, readonly every?: number }
interface Row { readonly position: string, readonly truncated: boolean, readonly changes: readonly (readonly [seq: string, topic: string, id: string])[] }

const timeline = "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
const positionQuery = `select ${timeline} || '/' || pg_current_snapshot() as position`
// One statement, one snapshot. What is new since an old snapshot: transactions that began after it ($3: its xmax), and those that ran while it was taken ($4).
// Both are index scans (the order says so to a planner that expects a third of the log behind any number it does not know), so neither a transaction that
// stays open for an hour nor an hour of many changes makes anybody read the hour's rows again and again.
const sinceQuery = `
  with fresh as (
    (select seq, topic, id from core.change where xid >= $3::xid8 order by xid limit $5)
    union all
    (select seq, topic, id from core.change where xid = any($4::xid8[]) and xid < $3::xid8 limit $5))
  select ${timeline} || '/' || pg_current_snapshot() as position,
    ${timeline} <> $1 or exists (select from core.change_horizon where xid >= $2::xid8) or pg_snapshot_xmax(pg_current_snapshot()) < $3::xid8 as truncated,
    coalesce((select json_agg(json_build_array(seq::text, topic, id) order by seq) from fresh), '[]') as changes`

/** What a row says: of a transaction that changed several things of one topic, all of them. */
function changesOf ([seq, topic, ids]: Row['changes'][number]): readonly Change[] {
  return ids.includes('\n') ? ids.split('\n').map((id, place) => ({ seq: `${seq}.${place}`, topic, id })) : [{ seq, topic, id: ids }]
}

/** ms from one read to the next while changes keep coming: a thousand commits a second become twenty reads. The first after a rest is read at once. */
const pace = 50
const kept = 4 // of its own reads, for those who follow from where it followed

/** `every`: ms between reads that nobody asked for, default 2,000: what makes a lost NOTIFY harmless. */
export function createFeed ({ query, listen, clock, log, every = 2000 }: FeedOptions): Feed {
  const subscribers = new Set<{ readonly listener: (changes: readonly Change[]) => void, readonly gap: (() => void) | undefined }>()
  let health: Health = off('not started')
  let reads: { readonly from: string, readonly read: Since }[] = []
  let reachedTo: string | undefined
  let work: { readonly stop: AbortController, readonly begun: Promise<string>, readonly done: Promise<void> } | undefined
  let ended: Promise<void> = Promise.resolve() // one reader at a time: a start that races with a stop waits its turn

  async function position (): Promise<string> {
    const [row] = await query<{ position: string }>(positionQuery)
    return row?.position ?? ''
  }

  async function since (from: string, limit = 10_000): Promise<Since> {
    const { timeline, snapshot } = parsePosition(from)
    const [row] = await query<Row>(sinceQuery, [timeline, horizonOf(snapshot), snapshot.xmax, snapshot.running, limit + 1])
    if (!row) throw new BedplateError('INTERNAL', { reason: 'the change log gave no answer', requestId: '-' })
    if (row.truncated || row.changes.length > limit) return { changes: [], position: row.position, truncated: true }
    const changes = row.changes.flatMap(changesOf)
    return changes.length > limit ? { changes: [], position: row.position, truncated: true } : { changes, position: row.position, truncated: false }
  }

  const each = (call: (subscriber: { listener: (changes: readonly Change[]) => void, gap: (() => void) | undefined }) => void): void => {
    for (const subscriber of [...subscribers]) {
      try { call(subscriber) } catch (error) { log.error({ err: error }, 'a subscriber of the change feed threw') }
    }
  }

  async function follow (from: string, signal: AbortSignal): Promise<void> {
    let at = from
    let wake: (() => void) | undefined
    let hinted = false
    let readAt = -Infinity
    const aborted = new Promise<undefined>(resolve => { signal.addEventListener('abort', () => { resolve(undefined) }, { once: true }) }) // a stop does not wait for a server that is gone
    const unlisten = listen('core_change', () => { hinted = true; wake?.() })
    while (!signal.aborted) {
      const early = readAt + pace - clock.monotonic()
      if (early > 0) await clock.sleep(early, signal)
      readAt = clock.monotonic()
      try {
        hinted = false
        const read = await Promise.race([since(at), aborted])
        if (!read || signal.aborted) break
        const { changes, position, truncated } = read
        reads = [...reads.slice(1 - kept), { from: at, read }]
        reachedTo = at = position
        health = running
        if (truncated) {
          log.warn('the change feed has a gap; everything is read again')
          each(({ gap }) => { gap?.() })
        } else if (changes.length > 0) {
          each(({ listener }) => { listener(changes) })
        }
      } catch (error) {
        if (!signal.aborted) log.debug({ reason: reasonOf(error) }, 'the change log could not be read')
        health = degraded(`changes arrive late: ${reasonOf(error)}`)
        hinted = false // the pool has been patient already; a storm of hints must not become a storm of attempts
      }
      if (hinted) continue
      const rest = new AbortController()
      wake = () => { rest.abort() }
      await clock.sleep(every, AbortSignal.any([signal, rest.signal]))
      wake = undefined
    }
    reachedTo = undefined
    reads = []
    await unlisten()
  }

  const service: Service = {
    name: 'change-feed',
    async start () {
      if (!work) {
        const stop = new AbortController()
        const begun = ended.then(position)
        ended = begun.then(at => follow(at, stop.signal), () => {})
        work = { stop, begun, done: ended }
      }
      const mine = work
      try {
        await mine.begun // from here on, nothing committed is missed
        if (work === mine) health = running
      } catch (error) {
        if (work === mine) work = undefined
        throw error
      }
    },
    async stop () {
      const ending = work
      work = undefined
      ending?.stop.abort()
      await ending?.done
      if (!work) health = off('stopped')
    },
    health: () => health
  }

  return {
    subscribe (listener, gap) {
      const subscriber = { listener, gap }
      subscribers.add(subscriber)
      return () => { subscribers.delete(subscriber) }
    },
    position,
    since,
    lately: from => reads.findLast(one => one.from === from)?.read, // the last: while nothing is committed, it reads from one place again and again
    reached: () => reachedTo,
    service
  }
}

/** Deletes what is older than `age` ms (default one hour) and notes how far, so that `since` can tell. For a leader service to run every few minutes; gives the number of rows. */
export async function pruneChanges (tx: Tx, age = 3_600_000): Promise<number> {
  const [row] = await tx.query<{ count: number }>(`
    with gone as (delete from core.change where at < clock_timestamp() - $1 * interval '1 millisecond' returning xid),
         last as (select xid from gone order by xid desc limit 1),
         mark as (update core.change_horizon set xid = last.xid from last where last.xid > change_horizon.xid)
    select count(*)::int as count from gone`, [age])
  return row?.count ?? 0
}
