/** The rack's picture of what machines shall boot, as the region last told it. In memory; swapped at once. */
import type { Key, WantedChange } from '../../../core/plugin.ts'
import type { FloatingEntry, manifest } from '../manifest.ts'
import type { BootFiles, MachineEntry } from '../script/ipxe.ts'

type Kinds = typeof manifest.wanted
export interface Wanted {
  apply(change: WantedChange<Kinds>, whole: boolean): void
  machine(mac: string): MachineEntry | undefined
  /** What a machine nobody knows runs; undefined when there is no image of that architecture. */
  unknown(architecture: string): BootFiles | undefined
  /** Whether a file is part of anything a machine may boot. */
  knows(sha256: string): boolean
  /** The sizes of an initrd and of the root that some machine is to get beside it; undefined when none is. */
  joins(initrd: string, root: string): { readonly initrd: number, readonly root: number } | undefined
  /** The VLANs whose boot addresses this rack holds in turn with others. */
  floating(): ReadonlyMap<string, FloatingEntry>
}

export function createWanted (): Wanted {
  let machines = new Map<string, MachineEntry>()
  let unknown = new Map<string, BootFiles>()
  let floating = new Map<string, FloatingEntry>()
  let known = new Map<string, number>() // file → how many entries name it

  const filesOf = (files: BootFiles | null | undefined): string[] => files ? [files.kernel.sha256, files.initrd.sha256, files.root.sha256] : []
  const count = (files: BootFiles | null | undefined, by: number): void => {
    for (const sha256 of filesOf(files)) {
      const left = (known.get(sha256) ?? 0) + by
      if (left > 0) known.set(sha256, left)
      else known.delete(sha256)
    }
  }
  const remove = ({ kind, id }: Key<Kinds>): void => {
    if (kind === 'machine') { count(machines.get(id)?.files, -1); machines.delete(id) } else if (kind === 'unknown') { count(unknown.get(id), -1); unknown.delete(id) } else if (kind === 'floating') floating.delete(id)
  }

  return {
    apply (change, whole) {
      if (whole) { machines = new Map(); unknown = new Map(); known = new Map(); floating = new Map() }
      for (const key of change.remove) remove(key)
      for (const entry of change.put) {
        remove(entry)
        if (entry.kind === 'machine') { machines.set(entry.id, entry.value); count(entry.value.files, 1) } else if (entry.kind === 'unknown') { unknown.set(entry.id, entry.value); count(entry.value, 1) } else if (entry.kind === 'floating') floating.set(entry.id, entry.value)
      }
    },
    machine: mac => machines.get(mac),
    unknown: architecture => unknown.get(architecture),
    knows: sha256 => known.has(sha256),
    joins (initrd, root) {
      for (const files of [...[...machines.values()].map(entry => entry.files), ...unknown.values()]) {
        if (files?.way === 'initrd' && files.initrd.sha256 === initrd && files.root.sha256 === root) return { initrd: files.initrd.size, root: files.root.size }
      }
      return undefined
    },
    floating: () => floating
  }
}
