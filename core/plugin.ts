/** The contract between the kernel and a plugin: types, a few identity functions, and nothing that runs. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static, TObject, TSchema } from 'typebox'
import type { Clock } from './clock.ts'
import type { Change, Database, Tx } from './database/database.ts'
import type { Health } from './health.ts'
import type { Credentials, Hooks, Principal } from './hooks.ts'
import type { Term } from './leader/term.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { KnownController, LinkState } from './rpc/ends.ts'
import type { Secrets } from './secrets.ts'
import type { Status } from './status.ts'
import type { ServiceStatus } from './supervise.ts'

export type { Change, Clock, Credentials, Database, Health, Hooks, KnownController, LinkState, Logger, Metrics, Principal, Secrets, ServiceStatus, Status, Term, Tx }
export type { Query } from './database/database.ts'

export type Role = 'region' | 'rack' // a controller may have both; then both halves run in one process

declare const type: unique symbol
/** Names a service that one half provides and others require, without importing it. */
export interface Token<T> { readonly id: `${string}.${string}`, readonly [type]?: T }
export type Tokens = Readonly<Record<string, Token<unknown>>>
export type Instances<T extends Tokens> = { readonly [K in keyof T]: T[K] extends Token<infer S> ? S : never }

/** One remote call. `timeout` in ms (default 10,000); an `idempotent` call goes over another link too when one breaks or is slow, so it may be done twice; any other is made once (CALL_UNKNOWN when its link breaks). */
export interface Method<R extends Role = Role, P extends TSchema = TSchema, A extends TSchema = TSchema> {
  readonly answeredBy: R, readonly params: P, readonly result: A, readonly timeout?: number, readonly idempotent?: boolean
}
export type Methods = Readonly<Record<string, Method>>
type On<R extends Role, M extends Methods> = { [K in keyof M as M[K]['answeredBy'] extends R ? K : never]: M[K] }
export interface CallOptions { readonly signal?: AbortSignal, readonly timeout?: number }
export interface Caller { readonly controller: string, readonly signal: AbortSignal }
export type Client<R extends Role, M extends Methods> = { readonly [K in keyof On<R, M>]: (params: Static<M[K & keyof M]['params']>, options?: CallOptions) => Promise<Static<M[K & keyof M]['result']>> }
export type Handlers<R extends Role, M extends Methods> = { readonly [K in keyof On<R, M>]: (params: Static<M[K & keyof M]['params']>, caller: Caller) => Promise<Static<M[K & keyof M]['result']>> }

/** Kinds of wanted-state entries, or of facts: kind → schema of the value. */
export type Kinds = Readonly<Record<string, TSchema>>
export interface Key<W extends Kinds = Kinds> { readonly kind: keyof W & string, readonly id: string }
export type Entry<W extends Kinds = Kinds> = { [K in keyof W & string]: { readonly kind: K, readonly id: string, readonly value: Static<W[K]> } }[keyof W & string]
export type Fact<F extends Kinds = Kinds> = { [K in keyof F & string]: { readonly kind: K, readonly at: string, readonly body: Static<F[K]> } }[keyof F & string]
/** What changed in a rack's wanted state. `whole`: `put` is everything there is, and what is not in it is gone. */
export interface WantedChange<W extends Kinds = Kinds> { readonly put: readonly Entry<W>[], readonly remove: readonly Key<W>[] }

/** Static facts, shared by both halves. Importing a manifest does nothing. */
export interface Manifest<C extends TObject = TObject, M extends Methods = Methods, W extends Kinds = Kinds, F extends Kinds = Kinds> {
  readonly name: string // kebab-case: also the config key, SQL schema, /api/v1/<name> prefix, RPC prefix and log label
  readonly config: C // every field has a description; defaults live here only
  readonly migrations?: URL // folder of 0001-what.sql: append-only, run on the region under one lock
  readonly rpc: M
  readonly wanted: W
  readonly facts: F
}

export interface Controller { readonly id: string, readonly hostname: string, readonly roles: readonly Role[], readonly version: string, readonly dataDirectory: string }
interface Shared<M extends Manifest, Q extends Tokens> {
  readonly config: Readonly<Static<M['config']>>, readonly deps: Instances<Q>, readonly hooks: Hooks, readonly log: Logger
  readonly clock: Clock, readonly metrics: Metrics, readonly controller: Controller
}
export interface RegionContext<M extends Manifest, Q extends Tokens> extends Shared<M, Q> {
  readonly db: Database, readonly secrets: Secrets
  rack(id: string): Client<'rack', M['rpc']> // rejects with LINK_DOWN when this region holds no link to it
  racks(): readonly string[] // ids of the racks this region holds a link to
}
/** A fact on this rack's disk. `stored`, asked for at once: true when a region has stored it, false when `signal` aborts first or the fact was dropped. Never rejects. */
export interface Reported { stored(signal?: AbortSignal): Promise<boolean> }
export interface RackContext<M extends Manifest, Q extends Tokens> extends Shared<M, Q> {
  readonly region: Client<'region', M['rpc']> // any region that answers
  report<K extends keyof M['facts'] & string>(kind: K, body: Static<M['facts'][K]>): Reported // durable once it returns; throws only when the disk does
}

/** The unit of health, restart and leadership. Start and stop are idempotent and may race; see test/kit/conformance/service.ts. */
export interface Service {
  readonly name: string
  readonly on?: 'leader' // region only: runs on the elected region alone
  start(signal: AbortSignal, term?: Term): Promise<void> // resolves when serving; `term` is given to leader services
  stop(): Promise<void> // resolves when nothing is left running
  health(): Health // synchronous, no I/O
}

interface Lifecycle { start?(signal: AbortSignal): Promise<void>, stop?(): Promise<void>, reconcile?(signal: AbortSignal): Promise<void> }
/** What setup returns: nothing of it has run yet. */
export interface RegionRunning<M extends Manifest, P extends Tokens> extends Lifecycle {
  readonly provides: Instances<P>, readonly rpc: Handlers<'region', M['rpc']>, readonly services: readonly Service[]
  readonly routes?: FastifyPluginAsyncTypebox // mounted at /api/v1/<name>
  wanted?(rack: string, keys?: readonly Key<M['wanted']>[]): Promise<readonly Entry<M['wanted']>[]> // that rack's entries: all, or those keys (absent = gone)
  touches?(changes: readonly Change[]): Promise<readonly Key<M['wanted']>[]> // which own entries these rows of the change log concern
  changed?(changes: readonly Change[]): void // every region hears every committed change, at least once; a hint: keep it quick
  facts?(tx: Tx, rack: string, batch: readonly Fact<M['facts']>[]): Promise<void> // stored once: runs in the transaction that moves the rack's cursor
}
export interface RackRunning<M extends Manifest, P extends Tokens> extends Lifecycle {
  readonly provides: Instances<P>, readonly rpc: Handlers<'rack', M['rpc']>, readonly services: readonly Service[]
  readonly routes?: FastifyPluginAsyncTypebox // mounted at /<name> on the rack's own HTTP port, without accounts: for machines
  apply?(change: WantedChange<M['wanted']>, whole: boolean): void // swap in memory; a throw keeps the old state and is reported
}

export interface RegionHalf<M extends Manifest = Manifest, Q extends Tokens = Tokens, P extends Tokens = Tokens> { readonly requires: Q, readonly provides: P, setup(ctx: RegionContext<M, Q>): RegionRunning<M, P> }
export interface RackHalf<M extends Manifest = Manifest, Q extends Tokens = Tokens, P extends Tokens = Tokens> { readonly requires: Q, readonly provides: P, setup(ctx: RackContext<M, Q>): RackRunning<M, P> }
export interface Plugin { readonly manifest: Manifest, readonly region?: () => Promise<RegionHalf<any, any, any>>, readonly rack?: () => Promise<RackHalf<any, any, any>> } // lazy: a rack never loads region code

export const token = <T>(id: Token<T>['id']): Token<T> => ({ id })
/** What the core provides to whoever requires it: this controller as it is now (not during setup), and, on a region, every controller of the installation, oldest first. */
export const Self = token<{ status(): Status }>('core.self')
export const Controllers = token<{ list(): Promise<readonly KnownController[]> }>('core.controllers')
/** On a region: the installation's own authority. `server`: a certificate for what a rack serves to machines under this public key (SPKI, PEM; P-256) at these IP addresses; it says no role and opens no link. */
export interface Certifier { certificate(): Promise<string>, server(rack: string, publicKey: string, addresses: readonly string[]): Promise<string> }
export const Authority = token<Certifier>('core.authority')
export const method = <R extends Role, P extends TSchema, A extends TSchema>(m: Method<R, P, A>): Method<R, P, A> => m
export const defineManifest = <C extends TObject, M extends Methods, W extends Kinds, F extends Kinds>(manifest: Manifest<C, M, W, F>): Manifest<C, M, W, F> => Object.freeze(manifest)
export const defineRegion = <M extends Manifest, Q extends Tokens, P extends Tokens>(_of: M, half: RegionHalf<M, Q, P>): RegionHalf<M, Q, P> => Object.freeze(half)
export const defineRack = <M extends Manifest, Q extends Tokens, P extends Tokens>(_of: M, half: RackHalf<M, Q, P>): RackHalf<M, Q, P> => Object.freeze(half)
export const definePlugin = (plugin: Plugin): Plugin => Object.freeze(plugin)
