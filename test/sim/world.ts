/** A world of virtual time: things due at moments, in order; between two of them all code that became ready has run. No real timer, no real clock. */
import { BedplateError } from '../../core/errors.ts'

export interface World {
  /** True time in ms. No process sees it: each has a clock of its own. */
  readonly now: number
  at (moment: number, happen: () => void): Due
  after (ms: number, happen: () => void): Due
  cancel (due: Due): void
  /** Called before each moment's code is let run on, and after: where invariants are looked at. */
  watch (check: () => void): void
  /** A line of the story. Every line enters the hash; they are kept only when asked for. */
  tell (line: string): void
  /** A line that explains, made only when lines are kept; it does not enter the hash. */
  note (line: () => string): void
  readonly hash: string
  readonly lines: readonly string[]
  /** Runs until `end` or the first violation, which it gives. */
  run (end: number): Promise<string | undefined>
  violated (what: string): void
}
export interface Due { readonly moment: number, readonly order: number, happen: (() => void) | undefined }

const before = (a: Due, b: Due): boolean => a.moment < b.moment || (a.moment === b.moment && a.order < b.order)

export function createWorld (verbose = false): World {
  const heap: Due[] = []
  const checks: (() => void)[] = []
  const lines: string[] = []
  let order = 0
  let now = 0
  let hash = 0x811c9dc5
  let violation: string | undefined
  let still = 0 // steps since time last passed

  function push (due: Due): void {
    let at = heap.push(due) - 1
    for (;;) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (at === 0 || above === undefined || !before(due, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = due
  }
  function pop (): Due | undefined {
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const right = heap[child + 1]
      if (right !== undefined && before(right, heap[child] as Due)) child++
      const below = heap[child]
      if (below === undefined || !before(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }

  const world: World = {
    get now () { return now },
    at (moment, happen) {
      if (Number.isNaN(moment)) throw new BedplateError('INTERNAL', { reason: 'no moment' })
      const due: Due = { moment: Math.max(now, moment), order: order++, happen }
      push(due)
      return due
    },
    after: (ms, happen) => world.at(now + ms, happen),
    cancel (due) { due.happen = undefined },
    watch (check) { checks.push(check) },
    tell (line) {
      const text = `${now.toFixed(3).padStart(10)} ${line}`
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
      if (verbose) lines.push(text)
    },
    note (line) { if (verbose) lines.push(`${now.toFixed(3).padStart(10)}   ${line()}`) },
    get hash () { return (hash >>> 0).toString(16).padStart(8, '0') },
    lines,
    violated (what) {
      if (violation !== undefined) return
      violation = what
      world.tell(`VIOLATED: ${what}`)
    },
    run: end => new Promise(resolve => {
      const step = (): void => {
        for (const check of checks) check()
        let due = pop()
        while (due !== undefined && due.happen === undefined) due = pop()
        if (violation !== undefined || due === undefined || due.moment > end) { if (due !== undefined) push(due); resolve(violation); return }
        still = due.moment > now ? 0 : still + 1
        if (still > 10_000) world.violated('time stands still: something goes round and round without waiting')
        now = due.moment
        due.happen?.()
        for (const check of checks) check() // what the moment itself did, before anybody could react
        setImmediate(step) // all promises are settled by then: nothing in a world waits for anything but the world
      }
      setImmediate(step)
    })
  }
  return world
}
