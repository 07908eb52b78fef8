/** Sessions of an IPMI BMC, of 2.0 and of 1.5: so many at once, each until it was not used for 60 s (section 6.12.15). Pure but for chance. */
import { randomBytes } from 'node:crypto'
import type { Suite } from '../../../ipmi/ciphers.ts'
import type { Protection } from '../../../ipmi/lanplus.ts'
import type { Exchange } from '../../../ipmi/rakp.ts'
import type { Account } from '../model.ts'

export const idleMs = 60_000

export interface IpmiSession {
  readonly id: number // ours
  readonly version: '1.5' | '2.0'
  /** Until its login is done, it is held a place but can do nothing. */
  active: boolean
  account: Account | undefined
  privilege: number // now
  highest: number // it may be raised to
  used: number // ms
  consoleId: number // theirs, where they go by one (2.0)
  sent: number // last sequence number
  /** Sequence numbers taken: the highest, and which of the 32 before it (bit 0: the highest itself). */
  heard: { highest: number, seen: number }
  suite?: Suite // 2.0
  exchange?: Exchange
  protection?: Protection
  sik?: Buffer
  authType?: number // 1.5
  challenge?: Buffer
}

export interface IpmiSessions {
  readonly all: ReadonlyMap<number, IpmiSession>
  /** Undefined: no place is free. */
  open(version: IpmiSession['version'], asked: Partial<IpmiSession>): IpmiSession | undefined
  /** Undefined: there is none, or it has ended; else it counts as used now. */
  find(id: number): IpmiSession | undefined
  end(id: number): void
}

export function createIpmiSessions (most: number, now: () => number = Date.now): IpmiSessions {
  const all = new Map<number, IpmiSession>()
  const sweep = (): void => { for (const { id, used } of all.values()) if (now() - used > idleMs) all.delete(id) }
  return {
    all,
    open (version, asked) {
      sweep()
      if (all.size >= most) return undefined
      let id: number
      do id = randomBytes(4).readUInt32LE() & 0x7fffffff; while (id === 0 || all.has(id))
      const session: IpmiSession = { version, active: false, account: undefined, privilege: 0, highest: 0, consoleId: 0, sent: 0, heard: { highest: 0, seen: 0 }, ...asked, id, used: now() }
      all.set(id, session)
      return session
    },
    find (id) {
      const session = all.get(id)
      if (session === undefined) return undefined
      if (now() - session.used > idleMs) { all.delete(id); return undefined }
      session.used = now()
      return session
    },
    end (id) { all.delete(id) }
  }
}

/** Whether a sequence number is new: above all heard, or one of the 31 before the highest that was missing (section 6.12.13). It then counts as heard. */
export function isNew (heard: IpmiSession['heard'], sequence: number): boolean {
  if (sequence === 0) return false
  const ahead = sequence - heard.highest
  if (ahead > 0) {
    heard.seen = ahead > 31 ? 1 : (heard.seen << ahead | 1) >>> 0
    heard.highest = sequence
    return true
  }
  if (ahead < -31 || (heard.seen >>> -ahead & 1) === 1) return false
  heard.seen = (heard.seen | 1 << -ahead) >>> 0
  return true
}
