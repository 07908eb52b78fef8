/** The two ends of the traffic between region and rack, as the kernel sees them. */
import type { ActiveRack, ActiveRegion } from '../active.ts'
import type { Clock } from '../clock.ts'
import type { Change, Database } from '../database/database.ts'
import type { Hooks } from '../hooks.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { CallOptions, Certifier, Controller, Reported, Role, Service } from '../plugin.ts'
import type { Secrets } from '../secrets.ts'
import type { Installation } from './needs.ts'
import type { Wire } from './wire.ts'

/** The change feed as the publisher reads it. Positions are texts nobody looks into. */
export interface ChangeFeed {
  subscribe(listener: (changes: readonly Change[]) => void, gap?: () => void): () => void
  position(): Promise<string>
  since(position: string, limit?: number): Promise<{ readonly changes: readonly Change[], readonly position: string, readonly truncated: boolean }>
  /** What the feed itself read last from exactly this position on, if it did lately, and how far it is: whoever follows in its steps need not ask again. */
  lately?(position: string): { readonly changes: readonly Change[], readonly position: string, readonly truncated: boolean } | undefined
  reached?(): string | undefined
}
export type FedDatabase = Database & { readonly feed: ChangeFeed }

/** A list, or a function when the halves are made after the ends they talk through. */
export type Halves<T> = readonly T[] | (() => readonly T[])
export const halvesOf = <T>(halves: Halves<T>): readonly T[] => typeof halves === 'function' ? halves() : halves

interface EndOptions {
  readonly controller: Controller // identity and rack.db live in its data directory
  readonly log: Logger, readonly clock: Clock, readonly metrics: Metrics, readonly hooks: Hooks
}

export interface RegionEndOptions extends EndOptions {
  readonly db: FedDatabase, readonly secrets: Secrets, readonly halves: Halves<ActiveRegion>
  /** `advertise`: host names or addresses racks reach this region at. Port 0 takes a free one. */
  readonly listen: { readonly host: string, readonly port: number, readonly advertise: readonly string[] }
  /** Where the API is: the address it listens on, and its port once that is taken. Absent where there is none. */
  readonly api?: { readonly host: string, readonly port: () => number | undefined }
  /** What a region that joins is given. Without it none can. */
  readonly installation?: Installation
  /** Told once when this region has been removed: it must stop. */
  readonly removed?: (reason: string) => void
  /** ms: between looks at the registry (5,000), between looks at whether the database answers (1,000), and without an answer until racks are told to ask other regions (3,000). */
  readonly timing?: { readonly tick?: number, readonly probe?: number, readonly cutOff?: number }
}

/** How far one rack is with one plugin's wanted state. */
export interface RackState { readonly rack: string, readonly plugin: string, readonly position: string, readonly acknowledgedAt: Date, readonly error: string | null, readonly linked: boolean }

/** A controller of this installation. `linked`: to this region, or this region itself. */
export interface KnownController {
  readonly id: string, readonly hostname: string, readonly roles: readonly Role[], readonly version: string, readonly seenAt: Date, readonly linked: boolean
  /** Of a region: since when it runs, the names or addresses it is reached at, its ports, and the URLs of its API. */
  readonly startedAt: Date | null, readonly addresses: readonly string[], readonly rpcPort: number | null, readonly httpPort: number | null, readonly api: readonly string[]
}

/** The in-process way into a region: the same frames and checks as a socket, no TLS. */
export interface RegionLoopback {
  readonly controller: string
  /** Opens a wire. Throws LINK_DOWN while the region end is not started. */
  connect(): Wire
}

export interface RegionEnd {
  readonly services: readonly Service[]
  /** Calls a rack this region holds a link to. LINK_DOWN, CALL_UNKNOWN, CALL_TIMEOUT, CALL_INVALID, CALL_FAILED, or the handler's own error. */
  call(rack: string, plugin: string, method: string, params: unknown, options?: CallOptions): Promise<unknown>
  racks(): readonly string[]
  links(): readonly RackLink[]
  /** Racks another region is linked with and this one has not been for three looks at the registry (15 s): their work is not done through here. */
  missed(): readonly string[]
  loopback(): RegionLoopback
  /** A one-time token that lets one controller enrol with (some of) these roles. */
  createToken(roles: readonly Role[], ttlSeconds: number): Promise<string>
  rackStates(): Promise<readonly RackState[]>
  /** Takes a controller that is gone off the list; one that is alive with `force` only. NOT_FOUND, CONFLICT. */
  remove(controller: string, force: boolean): Promise<void>
  /** Every controller that was ever let in, oldest first. */
  controllers(): Promise<readonly KnownController[]>
  /** Looks at the registry now: what this region tells of itself has changed. */
  refresh(): void
  /** The port racks reach this region at, once its service runs. */
  port(): number | undefined
  readonly authority: Certifier
}

export interface RackEndOptions extends EndOptions {
  readonly halves: Halves<ActiveRack>
  readonly regions: readonly string[] // `host`, `host:port` or a URL
  readonly loopback?: RegionLoopback
  readonly token?: string // used only while this controller has no certificate
  readonly outboxLimit?: number // rows; default 1,000,000
}

/** A rack's link to one region. */
export interface LinkState {
  readonly controller: string, readonly url: string, readonly up: boolean
  readonly since: string // when it came up, or went: ISO 8601
  readonly answerTime?: number // ms the region takes to answer a ping, smoothed
  readonly silence?: number // ms since it was last heard
  readonly reason?: string // why it is down; of one that is up, why the region had better not be asked (it says so itself)
}
/** A region's link to one rack. */
export interface RackLink { readonly rack: string, readonly since: string, readonly answerTime?: number, readonly silence: number }

export interface RackEnd {
  readonly services: readonly Service[]
  /** Calls any region that answers; an idempotent method goes to the next one when a link breaks or is slow. */
  call(plugin: string, method: string, params: unknown, options?: CallOptions): Promise<unknown>
  /** Puts a fact on this rack's disk, synced, before it returns; throws only when the disk does. */
  report(plugin: string, kind: string, body: unknown): Reported
  links(): readonly LinkState[]
  /** Applies the wanted state kept on disk to every half: before services start, with no region needed. */
  restore(): Promise<void>
}
