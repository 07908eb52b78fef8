/** How often an initiator has logged in to a target again. Bounded: of very many the oldest are forgotten. */
const most = 4096

export interface Retries { /** Logins after the first one; with `again` this is one more. */ of(who: string, again: boolean): number }

export function createRetries (): Retries {
  const logins = new Map<string, number>()
  return {
    of (who, again) {
      const count = (logins.get(who) ?? 0) + (again ? 1 : 0)
      if (!again) return Math.max(0, count - 1)
      logins.delete(who)
      logins.set(who, count)
      for (const oldest of logins.keys()) {
        if (logins.size <= most) break
        logins.delete(oldest)
      }
      return count - 1
    }
  }
}
