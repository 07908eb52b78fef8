/** The BMCs the region told this rack of, handed on as they come and go. */
import type { Entry, WantedChange } from '../../../core/plugin.ts'
import type { manifest } from '../manifest.ts'

export type BmcEntry = Entry<typeof manifest.wanted>['value']
/** Hears of every BMC. `put` may be told what it knows. No I/O. */
export interface BmcListener { put(machine: string, entry: BmcEntry): void, remove(machine: string): void }

/** Applies changes of wanted state; what a whole does not name is gone. */
export function createBmcs (listeners: readonly BmcListener[]): (change: WantedChange<typeof manifest.wanted>, whole: boolean) => void {
  const known = new Set<string>()
  const remove = (machine: string): void => {
    if (!known.delete(machine)) return
    for (const listener of listeners) listener.remove(machine)
  }
  return ({ put, remove: gone }, whole) => {
    if (whole) {
      const named = new Set(put.map(({ id }) => id))
      for (const machine of [...known]) if (!named.has(machine)) remove(machine)
    }
    for (const { id } of gone) remove(id)
    for (const { id, value } of put) {
      known.add(id)
      for (const listener of listeners) listener.put(id, value)
    }
  }
}
