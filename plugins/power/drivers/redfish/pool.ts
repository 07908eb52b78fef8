/**
 * The BMCs that are talked to: for each a connection, what its service said of itself, and one session, kept between calls. Many polls then cost one request each, and no BMC runs out of sessions, of which
 * some have four: one that was idle for a while is given back, and so are all when the driver's things are closed.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../../../core/plugin.ts'
import type { Closable, Kept } from '../../kept.ts'
import { connect, type Connection } from '../../connection/connection.ts'
import { login, logout, type Access, type Credentials } from './login.ts'
import type { Root } from './root.ts'

/** Times in ms. */
export const limits = {
  bmcs: 8_192, // kept at once; the one unused for longest makes place for another
  idle: 300_000, // after that a session is given back: well before the half hour after which most BMCs end it, and longer than machines are left between polls
  sweep: 30_000, // how often idle ones are looked for
  together: 32, // sessions given back at a time
  goodbye: 2_000, // for giving one back
  closing: 5_000 // for giving all back
}

/** One BMC under one account. `known`: what was found out about it once and stays so while it is kept. */
export interface Entry {
  readonly connection: Connection
  readonly known: Map<string, unknown>
  root: Root | undefined
  access: Access | undefined
  opening: Promise<Access> | undefined
  visits: number
  last: number // when it was last used, on the monotonic clock
}
export interface Pool extends Closable {
  readonly size: number
  /** Runs `work` with the BMC's entry, which is not given back meanwhile. */
  visit<T>(credentials: Credentials, work: (entry: Entry) => Promise<T>): Promise<T>
  /** How to be let in: the access there is, or a new one; asked for once, however many wait. */
  access(entry: Entry, credentials: Credentials, limit: number): Promise<Access>
}

export const poolIn = (kept: Kept, clock: Clock): Pool => kept.of('redfish', () => createPool(clock))

/** A changed password, or certificate, is another BMC as far as this goes: nothing known by the old one serves for the new one. */
const keyOf = ({ address, user = '', password = '', tls = 'verify' }: Credentials): string => createHash('sha256').update(JSON.stringify([new URL(address).origin, user, password, tls])).digest('base64')

export function createPool (clock: Clock): Pool {
  const entries = new Map<string, Entry>() // in the order of their last use
  const closing = new AbortController()
  let sweeping = false

  /** Logs out and hangs up. */
  async function retire (entry: Entry, limit: number): Promise<void> {
    const access = await entry.opening?.catch(() => undefined) ?? entry.access
    entry.access = undefined
    if (access !== undefined) await logout(entry.connection, access, limit)
    entry.connection.close()
  }
  async function sweep (): Promise<void> {
    while (entries.size > 0 && !closing.signal.aborted) {
      await clock.sleep(limits.sweep, closing.signal)
      const idle = [...entries].filter(([, { visits, last }]) => visits === 0 && clock.monotonic() - last >= limits.idle)
      for (const [key] of idle) entries.delete(key)
      for (let at = 0; at < idle.length && !closing.signal.aborted; at += limits.together) await Promise.all(idle.slice(at, at + limits.together).map(([, entry]) => retire(entry, limits.goodbye)))
    }
    sweeping = false
  }

  return {
    get size () { return entries.size },
    async visit (credentials, work) {
      const key = keyOf(credentials)
      const entry: Entry = entries.get(key) ?? { connection: connect(new URL(credentials.address), credentials.tls ?? 'verify'), known: new Map(), root: undefined, access: undefined, opening: undefined, visits: 0, last: 0 }
      entries.delete(key)
      entries.set(key, entry)
      entry.visits++
      if (entries.size > limits.bmcs) for (const [other, one] of entries) if (one.visits === 0) { entries.delete(other); void retire(one, limits.goodbye); break }
      if (!sweeping) { sweeping = true; void sweep() }
      try { return await work(entry) } finally {
        entry.visits--
        entry.last = clock.monotonic()
        if (closing.signal.aborted || entries.get(key) !== entry) void retire(entry, limits.goodbye)
      }
    },
    async access (entry, credentials, limit) {
      if (entry.access?.until !== undefined && clock.monotonic() >= entry.access.until) entry.access = undefined
      if (entry.access !== undefined) return entry.access
      // Not ended with the call that asked: an answer nobody waits for would be a session nobody gives back.
      entry.opening ??= login(entry, credentials, limit, clock).then(access => { entry.access = access; return access }).finally(() => { entry.opening = undefined })
      return await entry.opening
    },
    async close () {
      closing.abort()
      const all = [...entries.values()]
      entries.clear()
      const over = new AbortController()
      const each = all.values() // shared by those who work on it
      const some = async (): Promise<void> => { for (const entry of each) { if (over.signal.aborted) return; await retire(entry, limits.goodbye) } }
      await Promise.race([Promise.all(Array.from({ length: 2 * limits.together }, some)), clock.sleep(limits.closing, over.signal)])
      over.abort()
      for (const { connection } of all) connection.close()
    }
  }
}
