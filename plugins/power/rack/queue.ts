/** One thing at a time per key, in the order asked. */
export interface Queue {
  run<T>(key: string, work: () => Promise<T>): Promise<T>
  /** Whether something runs or waits under this key. */
  has(key: string): boolean
  readonly size: number
}

export function createQueue (): Queue {
  const tails = new Map<string, Promise<unknown>>()
  return {
    get size () { return tails.size },
    has: key => tails.has(key),
    run (key, work) {
      const turn = (tails.get(key) ?? Promise.resolve()).then(work, work)
      tails.set(key, turn)
      const leave = (): void => { if (tails.get(key) === turn) tails.delete(key) }
      turn.then(leave, leave)
      return turn
    }
  }
}
