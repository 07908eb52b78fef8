/** A rack's simulated disk: what is synced stays, whoever dies; each process that opens it has a handle that ends with it. */
import type { Disk } from '../../core/state/outbox.ts'
import type { Item } from '../../core/state/store.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** Where the process dies while it appends: before anything is on the disk, or after, but before it knows. */
export type Crash = 'before the sync' | 'after the sync'
class Fault extends TypeError {}

export class SimDisk {
  rows: Item[] = []
  crash: Crash | undefined
  failing = false
  readonly dropped = new Set<number>() // facts, by policy
  readonly replaced = new Set<number>() // facts that went with a disk
  private epoch = 1
  private next = 1
  private readonly world: World
  private readonly limit: number
  /** Called with the facts that leave because a region is said to have them. */
  private readonly leave: (facts: readonly number[]) => void

  constructor (world: World, limit: number, leave: (facts: readonly number[]) => void) {
    this.world = world
    this.limit = limit
    this.leave = leave
  }

  /** An empty disk in place of this one. */
  replace (): void {
    for (const row of this.rows) this.replaced.add(numberOf(row))
    this.rows = []
    this.epoch++
    this.next = 1
  }

  /** `die` ends the process, in the middle of what it does. */
  open (process: Process, die: () => void): Disk {
    const epoch = `epoch-${this.epoch}`
    const use = (): void => {
      if (!process.alive) throw new Fault('the process is dead')
      if (this.failing) throw new Fault('input/output error')
    }
    return {
      epoch,
      append: (plugin, kind, at, body) => {
        use()
        const { crash } = this
        this.crash = undefined
        const row = { seq: this.next, plugin, kind, at, body: JSON.parse(body) as unknown }
        if (crash !== 'before the sync') { this.next++; this.rows.push(row) }
        if (crash !== undefined) { this.world.tell(`rack: killed ${crash} of fact ${numberOf(row)}`); die(); throw new Fault('the process is dead') }
        if (this.rows.length > this.limit) this.world.violated(`the outbox holds ${this.rows.length} facts, more than its limit of ${this.limit}`)
        return row.seq
      },
      oldest: count => { use(); return this.rows.slice(0, count) },
      settle: through => {
        use()
        const gone = this.rows.filter(row => row.seq <= through)
        this.rows = this.rows.filter(row => row.seq > through)
        if (gone.length > 0) this.leave(gone.map(numberOf))
      },
      depth: () => this.rows.length,
      dropOldest: count => {
        use()
        if (this.rows.length < this.limit) this.world.violated(`facts are dropped though the outbox holds only ${this.rows.length}`)
        const gone = this.rows.splice(0, count)
        for (const row of gone) this.dropped.add(numberOf(row))
        this.world.tell(`rack: full, drops ${gone.length}`)
        return gone.length
      }
    }
  }
}

export const numberOf = (item: { readonly body: unknown }): number => Number((item.body as { readonly n?: unknown }).n)
