/** Rack side of wanted state: checks a change, puts it on disk and into the half together, and says so; what fails leaves everything as it was. */
import type { ActiveRack } from '../active.ts'
import { reasonOf } from '../errors.ts'
import { degraded, running, type Health } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Entry, Key, WantedChange } from '../plugin.ts'
import { check } from '../rpc/check.ts'
import type { Frames } from '../rpc/frames.ts'
import type { RackStore } from './store.ts'

export interface Wanted {
  /** Applies what the disk holds to every half, and drops what no half knows any more. */
  restore(): void
  /** The plugins that take wanted state, each with its position ('' = none). */
  positions(): Record<string, string>
  /** Takes one frame; gives the acknowledgement, or nothing while parts are missing. Never throws. */
  take(frame: Frames['wanted']): Frames['ack'] | undefined
  /** The link the frames came over is gone: half a change is none. */
  forget(): void
  health(): Health
}

interface Staged { readonly put: Entry[], readonly remove: Key[] }

/** Makes the keeper of one rack's wanted state. */
export function createWanted (o: { readonly store: () => RackStore, readonly halves: () => readonly ActiveRack[], readonly log: Logger }): Wanted {
  const staged = new Map<string, Staged>()
  const faults = new Map<string, string>()
  const stale = new Set<string>() // plugins whose memory is behind the disk: they ask for the whole
  const takers = () => o.halves().filter(half => half.running.apply !== undefined)

  function faultOf (half: ActiveRack, entries: readonly { readonly kind: string, readonly id: string, readonly value: unknown }[]): string | undefined {
    for (const entry of entries) {
      const schema = Object.hasOwn(half.manifest.wanted, entry.kind) ? half.manifest.wanted[entry.kind] : undefined
      if (schema === undefined) return `${half.manifest.name} knows no entries of kind ${entry.kind}`
      const fault = check(schema, entry.value)
      if (fault !== undefined) return `the entry ${entry.kind} ${entry.id} is not valid: ${fault}`
    }
    return undefined
  }

  function change (frame: Frames['wanted'], put: readonly Entry[], remove: readonly Key[], at: string): void {
    const half = takers().find(one => one.manifest.name === frame.plugin)
    if (half === undefined) throw new TypeError(`no plugin ${frame.plugin} takes wanted state here`)
    if (!frame.whole && frame.from !== at) throw new TypeError('this rack is not at the position the change begins at')
    // A region of the next version may want what this one does not know. It comes again, with the whole, when this rack is upgraded.
    const known = ({ kind }: Key) => Object.hasOwn(half.manifest.wanted, kind)
    const delta: WantedChange = { put: put.filter(known), remove: remove.filter(known) }
    const fault = faultOf(half, delta.put)
    if (fault !== undefined) throw new TypeError(fault)
    o.store().change(frame.plugin, frame.to, frame.whole, delta.put, delta.remove, () => {
      if (frame.whole || delta.put.length > 0 || delta.remove.length > 0) half.running.apply?.(delta, frame.whole)
    })
  }

  return {
    restore () {
      const halves = takers()
      o.store().keep(new Map(halves.map(half => [half.manifest.name, Object.keys(half.manifest.wanted)])))
      for (const half of halves) {
        const { name } = half.manifest
        try {
          // An entry an older version wrote may not fit this one: it is left out here, and comes again with the next whole.
          const entries = o.store().entries(name)
          const good = entries.filter(entry => faultOf(half, [entry]) === undefined)
          if (good.length < entries.length) { faults.set(name, `${entries.length - good.length} kept entries do not fit this version`); stale.add(name) }
          half.running.apply?.({ put: good, remove: [] }, true)
        } catch (error) {
          stale.add(name)
          faults.set(name, `the kept state could not be applied: ${reasonOf(error)}`)
          o.log.error({ plugin: name, reason: reasonOf(error) }, 'the kept wanted state could not be applied')
        }
      }
    },
    positions () {
      const kept = o.store().positions()
      return Object.fromEntries(takers().map(({ manifest: { name } }) => [name, stale.has(name) ? '' : kept.get(name) ?? '']))
    },
    take (frame) {
      const { put, remove } = staged.get(frame.plugin) ?? { put: [], remove: [] }
      for (const entry of frame.put) put.push(entry as Entry)
      for (const key of frame.remove) remove.push(key)
      if (frame.more === true) { staged.set(frame.plugin, { put, remove }); return undefined }
      staged.delete(frame.plugin)
      const at = o.store().positions().get(frame.plugin) ?? ''
      try {
        change(frame, put, remove, at)
        stale.delete(frame.plugin)
        faults.delete(frame.plugin)
        return { t: 'ack', plugin: frame.plugin, position: frame.to }
      } catch (thrown) {
        const error = reasonOf(thrown).slice(0, 2000)
        faults.set(frame.plugin, error)
        o.log.warn({ plugin: frame.plugin, reason: error }, 'a change of the wanted state was refused; the last good one stands')
        return { t: 'ack', plugin: frame.plugin, position: at, error }
      }
    },
    forget () { staged.clear() },
    health: () => faults.size === 0 ? running : degraded([...faults].map(([plugin, reason]) => `${plugin} runs by an older state: ${reason}`).join('; '))
  }
}
