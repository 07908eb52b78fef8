/** Looks whether free addresses are in use, ahead of time, so that nobody is offered one and no offer waits for it (RFC 2131 section 2.2). */
import { reasonOf } from '../../../core/errors.ts'
import type { Clock, Logger } from '../../../core/plugin.ts'
import { holds, ipText } from '../v4/ipv4.ts'
import type { Ask } from './neighbours.ts'
import type { Segment, Subnet } from '../v4/segment.ts'

export interface ProbesOptions {
  readonly ask: Ask
  /** What this rack serves, and what of a subnet it could offer now, the next first. */
  readonly segments: () => Iterable<Segment>
  readonly free: (segment: Segment, subnet: Subnet) => readonly number[]
  /** An address that could have been offered is in use; `mac`: by whom, where that can be told. */
  readonly found: (address: number, subnet: Subnet, mac: string | null) => void
  readonly clock: Clock
  readonly log: Logger
  /** ms after which a free address is looked at again. */
  readonly again: number
  /** ms an address that was found in use is spoken of. */
  readonly spoken: number
}

const pause = 1000 // ms between two looks
const atOnce = 64 // addresses of a segment at one look
const keptFor = 100_000 // addresses whose last look is remembered

export interface Occupied { readonly address: number, readonly mac: string | null }

export class Probes {
  private readonly options: ProbesOptions
  private readonly looked = new Map<number, number>() // address → monotonic, in the order of the looks
  private readonly occupied = new Map<number, { readonly mac: string | null, readonly until: number }>()
  private failure: string | undefined
  private running: { readonly abort: AbortController, readonly done: Promise<void> } | undefined

  constructor (options: ProbesOptions) { this.options = options }

  /** Looks at what is free, again and again, until `stop`. */
  start (): void {
    if (this.running !== undefined) return
    const abort = new AbortController()
    this.running = { abort, done: this.run(abort.signal) }
  }

  async stop (): Promise<void> {
    const { running } = this
    this.running = undefined
    running?.abort.abort()
    await running?.done
  }

  private async run (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.round(signal)
      await this.options.clock.sleep(pause, signal)
    }
  }

  /** One look: at most `atOnce` addresses of each segment, the next to be offered first. */
  async round (signal?: AbortSignal): Promise<void> {
    const { segments, clock } = this.options
    for (const [address, { until }] of this.occupied) if (until <= clock.monotonic()) this.occupied.delete(address)
    for (const segment of [...segments()]) {
      if (signal?.aborted === true) return
      const due = this.due(segment)
      if (due.length > 0) await this.look(segment, due, signal)
    }
  }

  /** Addresses found in use lately. */
  get inUse (): readonly Occupied[] { return [...this.occupied].map(([address, { mac }]) => ({ address, mac })) }

  private due (segment: Segment): { readonly address: number, readonly subnet: Subnet }[] {
    const { free, clock, again } = this.options
    const now = clock.monotonic()
    const due: { readonly address: number, readonly subnet: Subnet }[] = []
    for (const subnet of segment.subnets) {
      for (const address of free(segment, subnet)) {
        if (now - (this.looked.get(address) ?? -Infinity) < again) continue
        due.push({ address, subnet })
        if (due.length === atOnce) return due
      }
    }
    return due
  }

  private async look (segment: Segment, due: readonly { readonly address: number, readonly subnet: Subnet }[], signal: AbortSignal | undefined): Promise<void> {
    const { ask, free, found, clock, log, spoken } = this.options
    try {
      const addresses = due.flatMap(({ address, subnet }) => subnet.link === undefined ? [address] : []) // ARP ends at the segment
      const far = due.flatMap(({ address, subnet }) => holds(subnet.prefix, segment.address) ? [] : [address])
      const answers = await ask({ device: segment.interface, addresses, far }, signal)
      if (signal?.aborted === true) return
      this.failure = undefined
      const now = clock.monotonic()
      for (const { address, subnet } of due) {
        this.note(address, now)
        const mac = answers.get(address)
        // Offered meanwhile: then it may be the client that answers, who has every right to.
        if (mac === undefined || !free(segment, subnet).includes(address)) continue
        this.occupied.set(address, { mac, until: now + spoken })
        log.warn({ address: ipText(address), subnet: subnet.id, mac }, 'an address that is free here is in use on the wire; it is set aside')
        found(address, subnet, mac)
      }
    } catch (error) {
      const reason = reasonOf(error)
      if (this.failure !== reason) log.warn({ interface: segment.interface, reason }, 'free addresses could not be looked for on the wire; they are offered unseen')
      this.failure = reason
      for (const { address } of due) this.note(address, clock.monotonic())
    }
  }

  private note (address: number, now: number): void {
    this.looked.delete(address)
    this.looked.set(address, now)
    if (this.looked.size <= keptFor) return
    for (const oldest of this.looked.keys()) { this.looked.delete(oldest); break }
  }
}

/** The sentence for operators. */
export const occupiedSentence = ({ address, mac }: Occupied): string =>
  `${ipText(address)} is in use by ${mac ?? 'a host that answers pings'}, which did not get it here; it is given to nobody until that is over`
