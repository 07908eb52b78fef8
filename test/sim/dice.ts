/** Seeded chance: the same seed throws the same dice. */

export interface Dice {
  /** 0 ≤ x < 1. */
  readonly random: () => number
  /** A whole number, `low` ≤ n ≤ `high`. */
  whole(low: number, high: number): number
  between(low: number, high: number): number
  chance(probability: number): boolean
  pick<T>(of: readonly T[]): T
}

/** mulberry32. */
export function createDice (seed: number): Dice {
  let state = seed | 0
  const random = (): number => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    random,
    whole: (low, high) => low + Math.floor(random() * (high - low + 1)),
    between: (low, high) => low + random() * (high - low),
    chance: probability => random() < probability,
    pick: of => of[Math.floor(random() * of.length)] as (typeof of)[number]
  }
}
