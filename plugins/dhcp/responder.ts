/** A rack's half of DHCP put together, without sockets: packets in, replies out. The rack runs it, and so does the simulation. */
import type { Clock, Logger, Metrics, WantedChange } from '../../core/plugin.ts'
import type { BootClock } from './boot.ts'
import type { Chain } from './chain.ts'
import type { Journal } from './journal.ts'
import type { manifest, RegionClient } from './manifest.ts'
import type { Memory } from './memory.ts'
import type { Segment } from './segment.ts'
import type { Send, ServerOptions } from './server.ts'

export interface ResponderConfig {
  readonly rackHttpPort: number, readonly firmwareLeaseSeconds: number, readonly quarantineSeconds: number, readonly blockSize: number, readonly reserveSize: number
  readonly newClientPoolSeconds: number, readonly newClientsPerSecond: number, readonly newClientsPerPort: number, readonly newClientsPortBurst: number
}
export interface ResponderOptions {
  readonly config: ResponderConfig, readonly log: Logger, readonly clock: Clock, readonly boot: BootClock, readonly metrics: Metrics
  /** bind and sync are idempotent and may be carried out late or twice; grant is made once. Rejects with LINK_DOWN at once when no region is linked. */
  readonly region: RegionClient
  readonly report: ServerOptions['report']
  /** Opened by `start`. */
  readonly journal: () => Journal
}
export interface Responder {
  readonly memory: Memory
  readonly chain: Chain
  /** Takes one datagram in. Never throws. */
  receive(segment: Segment, data: Buffer, send: Send): void
  apply(change: WantedChange<(typeof manifest)['wanted']>, whole: boolean): void
  /** Opens the journal and begins the conversation with the regions. Throws when the disk does. */
  start(): void
  /** Ends the conversation and closes the journal. */
  stop(): Promise<void>
  /** Asks for what is lacking: blocks. */
  refill(): void
  /** What is not as it should be, one sentence each. */
  problems(): string[]
}
