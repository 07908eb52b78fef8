/** The rack's sessions, as the region last told them. In memory; swapped at once. */
import type { Static } from 'typebox'
import type { WantedChange } from '../../core/plugin.ts'
import type { manifest } from './manifest.ts'

export type Session = Static<typeof manifest.wanted.session>
export interface Wanted {
  apply(change: WantedChange<typeof manifest.wanted>, whole: boolean): void
  session(token: string): Session | undefined
  /** Whether there was a session with the token, as far as this rack remembers. */
  over(token: string): boolean
  enlist(): string | undefined
}

const most = 10_000 // tokens of sessions that are over; then it forgets them all

export function createWanted (): Wanted {
  let sessions = new Map<string, Session>()
  let enlist: string | undefined
  const past = new Set<string>()
  const end = (token: string): void => {
    if (past.size >= most) past.clear()
    past.add(token)
  }
  return {
    apply (change, whole) {
      if (whole) {
        for (const token of sessions.keys()) end(token)
        sessions = new Map()
        enlist = undefined
      }
      for (const { kind, id } of change.remove) if (kind === 'session') { if (sessions.delete(id)) end(id) } else enlist = undefined
      for (const entry of change.put) if (entry.kind === 'session') { sessions.set(entry.id, entry.value); past.delete(entry.id) } else enlist = entry.value.script
    },
    session: token => sessions.get(token),
    over: token => past.has(token),
    enlist: () => enlist
  }
}
