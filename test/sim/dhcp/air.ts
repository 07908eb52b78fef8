/** The segments: every rack that touches one hears every client's broadcast on it, unless it is cut off, or the packet lost; some arrive twice. */
import type { Dice } from '../dice.ts'
import type { World } from '../world.ts'

export type Send = (data: Uint8Array, port: number, address: string) => void
/** Somebody who hears requests on a segment. */
export interface Ear { readonly name: string, at (segment: string): string | undefined, hear (segment: string, data: Buffer, send: Send): void }
export interface Mouth { readonly name: string, segment: string, hear (data: Uint8Array, from: string): void }

/** ms a packet is on its way at most. With what wishes wait (3 s), what database clocks differ and what clients drift it stays within the 10 s an address rests. */
const latest = 4_000
const key = (rack: string, segment: string): string => `${rack} ${segment}`

export class Air {
  /** Chance that a packet is lost, comes twice, or comes late. */
  loss = 0
  twice = 0
  late = 0
  /** Since when nothing disturbs anybody on it. */
  calmSince = 0
  readonly deaf = new Map<string, number>() // rack and segment cut from each other → how many faults do it
  packets = 0
  private readonly ears: Ear[] = []
  private readonly world: World
  private readonly dice: Dice

  constructor (world: World, dice: Dice) {
    this.world = world
    this.dice = dice
  }

  join (ear: Ear): void { this.ears.push(ear) }
  hears (rack: string, segment: string): boolean { return !this.deaf.has(key(rack, segment)) }
  cut (rack: string, segment: string): void { this.deaf.set(key(rack, segment), (this.deaf.get(key(rack, segment)) ?? 0) + 1) }
  mend (rack: string, segment: string): void {
    const left = (this.deaf.get(key(rack, segment)) ?? 1) - 1
    if (left > 0) this.deaf.set(key(rack, segment), left)
    else this.deaf.delete(key(rack, segment))
  }

  /** A client speaks: to everybody on its segment, or to the rack of an address. */
  speak (from: Mouth, data: Buffer, to?: string): void {
    const { segment } = from
    for (const ear of this.ears) {
      const address = ear.at(segment)
      if (address === undefined || (to !== undefined && address !== to)) continue
      this.carry(() => { if (this.hears(ear.name, segment)) ear.hear(segment, data, reply => { this.answer(ear.name, segment, from, reply) }) })
    }
  }

  private answer (rack: string, segment: string, to: Mouth, data: Uint8Array): void {
    this.carry(() => { if (to.segment === segment && this.hears(rack, segment)) to.hear(data, rack) })
  }

  private carry (arrive: () => void): void {
    const { dice } = this
    this.packets++
    if (this.loss > 0 && dice.chance(this.loss)) return
    const delay = (): number => dice.between(0.1, this.late > 0 && dice.chance(this.late) ? latest : 2)
    this.world.after(delay(), arrive)
    if (this.twice > 0 && dice.chance(this.twice)) this.world.after(delay(), arrive)
  }
}
