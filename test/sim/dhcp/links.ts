/** The links between racks and regions: they are cut, slow and lossy; a call may be executed late, twice, or not at all, and its answer may be lost. */
import { BedplateError } from '../../../core/errors.ts'
import type { Dice } from '../dice.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'

/** Somebody at the end of a link who answers calls. */
export interface Region { readonly name: string, readonly process: Process, answer (rack: string, method: string, params: unknown): Promise<unknown> }
interface Link { readonly rack: string, readonly region: Region, cuts: number, slow: number, loss: number, up: boolean, since: number }

export class Links {
  readonly all: Link[] = []
  calls = 0
  doubled = 0
  /** Nothing goes wrong any more. */
  healed = false
  private readonly world: World
  private readonly dice: Dice

  constructor (world: World, dice: Dice) {
    this.world = world
    this.dice = dice
  }

  add (rack: string, region: Region): void { this.all.push({ rack, region, cuts: 0, slow: 0, loss: 0, up: true, since: 0 }) }
  of (rack: string): readonly Link[] { return this.all.filter(link => link.rack === rack) }
  sound (link: Link): boolean { return link.cuts === 0 && link.slow === 0 && link.loss === 0 && link.region.process.alive && !link.region.process.paused }

  /** Its ends notice after a while; so they do when it is whole again. */
  cut (link: Link): void {
    link.cuts++
    this.world.after(this.dice.chance(0.5) ? 1 : this.dice.between(500, 3_500), () => { if (link.cuts > 0) link.up = false })
  }

  mend (link: Link): void {
    link.cuts--
    link.since = this.world.now
    this.world.after(this.dice.between(50, 1_500), () => { if (link.cuts === 0 && link.region.process.alive) link.up = true })
  }

  /** Whether anything that is sent now gets through; with `slow`, when. Undefined: it does not. */
  delay (link: Link): number | undefined {
    if (link.cuts > 0 || (link.loss > 0 && this.dice.chance(link.loss))) return undefined
    return this.dice.between(0.1, 1.5) + (link.slow > 0 && this.dice.chance(0.7) ? this.dice.between(0, link.slow) : 0)
  }

  /**
   * A call over any link that is up; one that may be repeated goes over another, too, when the first is slow.
   * @throws LINK_DOWN at once, CALL_TIMEOUT after `timeout` ms of the rack's clock
   */
  call<T> (rack: string, process: Process, method: string, params: unknown, { timeout, idempotent }: { readonly timeout: number, readonly idempotent: boolean }): Promise<T> {
    const { world, dice } = this
    const up = this.of(rack).filter(({ up }) => up)
    const [first, second] = dice.chance(0.5) ? up : up.reverse()
    if (first === undefined) return Promise.reject(new BedplateError('LINK_DOWN', { controller: 'any region' }))
    this.calls++
    return new Promise((resolve, reject) => {
      let over = false
      const end = (how: () => void): void => { if (!over) { over = true; world.cancel(clock); process.enter(how) } }
      const clock = world.after(timeout, () => { end(() => { reject(new BedplateError('CALL_TIMEOUT', { method, seconds: timeout / 1000, controller: 'a region' })) }) })
      const over1 = (link: Link): void => {
        const there = this.delay(link)
        if (there === undefined) return
        world.after(there, () => {
          link.region.process.enter(() => {
            void link.region.answer(rack, method, params).then(value => ({ value }), (failure: unknown) => ({ failure })).then(answer => {
              const back = this.delay(link)
              if (back === undefined || !link.region.process.alive) return
              world.after(back, () => { end(() => { if ('failure' in answer) reject(answer.failure); else resolve(answer.value as T) }) })
            })
          })
        })
      }
      over1(first)
      if (!idempotent) return
      if (second !== undefined) world.after(dice.between(50, 400), () => { if (!over && process.alive) { this.doubled++; over1(second) } })
      else if (!this.healed && dice.chance(0.02)) { this.doubled++; world.after(dice.between(1, 5_000), () => { over1(first) }) } // a stray one
    })
  }
}
