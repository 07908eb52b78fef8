/** A machine that is made of nothing: it is on or off, and takes the time it is told to. */
import { createMemory, hardwareOf, type Hardware, type Machine, type PowerState } from './machine.ts'

export interface NothingOptions {
  readonly name?: string
  readonly hardware?: Partial<Hardware>
  readonly state?: PowerState // to begin with; off by default
  /** How long each takes, in ms; 0 by default. What is not 0 shows only after it. */
  readonly delays?: { readonly on?: number, readonly off?: number, readonly shutdown?: number }
  /** The system on it ignores that it should shut down. */
  readonly deaf?: boolean
}
export interface Nothing extends Machine {
  /** Makes it so without anybody having switched it. */
  set(state: PowerState): void
  /** From now on. */
  deaf: boolean
  delays: { on: number, off: number, shutdown: number }
}

export function createNothing ({ name = 'machine', hardware = {}, state = 'off', delays = {}, deaf = false }: NothingOptions = {}): Nothing {
  const memory = createMemory()
  let current = state
  let generation = 0 // a newer wish makes an older one, still under way, come to nothing
  const become = (wanted: PowerState): void => {
    if (current === wanted) return
    current = wanted
    if (wanted === 'on') memory.started(); else memory.stopped()
  }
  const after = (ms: number, work: () => void): Promise<void> => {
    const mine = ++generation
    if (ms <= 0) { work(); return Promise.resolve() }
    return new Promise(resolve => { setTimeout(() => { if (mine === generation) work(); resolve() }, ms).unref() })
  }
  const machine: Nothing = {
    ...memory, hardware: hardwareOf(name, hardware), deaf, delays: { on: 0, off: 0, shutdown: 0, ...delays },
    state: () => current,
    set: wanted => { generation++; current = wanted },
    on: () => after(machine.delays.on, () => { become('on') }),
    off: () => after(machine.delays.off, () => { become('off') }),
    async shutdown () {
      if (current === 'off') return
      memory.asked()
      if (!machine.deaf) await after(machine.delays.shutdown, () => { become('off') })
    },
    async reset () { if (current === 'on') memory.started('warm') }
  }
  return machine
}
