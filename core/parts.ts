/** The parts the kernel joins: database, elector and the two ends of the links. One seam, so that a test can put in its own. */
import type { Clock } from './clock.ts'
import type { Health } from './health.ts'
import type { Term } from './leader/term.ts'
import type { Logger } from './log.ts'
import type { Service } from './plugin.ts'
import type { FedDatabase, RackEnd, RackEndOptions, RegionEnd, RegionEndOptions } from './rpc/ends.ts'
import type { Settings } from './settings.ts'

export interface MigrationSet { readonly name: string, readonly directory: URL }

export type RegionDatabase = FedDatabase & {
  readonly feed: FedDatabase['feed'] & { readonly service: Service }
  health(): Health
  migrate(sets: readonly MigrationSet[]): Promise<void>
  close(): Promise<void>
}
export type Elector = Service & { current(): Term | undefined }

export interface ElectorOptions {
  readonly name: string, readonly holder: string, readonly db: RegionDatabase, readonly clock: Clock, readonly log: Logger
  onGain(term: Term): void
  onLoss(term: Term): void
}

export interface Parts {
  /** Starts the embedded server where none is configured, and connects. */
  openDatabase(settings: Settings, log: Logger, clock: Clock): Promise<{ readonly db: RegionDatabase, stopServer(): Promise<void> }>
  createElector(options: ElectorOptions): Elector
  createRegionEnd(options: RegionEndOptions): RegionEnd | Promise<RegionEnd>
  createRackEnd(options: RackEndOptions): RackEnd | Promise<RackEnd>
}
