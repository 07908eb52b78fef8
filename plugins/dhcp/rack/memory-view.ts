/** What a rack knows at one moment, for one packet: its memory with the time and the segment filled in. A class, since one is made for every packet. */
import type { AloneView, Binding, Host, View } from '../v4/address.ts'
import type { Memory } from './memory.ts'
import type { Segment } from '../v4/segment.ts'

export class MemoryView implements View {
  readonly segment: Segment
  readonly alone: AloneView | undefined
  readonly leads: boolean
  private readonly memory: Memory
  private readonly now: number

  constructor (memory: Memory, segment: Segment, now: number, alone: AloneView | undefined, leads: boolean) {
    this.segment = segment
    this.alone = alone
    this.leads = leads
    this.memory = memory
    this.now = now
  }

  hosts (client: string): readonly Host[] { return this.memory.hosts.of(client) }
  hostAt (address: number): Host | undefined { return this.memory.hosts.at(address) }
  bindings (client: string): readonly Binding[] { return this.memory.bindings.of(client) }
  bindingAt (address: number): Binding | undefined { return this.memory.bindings.at(address) }
  offeredTo (address: number): string | undefined { return this.memory.offeredTo(address) }
  offerTo (client: string): number | undefined { return this.memory.offerTo(client) }
  quarantined (address: number, client: string): boolean { return this.memory.isQuarantined(address, client, this.now) }
  refused (address: number, client: string): boolean { return this.memory.wasRefused(address, client, this.now) }
  free (subnet: string): readonly number[] { return this.memory.free(subnet) }
  asked (client: string): number { return this.memory.askedBy(client) }
}
