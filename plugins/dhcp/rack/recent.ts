/**
 * Addresses that were acknowledged lately, counted in beats of a timer and not by a clock: while this process stands still none passes, though packets gather in its sockets.
 * So what is no longer here was acknowledged so long ago that no packet its client sent before is still to be read (docs/dhcp-availability.md section 7). Pure.
 */

/** ms from beat to beat. */
export const beatEvery = 1000
/** Beats: the first may come at once, and five then take 4 s at least, however they are called: as long as a packet may be on its way. */
const kept = 6

export class Recent {
  private sets: Set<number>[] = [new Set()]

  add (address: number): void { this.sets[0]?.add(address) }
  has (address: number): boolean { return this.sets.some(set => set.has(address)) }
  beat (): void { this.sets = [new Set(), ...this.sets.slice(0, kept - 1)] }
}
