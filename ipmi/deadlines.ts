/** Many deadlines on one timer, which runs only while there are any. Cancelling costs nothing: who does not care any more returns at once. */
export interface Deadlines {
  /** Calls `run` in this many ms, or up to 20 later. */
  after(ms: number, run: () => void): void
  /** Forgets all. */
  clear(): void
}

const step = 20 // ms; a slot of the wheel

export function createDeadlines (now: () => number = () => performance.now()): Deadlines {
  const slots = new Map<number, Array<() => void>>()
  let timer: NodeJS.Timeout | undefined
  let next = 0 // the first slot that was not looked at
  const slotOf = (time: number): number => Math.floor(time / step)

  const look = (): void => {
    const current = slotOf(now())
    while (next <= current) {
      const slot = next++ // before anything runs: what that asks for belongs into a slot that is still to come
      const due = slots.get(slot)
      if (due === undefined) continue
      slots.delete(slot)
      for (const run of due) run()
    }
    if (slots.size === 0) { clearInterval(timer); timer = undefined }
  }

  return {
    after (ms, run) {
      if (timer === undefined) { next = slotOf(now()); timer = setInterval(look, step) }
      const slot = Math.max(next, slotOf(now() + ms) + 1)
      const there = slots.get(slot)
      if (there === undefined) slots.set(slot, [run])
      else there.push(run)
    },
    clear () { slots.clear(); clearInterval(timer); timer = undefined }
  }
}
