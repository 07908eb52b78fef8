/** What must travel so that a rack has the entries the region computed. Pure. */
import { hash } from 'node:crypto'
import { BedplateError } from '../errors.ts'
import type { Entry, Key } from '../plugin.ts'

/** What this subscription has confirmed at the rack: key → hash. `complete`: a key that is not here is not at the rack. */
export interface Known { readonly hashes: Map<string, string>, complete: boolean }
export interface Sized { readonly entry: Entry, readonly key: string, readonly hash: string, readonly size: number }
export interface Difference { readonly put: readonly Sized[], readonly remove: readonly Key[] }
export interface Part { readonly put: readonly Entry[], readonly remove: readonly Key[] }

export const keyOf = (key: Key): string => `${key.kind}\0${key.id}`

const sized = (entry: Entry): Sized => {
  const text = JSON.stringify(entry.value) ?? 'null'
  return { entry, key: keyOf(entry), hash: hash('sha1', text, 'base64'), size: text.length + entry.kind.length + entry.id.length + 64 }
}

/** The difference for the keys asked for; without keys `entries` is everything. An asked-for key without an entry is gone. */
export function difference (known: Known, entries: readonly Entry[], keys?: readonly Key[]): Difference {
  const all = entries.map(sized)
  let present: ReadonlySet<string> | undefined
  const isThere = (key: string): boolean => (present ??= new Set(all.map(one => one.key))).has(key)
  const gone: Key[] = []
  if (keys === undefined) { for (const key of known.hashes.keys()) if (!isThere(key)) gone.push(unkey(key)) } else {
    for (const one of keys) { // what the rack never had need not be looked for
      const key = keyOf(one)
      if ((!known.complete || known.hashes.has(key)) && !isThere(key)) gone.push(one)
    }
  }
  return { put: all.filter(one => known.hashes.get(one.key) !== one.hash), remove: gone }
}

const unkey = (key: string): Key => {
  const at = key.indexOf('\0')
  return { kind: key.slice(0, at), id: key.slice(at + 1) }
}

/** The rack confirmed the difference. */
export function confirm (known: Known, change: Difference, whole: boolean): void {
  if (whole) { known.hashes.clear(); known.complete = true }
  for (const one of change.put) known.hashes.set(one.key, one.hash)
  for (const key of change.remove) known.hashes.delete(keyOf(key))
}

export const partSize = 1024 * 1024 // characters
const partEntries = 5000
const entryLimit = 8 * 1024 * 1024 // characters; a frame holds 16 MiB

/** Cuts a difference into parts that fit a frame; at least one. Throws FRAME_INVALID for an entry that fits none. */
export function parts (change: Difference): Part[] {
  const result: { put: Entry[], remove: Key[] }[] = [{ put: [], remove: [] }]
  let size = 0
  const room = (more: number): { put: Entry[], remove: Key[] } => {
    let last = result.at(-1) as { put: Entry[], remove: Key[] }
    if ((size + more > partSize && size > 0) || last.put.length + last.remove.length >= partEntries) {
      result.push(last = { put: [], remove: [] })
      size = 0
    }
    size += more
    return last
  }
  for (const one of change.put) {
    if (one.size > entryLimit) throw new BedplateError('FRAME_INVALID', { reason: `the entry ${one.entry.kind} ${one.entry.id} is larger than ${entryLimit} characters` })
    room(one.size).put.push(one.entry)
  }
  for (const key of change.remove) room(key.kind.length + key.id.length + 32).remove.push(key)
  return result
}
