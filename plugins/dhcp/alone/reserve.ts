/** This rack's reserve: addresses it may give alone, and to whom it gave them. As the journal has it; time is boot time, handed in. */
import { parseIp } from '../v4/ipv4.ts'
import type { JournalLease, JournalReserve } from './journal.ts'
import { restSeconds } from '../referee.ts'

interface Held { readonly text: string, readonly address: number, readonly subnet: string, readonly grant: string, returning: boolean, client: string | null, ends: number }

const rest = restSeconds * 1000

export class Reserve {
  private readonly held = new Map<number, Held>()
  private readonly idle = new Map<string, Set<number>>() // by subnet: leased to nobody
  private readonly byClient = new Map<string, number>()
  private nextLapse = Infinity

  /** Whether this rack alone may give the address. */
  holds (address: number): boolean { return this.held.get(address)?.returning === false }

  /** Whose it is now, if anybody's: a lease rests a little after its end. */
  holder (address: number, now: number): string | undefined {
    const one = this.held.get(address)
    return one === undefined || one.client === null || one.ends + rest <= now ? undefined : one.client
  }

  /** The address the client had last from here, while nobody else got it. */
  leaseOf (client: string): number | undefined {
    const address = this.byClient.get(client)
    return address !== undefined && this.holds(address) ? address : undefined
  }

  /** What can be given to anybody, of a subnet. */
  free (subnet: string, now: number): ReadonlySet<number> {
    if (now >= this.nextLapse) this.lapse(now)
    return this.idle.get(subnet) ?? none
  }

  /** Addresses that can be given to anybody, by subnet. */
  left (now: number): ReadonlyMap<string, number> {
    if (now >= this.nextLapse) this.lapse(now)
    return new Map([...this.idle].map(([subnet, addresses]) => [subnet, addresses.size]))
  }

  put ({ address: text, subnet, grant, returning }: JournalReserve): void {
    const address = parseIp(text)
    const before = this.held.get(address)
    this.remove(address)
    const same = before?.grant === grant
    const one: Held = { text, address, subnet, grant, returning, client: same ? before.client : null, ends: same ? before.ends : 0 }
    this.held.set(address, one)
    if (one.client !== null) this.byClient.set(one.client, address)
    this.place(one)
  }

  remove (address: number): void {
    const one = this.held.get(address)
    if (one === undefined) return
    this.held.delete(address)
    this.idle.get(one.subnet)?.delete(address)
    if (one.client !== null && this.byClient.get(one.client) === address) this.byClient.delete(one.client)
  }

  /** A lease from here, synced. `ends` in ms of this boot. */
  leased ({ address: text, client }: Pick<JournalLease, 'address' | 'client'>, ends: number): void {
    const one = this.held.get(parseIp(text))
    if (one === undefined) return
    if (one.client !== null && one.client !== client && this.byClient.get(one.client) === one.address) this.byClient.delete(one.client)
    one.client = client
    one.ends = ends
    this.byClient.set(client, one.address)
    this.place(one)
  }

  find (text: string): { readonly grant: string, readonly returning: boolean, readonly subnet: string } | undefined { return this.held.get(parseIp(text)) }

  /** Everything of it, also what is being given back. */
  all (): Iterable<{ readonly text: string, readonly address: number, readonly subnet: string, readonly grant: string, readonly returning: boolean }> { return this.held.values() }

  private place (one: Held): void {
    let idle = this.idle.get(one.subnet)
    if (idle === undefined) this.idle.set(one.subnet, idle = new Set())
    if (one.returning || one.client !== null) idle.delete(one.address)
    else idle.add(one.address)
    if (one.client !== null && !one.returning) this.nextLapse = Math.min(this.nextLapse, one.ends + rest)
  }

  /** What lapsed can be given again, behind what nobody had. */
  private lapse (now: number): void {
    this.nextLapse = Infinity
    for (const one of this.held.values()) {
      if (one.client === null || one.returning) continue
      if (one.ends + rest <= now) this.idle.get(one.subnet)?.add(one.address)
      else this.nextLapse = Math.min(this.nextLapse, one.ends + rest)
    }
  }
}

const none: ReadonlySet<number> = new Set()
