/** Facts: kept on the rack's disk, delivered in order over any link, as often as it takes, and stored once by a cursor in the database. */
import type { Tx } from '../../../core/plugin.ts'
import type { Dice } from '../dice.ts'
import type { World } from '../world.ts'
import { ModelTx } from './database.ts'
import type { Links } from './links.ts'
import type { SimRegion } from './region.ts'

export interface Fact { readonly seq: number, readonly kind: string, readonly at: string, readonly body: unknown }

export class FactStore {
  private readonly cursors = new Map<string, number>()

  /** Hands on what is new, and moves the cursor in the same transaction. */
  async take (tx: Tx, rack: string, batch: readonly Fact[], store: (fresh: readonly Fact[]) => Promise<void>): Promise<number> {
    const cursor = this.cursors.get(rack) ?? 0
    const fresh = batch.filter(({ seq }) => seq > cursor)
    const last = fresh.at(-1)
    if (last === undefined) return cursor
    await store(fresh)
    this.cursors.set(rack, last.seq)
    if (tx instanceof ModelTx) tx.undo.push(() => { this.cursors.set(rack, cursor) })
    return last.seq
  }
}

export class Outbox {
  readonly kept: Fact[] = []
  private next = 1
  private busy = false
  private readonly rack: string
  private readonly o: { readonly world: World, readonly dice: Dice, readonly links: Links, readonly region: (name: string) => SimRegion | undefined, readonly alive: () => boolean }

  constructor (rack: string, o: Outbox['o']) {
    this.rack = rack
    this.o = o
  }

  report (kind: string, body: unknown, at: number): void {
    this.kept.push({ seq: this.next++, kind, at: new Date(at).toISOString(), body: JSON.parse(JSON.stringify(body)) as unknown })
    this.kick()
  }

  kick (): void {
    if (this.busy || this.kept.length === 0) return
    this.busy = true
    this.o.world.after(this.o.dice.between(1, 300), () => { this.send() })
  }

  private send (): void {
    const { world, links, region, alive } = this.o
    let over = false
    const again = (ms: number): void => {
      if (over) return
      over = true
      world.after(ms, () => { this.busy = false; this.kick() })
    }
    const link = links.of(this.rack).find(one => one.up && one.cuts === 0 && one.region.process.alive && !one.region.process.paused)
    const to = link === undefined ? undefined : region(link.region.name)
    if (!alive() || link === undefined || to === undefined) { again(2_000); return }
    to.store(this.rack, structuredClone(this.kept)).then(through => {
      if (links.delay(link) !== undefined) while (this.kept[0] !== undefined && this.kept[0].seq <= through) this.kept.shift()
      again(1)
    }, () => { again(1_500) })
    world.after(10_000, () => { again(1) }) // the region may have died
  }
}
