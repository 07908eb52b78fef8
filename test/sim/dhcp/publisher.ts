/** Wanted state as the core carries it: what the change log names is computed by some region, some time after, and reaches the rack in order, at any later time; the rack keeps it on its disk together with its position. */
import type { Dice } from '../dice.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'
import type { SimDatabase } from './database.ts'
import type { Links } from './links.ts'

export interface WantedEntry { readonly kind: string, readonly id: string, readonly value: unknown }
export interface WantedKey { readonly kind: string, readonly id: string }
export interface WantedSource {
  /** A rack's entries: all, or those of these keys. Kinds are read one after the other, not in one snapshot. */
  entries (rack: string, keys: readonly WantedKey[] | undefined): Promise<readonly WantedEntry[]>
  keys (topic: string, id: string): readonly WantedKey[] | undefined
}
/** A rack's end of it. `process` is undefined while it is dead. */
export interface Taker { readonly name: string, process: Process | undefined, take: ((put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean) => void) | undefined }

const keyOf = ({ kind, id }: WantedKey): string => `${kind} ${id}`

export class Subscription {
  /** On the rack's disk. */
  readonly kept = new Map<string, WantedEntry>()
  position = -1
  /** Faults that hold its wanted state back. */
  held = 0
  applied = 0
  private busy = false
  private readonly o: { readonly world: World, readonly dice: Dice, readonly db: SimDatabase, readonly links: Links, readonly source: WantedSource, readonly taker: Taker }

  constructor (o: Subscription['o']) { this.o = o }

  /** Something may have to be told. */
  kick (): void {
    const { world, dice, db, links, taker } = this.o
    if (this.busy || this.position >= db.log.length) return
    this.busy = true
    world.after(this.held > 0 ? 700 : dice.chance(0.1) ? dice.between(1, 1_500) : dice.between(1, 40), () => {
      const link = links.of(taker.name).find(one => one.up && one.cuts === 0 && one.region.process.alive && !one.region.process.paused && db.reached(one.region.name))
      if (link === undefined || this.held > 0) { this.again(500); return }
      void this.compute(link)
    })
  }

  private again (ms: number): void {
    this.o.world.after(ms, () => { this.busy = false; this.kick() })
  }

  /** The keys that the changes since its position concern; undefined: any. */
  private keysOf (to: number): readonly WantedKey[] | undefined {
    const { db, source } = this.o
    const keys = new Map<string, WantedKey>()
    for (let at = this.position; at < to; at++) {
      const change = db.log[at]
      const found = change === undefined ? [] : source.keys(change.topic, change.id)
      if (found === undefined) return undefined
      for (const key of found) keys.set(keyOf(key), key)
    }
    return [...keys.values()]
  }

  private async compute (link: Parameters<Links['delay']>[0]): Promise<void> {
    const { world, db, links, source, taker } = this.o
    const to = db.log.length
    const whole = this.position < 0
    const keys = whole ? undefined : this.keysOf(to)
    const entries = keys?.length === 0 ? [] : await source.entries(taker.name, keys)
    const given = new Set(entries.map(keyOf))
    const remove = (keys ?? [...this.kept.values()]).filter(key => !given.has(keyOf(key))).map(({ kind, id }) => ({ kind, id }))
    const delay = links.delay(link)
    if (delay === undefined) { this.again(1_000); return }
    world.after(delay, () => {
      const { process } = taker
      if (process === undefined || link.cuts > 0) { this.again(300); return }
      let taken = false
      process.enter(() => {
        taken = true
        if (taker.process === process) this.apply(entries, remove, whole, to)
        this.again(0)
      })
      if (!taken) this.watch(process, () => taken)
    })
  }

  /** A paused process takes it when it goes on; a dead one never. */
  private watch (process: Process, taken: () => boolean): void {
    this.o.world.after(1_000, () => {
      if (taken()) return
      if (process.alive) this.watch(process, taken)
      else this.again(0)
    })
  }

  private apply (put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean, to: number): void {
    const { taker } = this.o
    if (to <= this.position || taker.take === undefined) return
    taker.take(put, remove, whole)
    if (whole) this.kept.clear()
    for (const key of remove) this.kept.delete(keyOf(key))
    for (const entry of put) this.kept.set(keyOf(entry), entry)
    this.position = to
    this.applied++
  }
}
