/** Sessions of a Redfish service: so many at once, each for so long without use. Pure but for chance. */
import { randomBytes } from 'node:crypto'

export interface RedfishSession { readonly id: string, readonly user: string, used: number }
export interface Sessions {
  /** By token. */
  readonly open: Map<string, RedfishSession>
  /** Undefined: none is free. */
  begin(user: string): { readonly token: string, readonly id: string } | undefined
  /** Undefined: there is none, or it has ended; else it counts as used now. */
  find(token: string): RedfishSession | undefined
  end(id: string): boolean
}

/** `now` in ms. */
export function createSessions ({ most, seconds }: { readonly most: number, readonly seconds: number }, now: () => number = Date.now): Sessions {
  const open = new Map<string, RedfishSession>()
  const sweep = (): void => { for (const [token, { used }] of open) if (now() - used > seconds * 1000) open.delete(token) }
  return {
    open,
    begin (user) {
      sweep()
      if (open.size >= most) return undefined
      const [token, id] = [randomBytes(16).toString('hex'), randomBytes(4).toString('hex')]
      open.set(token, { id, user, used: now() })
      return { token, id }
    },
    find (token) {
      sweep()
      const session = open.get(token)
      if (session !== undefined) session.used = now()
      return session
    },
    end (id) {
      for (const [token, session] of open) if (session.id === id) return open.delete(token)
      return false
    }
  }
}
