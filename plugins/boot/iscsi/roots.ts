/** Which root file systems wanted entries name. In memory; swapped at once. */
import type { Entry, Key, WantedChange } from '../../../core/plugin.ts'
import type { manifest } from '../manifest.ts'

type Kinds = typeof manifest.wanted

export interface Roots {
  apply(change: WantedChange<Kinds>, whole: boolean): void
  /** Content addresses of the files, each once. */
  list(): readonly string[]
}

export function createRoots (): Roots {
  let roots = new Map<string, string>() // kind and id of an entry → its root
  const rootOf = (entry: Entry<Kinds>): string | undefined => entry.kind === 'machine' ? entry.value.files?.root.sha256 : entry.kind === 'unknown' ? entry.value.root.sha256 : undefined
  const nameOf = ({ kind, id }: Key<Kinds>): string => `${kind} ${id}`
  return {
    apply ({ put, remove }, whole) {
      const next = whole ? new Map<string, string>() : roots
      for (const key of remove) next.delete(nameOf(key))
      for (const entry of put) {
        const root = rootOf(entry)
        if (root === undefined) next.delete(nameOf(entry))
        else next.set(nameOf(entry), root)
      }
      roots = next
    },
    list: () => [...new Set(roots.values())]
  }
}
