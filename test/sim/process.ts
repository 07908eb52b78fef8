/** A process in a world: its own clock, that drifts; it may stop for a while (nothing of it runs, its clock goes on) and die. */
import type { Clock } from '../../core/clock.ts'
import type { Dice } from './dice.ts'
import type { World } from './world.ts'

export interface Process {
  readonly name: string
  readonly clock: Clock
  readonly alive: boolean
  readonly paused: boolean
  /** Runs something in the process as soon as it runs at all; never once it is dead. */
  enter (happen: () => void): void
  pause (): void
  resume (): void
  kill (): void
}

/** `rate`: how many of its ms pass in one of the world's. */
export function createProcess (world: World, dice: Dice, name: string, rate: number): Process {
  const start = dice.between(0, 1e6)
  let alive = true
  let paused = false
  let timers: (() => void)[] = [] // due while it was paused
  let messages: (() => void)[] = []
  const monotonic = (): number => start + world.now * rate
  const process: Process = {
    name,
    get alive () { return alive },
    get paused () { return paused },
    clock: {
      monotonic,
      now: () => Date.UTC(2030, 0, 1) + world.now,
      sleep: (ms, signal) => new Promise(resolve => {
        if (signal?.aborted) { resolve(); return }
        const due = world.after(Math.max(0, ms) / rate, () => {
          if (!alive) return
          if (paused) { timers.push(wake); return }
          wake()
        })
        const wake = (): void => { world.cancel(due); signal?.removeEventListener('abort', wake); resolve() }
        signal?.addEventListener('abort', wake, { once: true })
      })
    },
    enter (happen) {
      if (!alive) return
      if (paused) messages.push(happen)
      else happen()
    },
    pause () { paused = true },
    resume () {
      if (!paused || !alive) return
      paused = false
      const late = dice.chance(0.5) ? [...timers, ...messages] : [...messages, ...timers] // an event loop may come to either first
      timers = []
      messages = []
      for (const [index, happen] of late.entries()) world.after(index * 0.001, () => { process.enter(happen) })
    },
    kill () { alive = false; timers = []; messages = [] }
  }
  return process
}
