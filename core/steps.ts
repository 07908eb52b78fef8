/** What has been done so far, how long each step took, and how to undo it all, newest first. */
import type { Clock } from './clock.ts'
import { withDeadline } from './deadline.ts'
import { BedplateError, reasonOf } from './errors.ts'
import type { Logger } from './log.ts'

interface Done { readonly what: string, readonly depth: number, readonly ms: number }
interface Undo { readonly what: string, readonly deadline: number, readonly run: () => Promise<void> | void }

export interface Steps {
  /** Runs one step, timed. Steps inside steps are shown below them. */
  run<T>(what: string, work: () => Promise<T> | T): Promise<T>
  /** Registers how to undo what was just done (deadline in ms, default 10,000). */
  undo(what: string, run: () => Promise<void> | void, deadline?: number): void
  /** Undoes everything, newest first, each with its deadline; none keeps the next from running. Returns every error. */
  undoAll(): Promise<readonly BedplateError[]>
  /** The steps as a tree with milliseconds. */
  tree(): string
}

export function createSteps (clock: Clock, log: Logger): Steps {
  const done: Done[] = []
  const undos: Undo[] = []
  let depth = 0
  return {
    async run (what, work) {
      const began = clock.monotonic()
      const place = done.push({ what, depth: depth++, ms: 0 }) - 1
      try { return await work() } finally {
        depth--
        done[place] = { what, depth, ms: clock.monotonic() - began }
        log.debug({ step: what, ms: Math.round(clock.monotonic() - began) }, 'step')
      }
    },
    undo: (what, run, deadline = 10_000) => { undos.push({ what, deadline, run }) },
    async undoAll () {
      const errors: BedplateError[] = []
      for (let last = undos.pop(); last !== undefined; last = undos.pop()) {
        const { what, deadline, run } = last
        try {
          await withDeadline(clock, deadline, 'STOP_TIMEOUT', what, async () => { await run() })
        } catch (cause) {
          errors.push(cause instanceof BedplateError && cause.code === 'STOP_TIMEOUT' ? cause : new BedplateError('STOP_FAILED', { what, reason: reasonOf(cause) }, cause))
          log.error({ err: cause }, `${what} did not stop cleanly`)
        }
      }
      return errors
    },
    tree: () => done.map(step => `${'  '.repeat(step.depth)}${step.what} ${Math.round(step.ms)} ms`).join('\n')
  }
}
