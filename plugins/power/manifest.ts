/** power: the machines' BMCs, one action at a time. Data and types only. */
import type { AsyncSeriesHook } from 'tapable'
import { Type, type Static } from 'typebox'
import { defineManifest, method, token, type Query, type Tx } from '../../core/plugin.ts'

export const PowerState = Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Literal('unknown'), Type.Literal('error')])
export const PowerAction = Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Literal('cycle'), Type.Literal('shutdown')])
export const BootDevice = Type.Union([Type.Literal('network'), Type.Literal('disk')])
const Target = { machine: Type.String(), driver: Type.String(), parameters: Type.Record(Type.String(), Type.Unknown()) }

export const manifest = defineManifest({
  name: 'power',
  config: Type.Object({
    pollSeconds: Type.Integer({ default: 60, minimum: 5, description: 'How often each BMC is asked for its power state, in seconds.' }),
    actionTimeoutSeconds: Type.Integer({ default: 120, minimum: 5, description: 'How long one power action may take, retries included, before it has failed.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    execute: method({ answeredBy: 'rack', timeout: 130_000, params: Type.Object({ ...Target, action: PowerAction, boot: Type.Union([BootDevice, Type.Null()]) }), result: Type.Object({ state: PowerState, note: Type.Union([Type.String(), Type.Null()]) }) }),
    query: method({ answeredBy: 'rack', timeout: 30_000, idempotent: true, params: Type.Object(Target), result: Type.Object({ state: PowerState }) })
  },
  wanted: {},
  facts: {}
})

export type PowerStateName = Static<typeof PowerState>
export type PowerActionName = Static<typeof PowerAction>
/** `reason`: why it failed; or, when it went well, what an operator must do by hand. `superseded`: a newer wish is waiting already. */
export interface PowerOutcome { readonly machine: string, readonly action: PowerActionName, readonly ok: boolean, readonly reason: string | null, readonly rack: string | null, readonly superseded: boolean }

/** Given to region halves. `machine` is the machine's id. Change-log topic: `power.machine`. */
export interface PowerService {
  /** Stores the wish in the caller's transaction; the leader carries it out, also after a crash of either side. A new wish for the same machine replaces one still waiting. `boot` sets a one-time boot device first. */
  enqueue(tx: Tx, machine: string, wish: { readonly action: PowerActionName, readonly boot?: 'network' | 'disk' }): Promise<void>
  /** Validates against the driver's schema (POWER_PARAMETERS_INVALID) and seals the credentials. `address` may be a URL (`redfish+https://user:password@host/redfish/v1/Systems/1`), which then also names the driver. A secret left out keeps its value when driver and address stay. */
  configure(tx: Tx, machine: string, driver: string | undefined, parameters: Readonly<Record<string, unknown>>): Promise<void>
  /** Driver and parameters with secrets masked, or undefined when nothing is configured. */
  configuration(q: Query, machine: string): Promise<{ readonly driver: string, readonly parameters: Readonly<Record<string, unknown>> } | undefined>
  /** The drivers' names, one query for many machines. */
  drivers(q: Query, machines: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** The last known states, one query for many machines. */
  states(q: Query, machines: readonly string[]): Promise<ReadonlyMap<string, { readonly state: PowerStateName, readonly checkedAt: Date | null, readonly error: string | null }>>
  /** Asks the BMC now, through a rack that reaches it, and stores the answer. */
  query(machine: string): Promise<PowerStateName>
  remove(tx: Tx, machine: string): Promise<void>
  readonly hooks: {
    /** series, in the transaction that stores the outcome of an action. */
    readonly outcome: AsyncSeriesHook<[Tx, PowerOutcome]>
    /** series, in the transaction that stores a changed state. */
    readonly state: AsyncSeriesHook<[Tx, { readonly machine: string, readonly from: PowerStateName, readonly to: PowerStateName }]>
  }
}
export const Power = token<PowerService>('power.service')
