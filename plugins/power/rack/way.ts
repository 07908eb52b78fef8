/** Who only looks at a BMC makes way for an action on its machine: it is broken off, and done anew after the action. */
import { isFatal } from '../driver.ts'

export interface Way {
  /** Does `work` in its turn of the machine; again, with another turn, whenever the way was cleared meanwhile. Its signal aborts with `signal`, too, and then that is the end of it. */
  behind<T>(machine: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** An action is about to begin; whoever calls this puts it into its turn before anything else runs. */
  clear(machine: string): void
}

export function createWay (): Way {
  const looks = new Map<string, Set<AbortController>>()
  return {
    async behind (machine, signal, work) {
      for (;;) {
        const own = new AbortController()
        const here = looks.get(machine) ?? new Set()
        looks.set(machine, here.add(own))
        try { return await work(AbortSignal.any([signal, own.signal])) } catch (error) {
          // What trying again cannot help was said before it gave way.
          if (!own.signal.aborted || signal.aborted || isFatal(error)) throw error
        } finally {
          here.delete(own)
          if (here.size === 0 && looks.get(machine) === here) looks.delete(machine)
        }
      }
    },
    clear (machine) { for (const one of looks.get(machine) ?? []) one.abort() }
  }
}
