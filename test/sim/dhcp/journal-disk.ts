/** A rack's disk as far as its journal goes: what is synced stays, whoever dies; a process may die in a write, before or after it is on the disk. */
import { BedplateError } from '../../../core/errors.ts'
import { changed } from '../../../plugins/dhcp/alone/journal.ts'
import type { Journal, JournalChange, JournalState } from '../../../plugins/dhcp/alone/journal.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'

export class Disk {
  /** Faults that keep it from being written. */
  failing = 0
  crash: 'before the sync' | 'after the sync' | undefined
  state: JournalState
  /** Called after each write. */
  written: () => void = () => {}
  private epoch = 1
  private process: Process | undefined
  private die: () => void = () => {}
  private readonly name: string
  private readonly world: World

  constructor (name: string, world: World) {
    this.name = name
    this.world = world
    this.state = this.empty()
  }

  private empty (): JournalState { return { epoch: `${this.name}-journal-${this.epoch}`, last: 0, leases: [], reserve: [], heard: undefined } }

  /** An empty disk in place of this one. */
  replace (): void {
    this.epoch++
    this.state = this.empty()
  }

  /** The disk of a process. `die` ends it, in the middle of what it does. */
  open (process: Process, die: () => void): void {
    this.process = process
    this.die = die
  }

  /** The journal as a process has it open. */
  journal (process: Process): Journal {
    const use = (): void => {
      if (!process.alive || this.process !== process) throw new BedplateError('INTERNAL', { reason: 'the process is dead' })
      if (this.failing > 0) throw new BedplateError('INTERNAL', { reason: 'input/output error' })
    }
    return {
      load: () => { use(); return this.state },
      commit: change => { use(); this.commit(change) },
      close () {}
    }
  }

  private commit (change: JournalChange): void {
    const { crash } = this
    this.crash = undefined
    if (crash !== 'before the sync') {
      this.state = changed(this.state, change)
      this.written()
    }
    if (crash === undefined) return
    this.world.tell(`${this.name}: killed ${crash} of its journal`)
    this.die()
    throw new BedplateError('INTERNAL', { reason: 'the process is dead' })
  }
}
