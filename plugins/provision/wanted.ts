/** The rack's sessions, as the region last told them. In memory; swapped at once. */
import type { Static } from 'typebox'
import type { WantedChange } from '../../core/plugin.ts'
import type { manifest } from './manifest.ts'

export type Session = Static<typeof manifest.wanted.session>
export interface Wanted {
  apply(change: WantedChange<typeof manifest.wanted>, whole: boolean): void
  session(token: string): Session | undefined
  enlist(): string | undefined
}

export function createWanted (): Wanted {
  let sessions = new Map<string, Session>()
  let enlist: string | undefined
  return {
    apply (change, whole) {
      if (whole) { sessions = new Map(); enlist = undefined }
      for (const { kind, id } of change.remove) if (kind === 'session') sessions.delete(id); else enlist = undefined
      for (const entry of change.put) if (entry.kind === 'session') sessions.set(entry.id, entry.value); else enlist = entry.value.script
    },
    session: token => sessions.get(token),
    enlist: () => enlist
  }
}
