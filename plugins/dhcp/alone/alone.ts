/** What this rack gives without a region: by its reserve or by what it knows, synced to its journal before anybody hears of it. */
import { reasonOf } from '../../../core/errors.ts'
import type { Logger } from '../../../core/plugin.ts'
import { secondsLeft, until } from './autonomy.ts'
import type { BootClock } from './boot-clock.ts'
import { ipText, parseIp } from '../v4/ipv4.ts'
import type { Forgot, Heard, Journal, JournalChange, JournalLease, JournalReserve } from './journal.ts'
import type { Answer, Wish } from '../manifest.ts'
import type { Memory } from '../rack/memory.ts'
import { longestAlone } from '../referee.ts'
import { Reserve } from './reserve.ts'

/** `seconds`: what was really promised. */
export interface Decided { readonly answer: Answer, readonly seconds: number }
/** Whose bindings of IPv6 are known; addresses as text. */
export interface Known6 { holderOf(address: string): string | undefined, numberOf(address: string): string | null }
export interface AloneOptions { readonly memory: Memory, readonly six?: Known6 | undefined, readonly boot: BootClock, readonly log: Logger, readonly gave?: () => void }
/** `written`: it is in the journal already. */
type Plan = { readonly lease: JournalLease, readonly number: string | null, readonly written?: boolean } | 'somebody else has it' | undefined

export class Alone {
  readonly reserve = new Reserve()
  /** Why the journal cannot be written, when it cannot. */
  broken: string | undefined = 'it is not open'
  heard: Heard | undefined
  epoch = ''
  last = 0
  private readonly forgot = new Map<string, number>() // address → round; as many as addresses ever changed hands
  /** The highest number that may have reached a region: what came there may have been ended since by its client, through another rack. */
  tried = 0
  private leases: JournalLease[] = [] // not stored by a region yet, in order
  private readonly newest = new Map<string, JournalLease>() // of those, by address
  private readonly lastOf = new Map<string, number>() // address → number of its last lease among them that is of the reserve
  private journal: Journal | undefined
  private readonly options: AloneOptions

  constructor (options: AloneOptions) { this.options = options }

  /** Whether the journal is open; one that could not be opened is tried again. */
  ready (open: () => Journal): boolean {
    if (this.journal !== undefined) return true
    try {
      this.open(open())
    } catch (error) {
      this.broken = reasonOf(error)
    }
    return this.journal !== undefined
  }

  /** Takes up where the journal ends. Throws when it cannot be read. */
  open (journal: Journal): void {
    const { boot } = this.options
    const { epoch, last, leases, reserve, heard, forgot = [] } = journal.load()
    this.forgot.clear()
    for (const { address, round } of forgot) this.forgot.set(address, Number(round))
    const now = boot.now()
    this.epoch = epoch
    this.last = last
    this.tried = last
    this.heard = heard
    this.leases = []
    this.newest.clear()
    this.lastOf.clear()
    for (const one of [...this.reserve.all()]) this.reserve.remove(one.address)
    for (const one of reserve) this.reserve.put(one)
    for (const lease of leases) {
      // Of another start of the host nobody knows how long ago it was given: it may have just begun.
      const ends = lease.boot === boot.id ? lease.ends : now + lease.seconds * 1000
      this.leases.push(lease)
      this.newest.set(lease.address, lease)
      if (lease.from !== 'reserve') continue
      this.reserve.leased(lease, ends)
      this.lastOf.set(lease.address, lease.seq)
    }
    this.journal = journal
    this.broken = undefined
  }

  close (): void {
    this.journal?.close()
    this.journal = undefined
    this.broken = 'it is not open'
  }

  get undelivered (): number { return this.leases.length }
  oldest (count: number): readonly JournalLease[] { return this.leases.slice(0, count) }

  /** Until when what is known may be acted on, in ms of boot time. */
  get until (): number | undefined { return until(this.heard, this.options.boot.id, this.options.memory.standing) }

  /** Whether a lease of the address may be given to the client by knowledge now. */
  knows (address: number, client: string): boolean {
    const { memory, boot } = this.options
    return this.journal !== undefined && memory.holderOf(address) === client && !this.reserve.holds(address) && !this.isVoid(ipText(address), memory.numberOf(address)) && secondsLeft(this.until, boot.now(), longestAlone) !== undefined
  }

  /**
   * What of this is to be told is on disk when it returns: the wanted state that shows it was handed to this plugin before it was committed, and should that have failed,
   * what the disk still shows does not count. Throws when this disk fails as well.
   */
  forgetting (retirements: readonly Forgot[]): readonly Forgot[] {
    const fresh = retirements.filter(({ address, round }) => (this.forgot.get(address) ?? 0) < Number(round))
    if (fresh.length > 0) this.commit({ forgot: fresh })
    return retirements
  }

  private isVoid (address: string, number: string | null): boolean { return Number(number ?? 0) < (this.forgot.get(address) ?? 0) }

  /** Decides wishes that no region answers: one outcome each, undefined where there is no right. One synced commit, before which nothing has happened. */
  decide (wishes: readonly Wish[]): readonly (Decided | undefined)[] {
    const { boot, log } = this.options
    if (this.journal === undefined) return wishes.map(() => undefined)
    const now = boot.now()
    const given = new Map<string, string>() // within this batch
    let seq = this.last
    const plans = wishes.map((wish): Plan => {
      const plan = this.plan(wish, now, given.get(wish.address), seq + 1)
      if (typeof plan !== 'object') return plan
      given.set(wish.address, wish.client)
      const written = this.still(plan.lease, now)
      if (written !== undefined) return { ...plan, lease: written, written: true }
      seq = plan.lease.seq
      return plan
    })
    const append = plans.flatMap(plan => typeof plan === 'object' && plan.written !== true ? [plan.lease] : [])
    if (append.length > 0) {
      try {
        this.commit({ append })
      } catch (error) {
        log.error({ reason: reasonOf(error) }, 'the journal could not be written, so nothing is given without a region')
        return wishes.map(() => undefined)
      }
      this.options.gave?.()
    }
    return plans.map((plan): Decided | undefined => {
      if (plan === undefined) return undefined
      if (plan === 'somebody else has it') return { answer: { stored: false, expires: null, number: null, reason: 'this address is not yours', quiet: false }, seconds: 0 }
      return { answer: { stored: true, expires: null, number: plan.number, reason: null, quiet: false }, seconds: plan.lease.seconds }
    })
  }

  private plan (wish: Wish, now: number, inBatch: string | undefined, seq: number): Plan {
    const { memory, six, boot } = this.options
    const lease = (from: JournalLease['from'], seconds: number): JournalLease => ({ ...wish, seq, from, seconds, ends: now + seconds * 1000, boot: boot.id })
    if (wish.address.includes(':')) { // of IPv6 there is no reserve
      const seconds = six?.holderOf(wish.address) === wish.client && !this.isVoid(wish.address, six.numberOf(wish.address)) ? secondsLeft(this.until, now, wish.seconds) : undefined
      return seconds === undefined ? undefined : { lease: lease('knowledge', seconds), number: six?.numberOf(wish.address) ?? null }
    }
    const address = parseIp(wish.address)
    if (this.reserve.holds(address)) {
      const holder = inBatch ?? this.reserve.holder(address, now)
      const offered = holder === undefined && (memory.offeredTo(address) === wish.client || this.reserve.leaseOf(wish.client) === address)
      return holder === wish.client || offered ? { lease: lease('reserve', Math.min(wish.seconds, longestAlone)), number: null } : 'somebody else has it'
    }
    if (memory.holderOf(address) !== wish.client || this.isVoid(wish.address, memory.numberOf(address))) return undefined
    const seconds = secondsLeft(this.until, now, wish.seconds)
    return seconds === undefined ? undefined : { lease: lease('knowledge', seconds), number: memory.numberOf(address) }
  }

  /** Most of a lease that is in the journal already, and not handed in yet: what is left of it is promised, so that one client that asks without end does not fill the disk. */
  private still ({ address, client, from, boot, seconds }: JournalLease, now: number): JournalLease | undefined {
    const known = this.newest.get(address)
    if (known === undefined || known.seq <= this.tried || known.client !== client || known.from !== from || known.boot !== boot || known.ends - now < seconds * 750) return undefined
    return { ...known, seconds: Math.min(seconds, Math.floor((known.ends - now) / 1000)) }
  }

  /** Writes a change, and only then takes it in. Throws when the disk does. */
  commit (change: JournalChange): void {
    const { journal } = this
    if (journal === undefined) return
    try {
      journal.commit(change)
      this.broken = undefined
    } catch (error) {
      this.broken = reasonOf(error)
      throw error
    }
    const { append = [], through = 0, reserve = [], drop = [], heard, forgot = [] } = change
    for (const { address, round } of forgot) this.forgot.set(address, Number(round))
    for (const lease of append) {
      this.leases.push(lease)
      this.newest.set(lease.address, lease)
      this.last = lease.seq
      if (lease.from !== 'reserve') continue
      this.reserve.leased(lease, lease.ends)
      this.lastOf.set(lease.address, lease.seq)
    }
    for (const { address, seq } of this.leases.splice(0, this.stored(through))) {
      if (this.lastOf.get(address) === seq) this.lastOf.delete(address)
      if (this.newest.get(address)?.seq === seq) this.newest.delete(address)
    }
    for (const one of reserve) this.reserve.put(one)
    for (const address of drop) this.reserve.remove(parseIp(address))
    if (heard !== undefined) this.heard = heard
  }

  /** How many of the leases are stored when those up to this number are. */
  private stored (through: number): number {
    let count = 0
    while (count < this.leases.length && (this.leases[count] as JournalLease).seq <= through) count++
    return count
  }

  /** What follows from a region's answer about the journal and the reserve: one change, to be committed. */
  answered (answer: { readonly through: number, readonly reserves: readonly { readonly address: string, readonly subnet: string, readonly grant: string }[], readonly surplus: readonly string[] }, heard: Heard): JournalChange {
    const left = { has: (address: string): boolean => (this.lastOf.get(address) ?? 0) > answer.through } // has leases of the reserve that are not stored yet
    const settled = new Set(this.leases.slice(0, this.stored(answer.through)).flatMap(({ from, address }) => from === 'reserve' && !left.has(address) ? [address] : []))
    const listed = new Map(answer.reserves.map(one => [one.address, one]))
    const surplus = new Set(answer.surplus)
    const reserve: JournalReserve[] = []
    const drop: string[] = []
    for (const one of this.reserve.all()) {
      const here = listed.get(one.text)
      // Not in the region's list any more: it was given back, or taken while this rack was believed gone.
      if (here?.grant !== one.grant) { if (!left.has(one.text)) drop.push(one.text); continue }
      const leased = left.has(one.text)
      if (!one.returning && !leased && (settled.has(one.text) || surplus.has(one.text))) reserve.push({ address: one.text, subnet: one.subnet, grant: one.grant, returning: true })
    }
    for (const one of answer.reserves) if (this.reserve.find(one.address)?.grant !== one.grant && !left.has(one.address)) reserve.push({ ...one, returning: false })
    return { through: answer.through, reserve, drop, heard }
  }
}
