/** A rack's disk as far as its journal goes: what is synced stays; a process may die in a write, before or after it is on the disk. */
import { BedplateError } from '../../../core/errors.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'

export class Disk {
  /** Faults that keep it from being written. */
  failing = 0
  crash: 'before the sync' | 'after the sync' | undefined
  private process: Process | undefined
  private die: () => void = () => {}
  private readonly name: string
  private readonly world: World

  constructor (name: string, world: World) {
    this.name = name
    this.world = world
  }

  open (process: Process, die: () => void): void {
    this.process = process
    this.die = die
  }

  /** One synced write: `write` changes what is kept, whole or not at all. Throws when the disk fails, and when the process dies of it. */
  commit (what: string, write: () => void): void {
    if (this.process?.alive !== true) throw new BedplateError('INTERNAL', { reason: 'the process is dead' })
    if (this.failing > 0) throw new BedplateError('INTERNAL', { reason: 'input/output error' })
    const { crash } = this
    this.crash = undefined
    if (crash !== 'before the sync') write()
    if (crash === undefined) return
    this.world.tell(`${this.name}: killed ${crash} of ${what}`)
    this.die()
    throw new BedplateError('INTERNAL', { reason: 'the process is dead' })
  }
}
