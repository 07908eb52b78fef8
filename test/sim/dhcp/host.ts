/** A machine in the world: its wall clock steps, its boot clock counts from its last boot, its disk outlives its processes. */
import type { Clock } from '../../../core/clock.ts'
import type { Dice } from '../dice.ts'
import { createProcess } from '../process.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'

const epoch = Date.UTC(2030, 0, 1)

export class Host {
  readonly name: string
  /** How many of its ms pass in one of the world's. */
  readonly rate: number
  /** Which boot this is: the kernel's boot id. */
  boot = 1
  private wall = 0 // ms its wall clock is off, besides the drift
  private booted: number
  private readonly world: World
  private readonly dice: Dice

  constructor (world: World, dice: Dice, name: string, drift: number) {
    this.world = world
    this.dice = dice
    this.name = name
    this.rate = 1 + dice.between(-drift, drift)
    this.booted = -dice.between(0, 1e7)
    this.wall = dice.between(-2_000, 2_000)
  }

  get bootId (): string { return `${this.name}-boot-${this.boot}` }
  /** CLOCK_BOOTTIME in ms. */
  bootTime (): number { return (this.world.now - this.booted) * this.rate }
  now (): number { return epoch + this.world.now * this.rate + this.wall }
  step (ms: number): void { this.wall += ms }

  /** Everything in memory is gone, and the boot clock begins anew. */
  restart (): void {
    this.boot++
    this.booted = this.world.now
  }

  /** A process on this host. Its monotonic clock is the host's boot clock, so that it may be compared across processes only as a boot clock may. */
  spawn (): { readonly process: Process, readonly clock: Clock } {
    const process = createProcess(this.world, this.dice, this.name, this.rate)
    return { process, clock: { now: () => this.now(), monotonic: () => this.bootTime(), sleep: process.clock.sleep } }
  }
}

export const epochOf = epoch
