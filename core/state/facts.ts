/** Region side of facts: stores a rack's batch once, in order, in the transaction that moves the rack's cursor; a poison fact is set aside, not waited for. */
import type { ActiveRegion } from '../active.ts'
import type { Clock } from '../clock.ts'
import type { Database, Tx } from '../database/database.ts'
import { BedplateError, reasonOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { check } from '../rpc/check.ts'
import type { Frames } from '../rpc/frames.ts'

type Item = Frames['facts']['items'][number]
const attempts = 3 // of one fact alone, before it is set aside

export interface FactStore {
  /** Stores the batch; resolves with the last sequence number that is settled. Repeats until the database takes it; undefined when `signal` aborts first. */
  store(rack: string, frame: Frames['facts'], signal: AbortSignal): Promise<number | undefined>
}

/** Why the plugin failed at a fact, which is not the database's fault. */
class Poison {
  readonly seq: number
  readonly reason: string
  constructor (seq: number, reason: string) { this.seq = seq; this.reason = reason }
}

const codeOf = (thrown: unknown): string => typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
/** Failures that pass by themselves: connection, conflict, resources, shutdown, lock, read-only (PostgreSQL, appendix A), and our own words for them. */
const transient = (thrown: unknown): boolean => /^(08|40|53|57P|55P|25006|E[A-Z]{3,}$)/.test(codeOf(thrown)) || (thrown instanceof BedplateError && ['DATABASE_UNREACHABLE', 'UNAVAILABLE', 'TERM_LOST'].includes(thrown.code))

/** Makes the store of one region end. */
export function createFactStore (o: { readonly db: Database, readonly halves: () => readonly ActiveRegion[], readonly clock: Clock, readonly log: Logger, readonly metrics: Metrics }): FactStore {
  const stored = o.metrics.counter('facts_stored_total', 'Facts of racks stored by this region', ['plugin'])
  const rejected = o.metrics.counter('facts_rejected_total', 'Facts of racks this region set aside', ['plugin'])
  const working = new Map<string, Promise<unknown>>() // one batch of a rack at a time here; the cursor's lock does the same between regions

  function faultOf (item: Item): string | undefined {
    const half = o.halves().find(one => one.manifest.name === item.plugin)
    if (half?.running.facts === undefined) return `no plugin ${item.plugin} takes facts here`
    const schema = Object.hasOwn(half.manifest.facts, item.kind) ? half.manifest.facts[item.kind] : undefined
    if (schema === undefined) return `the plugin ${item.plugin} knows no fact ${item.kind}`
    return Number.isNaN(Date.parse(item.at)) ? 'its time is not valid' : check(schema, item.body)
  }

  async function reject (tx: Tx, rack: string, epoch: string, item: Item, reason: string): Promise<void> {
    await tx.query('insert into core.fact_rejected (rack, epoch, seq, plugin, kind, body, reason) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing',
      [rack, epoch, item.seq, clean(item.plugin), clean(item.kind), bodyOf(item), clean(reason.slice(0, 2000))])
  }

  /** Hands one run of facts to its plugin, inside a savepoint. Gives the plugin's complaint; throws what is not the plugin's. */
  async function give (tx: Tx, rack: string, items: readonly Item[]): Promise<string | undefined> {
    const half = o.halves().find(one => one.manifest.name === items[0]?.plugin)
    await tx.query('savepoint fact')
    try {
      await half?.running.facts?.(tx, rack, items.map(({ kind, at, body }) => ({ kind, at, body })))
      await tx.query('release savepoint fact')
      return undefined
    } catch (error) {
      if (transient(error)) throw error
      await tx.query('rollback to savepoint fact') // throws when the connection is gone: then nothing was the plugin's fault
      return reasonOf(error)
    }
  }

  /** One transaction: as far as it goes. A poison fact that is not `doomed` yet ends it after what came before. */
  async function attempt (rack: string, frame: Frames['facts'], doomed: ReadonlyMap<number, string>): Promise<{ through: number, poison: Poison | undefined, counts: Map<string, number>, refused: Map<string, number> }> {
    return await o.db.tx(async tx => {
      const counts = new Map<string, number>()
      const refused = new Map<string, number>()
      const count = (map: Map<string, number>, plugin: string, n: number) => { map.set(plugin, (map.get(plugin) ?? 0) + n) }
      await tx.query('insert into core.fact_cursor (rack, epoch, seq) values ($1, $2, 0) on conflict (rack, epoch) do nothing', [rack, frame.epoch])
      const [row] = await tx.query<{ seq: string }>('select seq from core.fact_cursor where rack = $1 and epoch = $2 for update', [rack, frame.epoch])
      const start = Number(row?.seq ?? 0)
      let through = start
      let poison: Poison | undefined
      const settle = (run: readonly Item[]) => { through = run.at(-1)?.seq ?? through }
      for (const run of runs(frame.items.filter(item => item.seq > start), item => doomed.get(item.seq) ?? faultOf(item))) {
        const { plugin } = run.items[0] as Item
        if (run.fault !== undefined) {
          for (const item of run.items) await reject(tx, rack, frame.epoch, item, doomed.get(item.seq) ?? faultOf(item) ?? run.fault)
          count(refused, plugin, run.items.length)
          settle(run.items)
          continue
        }
        if (await give(tx, rack, run.items) === undefined) { count(counts, plugin, run.items.length); settle(run.items); continue }
        for (const item of run.items) {
          const complaint = await give(tx, rack, [item])
          if (complaint !== undefined) { poison = new Poison(item.seq, complaint); break }
          count(counts, plugin, 1)
          settle([item])
        }
        if (poison !== undefined) break
      }
      if (through > start) await tx.query('update core.fact_cursor set seq = $3, updated_at = now() where rack = $1 and epoch = $2', [rack, frame.epoch, through])
      return { through: Math.max(through, start), poison, counts, refused }
    })
  }

  async function work (rack: string, frame: Frames['facts'], signal: AbortSignal): Promise<number | undefined> {
    const failures = new Map<number, number>()
    const doomed = new Map<number, string>()
    for (let delay = 100; !signal.aborted; delay = Math.min(delay * 2, 5000)) {
      try {
        const { through, poison, counts, refused } = await attempt(rack, frame, doomed)
        for (const [plugin, n] of counts) stored.inc({ plugin }, n)
        for (const [plugin, n] of refused) rejected.inc({ plugin }, n)
        if (poison === undefined) return Math.max(through, frame.items.at(-1)?.seq ?? 0)
        const times = (failures.get(poison.seq) ?? 0) + 1
        failures.set(poison.seq, times)
        if (times < attempts) { await o.clock.sleep(delay, signal); continue }
        o.log.error({ rack, epoch: frame.epoch, seq: poison.seq, reason: poison.reason }, 'a fact was set aside: see core.fact_rejected')
        doomed.set(poison.seq, poison.reason)
        delay = 50
      } catch (error) {
        o.log.warn({ rack, reason: reasonOf(error) }, 'facts could not be stored yet')
        await o.clock.sleep(delay, signal)
      }
    }
    return undefined
  }

  return {
    async store (rack, frame, signal) {
      const before = working.get(rack)
      const mine = (async () => { await before?.catch(() => {}); return await work(rack, frame, signal) })()
      working.set(rack, mine)
      try { return await mine } finally { if (working.get(rack) === mine) working.delete(rack) }
    }
  }
}

/** PostgreSQL's text and jsonb hold no NUL and no half of a surrogate pair; JSON.stringify escapes both. */
const clean = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed().replace(/\\u(?:0000|d[89a-f][0-9a-f]{2})/g, '\\ufffd')

/** What is set aside must fit, or the rack's later facts would wait for it for ever. */
function bodyOf (item: Item): string {
  try { return clean(JSON.stringify(item.body) ?? 'null') } catch { return '"nested too deeply to be kept"' }
}

/** Neighbouring items of one plugin that are all good or all faulty, in order. */
function runs (items: readonly Item[], faultOf: (item: Item) => string | undefined): { items: Item[], fault: string | undefined }[] {
  const result: { items: Item[], fault: string | undefined }[] = []
  for (const item of items) {
    const fault = faultOf(item)
    const last = result.at(-1)
    if (last !== undefined && last.items[0]?.plugin === item.plugin && (last.fault === undefined) === (fault === undefined)) last.items.push(item)
    else result.push({ items: [item], fault })
  }
  return result
}
