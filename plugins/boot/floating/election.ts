/** Who has a boot address: VRRP's state machine (RFC 9568 section 6) for one address on one segment. It is told what time it is, and says what to do. Pure. */

/** ms. Racks that miss three advertisements in a row take the address; its holder gives it up before they can. */
export const pace = {
  interval: 600,
  down: 3, // intervals without a word after which the holder is gone
  patience: 1500, // without having said a word a holder does not believe itself any more: the others may have gone on
  margin: 300, // of `trustedUntil`: the kernel's own delay, and the way of an advertisement
  settled: 60_000, // holding for so long, it stands above those that began later
  blocked: 5000, // before a rack that could not take the address tries again
  longest: 2000, // of another's interval that is believed
  answer: 100 // between two answers to those that claim wrongly: a flood of them is not answered with another
} as const

/** What the caller does, in this order. `probe`: asks whether somebody has the address, and says so in `probed`. `announce`: tells the segment that it is here, again. */
export type Act = { readonly kind: 'advertise', readonly priority: number } | { readonly kind: 'probe' | 'hold' | 'yield' | 'announce' }
/** An advertisement as the election sees it. `source`: the sender's own address, as big-endian bytes. */
export interface Voice { readonly priority: number, readonly interval: number, readonly source: Uint8Array }
export type State = 'backup' | 'claiming' | 'holding'

const ranks = 16 // that are told apart; those after have the sixteenth's
/**
 * Priorities, in three bands: who claims the address stands below who holds it, and who has held it for a while stands above who has not. So a rack that comes back,
 * or that was deaf for a while (a switch port that learns), never takes it from one that serves: only of two alike the one of lower rank wins.
 */
const bands = { claiming: 1, holding: 65, settled: 129 } as const
/** Whether an advertisement of this priority is one of a rack that has the address. */
export const isHolder = (priority: number): boolean => priority >= bands.holding
const weight = (rank: number): number => 4 * (ranks - 1 - Math.min(rank, ranks - 1))

/** As RFC 9568 section 6.4.3 has it: of two equal priorities the greater address counts. */
function beats (one: Voice, priority: number, source: Uint8Array): boolean {
  return one.priority !== priority ? one.priority > priority : Buffer.compare(one.source, source) > 0
}

export class Election {
  /** Place in the VLAN's list of racks, 0 first; may change at any time. */
  rank: number
  /** This rack's own address on the segment. */
  source: Uint8Array
  private current: State = 'backup'
  private downAt: number
  private blockedUntil = -Infinity
  private tried = -Infinity // to advertise
  private said: number | undefined // advertised, since it claims
  private since = 0 // claims, or holds
  private leader: { readonly voice: Voice, readonly at: number } | undefined

  /** Begins as one that only listens. `now`: monotonic, ms, as everywhere here. */
  constructor (rank: number, source: Uint8Array, now: number) {
    this.rank = rank
    this.source = source
    this.downAt = now + this.patienceFor(pace.interval)
  }

  get state (): State { return this.current }
  /** ms, as it is advertised. */
  get interval (): number { return pace.interval }
  /** When `tick` is wanted next. */
  get next (): number { return this.current === 'backup' ? Math.max(this.downAt, this.blockedUntil) : this.tried + pace.interval }
  /** Up to when nobody else can have taken the address: no lifetime of it ends later. -Infinity while it is not held. */
  get trustedUntil (): number { return this.current !== 'holding' || this.said === undefined ? -Infinity : this.said + pace.down * pace.interval - pace.margin }
  /** Who was heard last to claim or hold it, and when. */
  get heardFrom (): { readonly source: Uint8Array, readonly at: number } | undefined { return this.leader === undefined ? undefined : { source: this.leader.voice.source, at: this.leader.at } }

  /** Racks of lower rank go first: each waits a sixteenth of the interval longer than the one before. */
  private get skew (): number { return pace.interval * Math.min(this.rank, ranks - 1) / ranks }
  private patienceFor (interval: number): number { return pace.down * Math.min(interval, pace.longest) + this.skew }

  private priority (now: number): number {
    const band = this.current === 'claiming' ? bands.claiming : now - this.since < pace.settled ? bands.holding : bands.settled
    return band + weight(this.rank)
  }

  private advertise (now: number): Act {
    this.tried = now
    return { kind: 'advertise', priority: this.priority(now) }
  }

  /** The last advertisement has left; one that could not be sent is not reported, and tried again. */
  sent (now: number): void { this.said = now }

  private retire (now: number, interval: number = pace.interval): Act[] {
    const held = this.current === 'holding'
    this.current = 'backup'
    this.said = undefined
    this.downAt = now + this.patienceFor(interval)
    return held ? [{ kind: 'yield' }] : []
  }

  /** Steps back when nothing was said for so long that others may have gone on: this process was stopped, or could not send. */
  private stale (now: number): Act[] {
    return this.current !== 'backup' && now - (this.said ?? this.since) > pace.patience ? this.retire(now) : []
  }

  /** An advertisement of this very address came in. */
  heard (voice: Voice, now: number): readonly Act[] {
    const acts = this.stale(now)
    if (voice.priority === 0) return [...acts, ...this.ended(voice, now)]
    const { leader } = this
    if (leader === undefined || now - leader.at > 2 * pace.interval || Buffer.compare(leader.voice.source, voice.source) === 0 || beats(voice, leader.voice.priority, leader.voice.source)) this.leader = { voice, at: now }
    if (this.current === 'backup') {
      this.downAt = now + this.patienceFor(voice.interval) // whatever its priority: nothing is taken from one that serves
      if (isHolder(voice.priority)) this.blockedUntil = -Infinity // what kept this rack from having it did not keep that one
      return acts
    }
    if (beats(voice, this.priority(now), this.source)) {
      // Hosts may have been told of this rack last, and the other may not have heard of it: it tells them again when it hears this.
      const held = this.current === 'holding'
      return [...this.retire(now, voice.interval), ...held ? [{ kind: 'advertise', priority: 0 } as const] : []]
    }
    if (now - this.tried < pace.answer) return acts
    // The other steps back when it hears this; what was told the segment in between is put right.
    return [this.advertise(now), ...this.current === 'holding' ? [{ kind: 'announce' } as const] : []]
  }

  /** Somebody gives the address up. A rack that only tried to get it says so as well: then nothing changes for those who hear its holder. */
  private ended ({ source }: Voice, now: number): Act[] {
    if (this.current !== 'backup') return [...now - this.tried < pace.answer ? [] : [this.advertise(now)], ...this.current === 'holding' ? [{ kind: 'announce' } as const] : []]
    if (this.leader !== undefined && Buffer.compare(this.leader.voice.source, source) === 0) {
      this.leader = undefined
      this.downAt = now + this.skew
    }
    return []
  }

  /** Time has passed. To be called at `next`, after everything that came in before it was handed to `heard`; earlier and later calls are harmless. */
  tick (now: number): readonly Act[] {
    const acts = this.stale(now)
    if (acts.length > 0 || now < this.next) return acts
    if (this.current !== 'backup') return [this.advertise(now)]
    this.current = 'claiming'
    this.since = now
    this.said = undefined
    return [this.advertise(now), { kind: 'probe' }]
  }

  /** The answer to `probe`. A rack that finds the address in use leaves it alone for a while, and the others to try. */
  probed (free: boolean, now: number): readonly Act[] {
    const acts = this.stale(now)
    if (this.current !== 'claiming') return acts
    if (!free || this.said === undefined) return this.refuse(now)
    this.current = 'holding'
    this.since = now
    return [this.advertise(now), { kind: 'hold' }]
  }

  /** The address could not be taken, or kept. */
  refuse (now: number): readonly Act[] {
    if (this.current === 'backup') return []
    const said = this.said !== undefined
    const acts = this.retire(now)
    this.blockedUntil = now + pace.blocked
    return [...acts, ...said ? [{ kind: 'advertise', priority: 0 } as const] : []]
  }

  /** An orderly end: the next one need not wait. The election is over then. */
  resign (now: number): readonly Act[] {
    const said = this.current !== 'backup'
    const acts = this.retire(now)
    return [...acts, ...said ? [{ kind: 'advertise', priority: 0 } as const] : []]
  }
}
