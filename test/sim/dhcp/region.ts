/** A region in the world: the real handlers, on the model of the database. Any number of them serve any rack. */
import type { Database, Tx } from '../../../core/plugin.ts'
import type { Dice } from '../dice.ts'
import { createProcess } from '../process.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'
import type { SimDatabase } from './database.ts'
import type { Fact, FactStore } from './facts.ts'
import type { Region } from './links.ts'
import type { Links } from './links.ts'

/** What a region does, made anew for each of its processes. */
export interface RegionParts {
  answer (rack: string, method: string, params: unknown): Promise<unknown>
  facts (tx: Tx, rack: string, batch: readonly Fact[]): Promise<void>
  /** What it does from time to time. */
  reconcile (): Promise<void>
}
export type MakeRegion = (db: Database) => RegionParts

const reconcileEvery = 12_000

export class SimRegion implements Region {
  readonly name: string
  process: Process
  private parts: RegionParts
  private database: Database
  private readonly o: { readonly world: World, readonly dice: Dice, readonly db: SimDatabase, readonly links: Links, readonly factStore: FactStore, readonly make: MakeRegion, readonly leads: (region: SimRegion) => boolean }

  constructor (name: string, o: SimRegion['o']) {
    this.name = name
    this.o = o
    this.process = createProcess(o.world, o.dice, name, 1)
    this.database = o.db.from(name, this.process)
    this.parts = o.make(this.database)
    this.tick(this.process)
  }

  answer (rack: string, method: string, params: unknown): Promise<unknown> { return this.parts.answer(rack, method, params) }

  /** Stores facts, each once. Gives how far it has got. */
  store (rack: string, batch: readonly Fact[]): Promise<number> {
    return this.database.tx(tx => this.o.factStore.take(tx, rack, batch, fresh => this.parts.facts(tx, rack, fresh)))
  }

  kill (): void {
    if (!this.process.alive) return
    this.process.kill()
    for (const link of this.o.links.all) if (link.region === this) this.o.world.after(this.o.dice.between(1, 3_500), () => { if (!this.process.alive) link.up = false })
  }

  start (): void {
    if (this.process.alive) return
    const { world, dice, db, links, make } = this.o
    world.tell(`${this.name}: starts`)
    this.process = createProcess(world, dice, this.name, 1)
    this.database = db.from(this.name, this.process)
    this.parts = make(this.database)
    this.tick(this.process)
    for (const link of links.all) if (link.region === this) world.after(dice.between(50, 1_500), () => { if (link.cuts === 0 && this.process.alive) { link.up = true; link.since = world.now } })
  }

  private tick (process: Process): void {
    this.o.world.after(this.o.dice.between(0.5, 1) * reconcileEvery, () => {
      if (!process.alive) return
      if (this.o.leads(this)) process.enter(() => { void this.parts.reconcile().catch(() => undefined) }) // it is tried again
      this.tick(process)
    })
  }
}
