/** So much at once and no more, in the order asked. */
export interface Turns { take<T>(work: () => Promise<T>): Promise<T> }

export function createTurns (most: number): Turns {
  const waiting: (() => void)[] = []
  let busy = 0
  return {
    async take (work) {
      if (busy >= most) await new Promise<void>(resolve => { waiting.push(resolve) })
      else busy++
      try { return await work() } finally {
        const next = waiting.shift()
        if (next === undefined) busy--
        else next() // its place is handed on
      }
    }
  }
}
