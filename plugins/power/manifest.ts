/** power: the machines' BMCs, one action at a time. Data and types only. */
import type { AsyncSeriesBailHook, AsyncSeriesHook } from 'tapable'
import { Type, type Static } from 'typebox'
import { defineManifest, method, token, type Query, type Tx } from '../../core/plugin.ts'

export const PowerState = Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Literal('unknown'), Type.Literal('error')])
export const PowerAction = Type.Union([Type.Literal('on'), Type.Literal('off'), Type.Literal('cycle'), Type.Literal('shutdown')])
export const BootDevice = Type.Union([Type.Literal('network'), Type.Literal('disk')])
const Maybe = Type.Union([Type.String(), Type.Null()])
const Target = { machine: Type.String(), driver: Type.String(), parameters: Type.Record(Type.String(), Type.Unknown()) }

/** How a machine boots; some BMCs must be told together with the boot device. */
export const Firmware = Type.Union([Type.Literal('bios'), Type.Literal('uefi')])
export const Look = Type.Union([Type.Literal('identity'), Type.Literal('sensors'), Type.Literal('log'), Type.Literal('firmware'), Type.Literal('media')])
const BmcEndpoint = Type.Object({ by: Type.Union([Type.Literal('tcp'), Type.Literal('ipmi'), Type.Literal('broadcast')]), host: Type.String(), port: Type.Integer({ minimum: 0, maximum: 65535 }) })
/** A BMC that answered a scan. `address`: what to configure it by. `uuid`: its machine's, where it says so. */
export const FoundBmc = Type.Object({ host: Type.String(), driver: Type.Union([Type.Literal('ipmi'), Type.Literal('redfish')]), address: Type.String(), uuid: Maybe, vendor: Maybe, model: Maybe, serial: Maybe, problem: Maybe, tls: Type.Optional(Type.String({ description: 'how to know it again: sha256:<fingerprint of its certificate>' })) })
/** One machine of a chassis or hypervisor (driver.ts). */
const FoundMember = Type.Object({ name: Type.String(), parameters: Type.Record(Type.String(), Type.Unknown()), uuid: Maybe, macs: Type.Array(Type.String()) })

export const manifest = defineManifest({
  name: 'power',
  config: Type.Object({
    pollSeconds: Type.Integer({ default: 60, minimum: 5, description: 'How often each BMC is asked for its power state, in seconds.' }),
    reachSeconds: Type.Integer({ default: 60, minimum: 5, description: 'How often each rack looks whether it reaches each BMC, in seconds; a BMC it polls needs no look of its own.' }),
    actionTimeoutSeconds: Type.Integer({ default: 120, minimum: 5, description: 'How long one power action may take, retries included, before it has failed.' })
  }, { additionalProperties: false }),
  migrations: new URL('./migrations/', import.meta.url),
  rpc: {
    /** What a rack needs to ask its BMCs with: it keeps credentials in memory only. Those that are gone, or are not this rack's to poll, are left out. */
    credentials: method({ answeredBy: 'region', timeout: 10_000, idempotent: true, params: Type.Object({ machines: Type.Array(Type.String(), { maxItems: 500 }) }), result: Type.Object({ machines: Type.Array(Type.Object({ ...Target, version: Type.String() })) }) }),
    execute: method({ answeredBy: 'rack', timeout: 130_000, params: Type.Object({ ...Target, action: PowerAction, boot: Type.Union([BootDevice, Type.Null()]), firmware: Type.Optional(Firmware), rack: Type.Optional(Type.String({ description: 'the rack controller that runs on this machine' })) }), result: Type.Object({ state: PowerState, note: Type.Union([Type.String(), Type.Null()]) }) }),
    query: method({ answeredBy: 'rack', timeout: 30_000, idempotent: true, params: Type.Object(Target), result: Type.Object({ state: PowerState }) }),
    /** What else the BMC tells; `value` has the shape the driver's method gives (driver.ts). */
    look: method({ answeredBy: 'rack', timeout: 60_000, idempotent: true, params: Type.Object({ ...Target, what: Look }), result: Type.Object({ value: Type.Unknown() }) }),
    insert: method({ answeredBy: 'rack', timeout: 120_000, params: Type.Object({ ...Target, image: Maybe }), result: Type.Object({ image: Maybe }) }),
    /** All machines behind the address: `machine` only says whose turn it is. */
    members: method({ answeredBy: 'rack', timeout: 60_000, idempotent: true, params: Type.Object(Target), result: Type.Object({ members: Type.Array(FoundMember) }) }),
    /** Looks for BMCs at these addresses, this rack's share of a range; with credentials, also which machine each belongs to. */
    scan: method({
      answeredBy: 'rack', timeout: 120_000, idempotent: true,
      params: Type.Object({ addresses: Type.Array(Type.String(), { maxItems: 256 }), user: Type.Optional(Type.String()), password: Type.Optional(Type.String()) }),
      result: Type.Object({ found: Type.Array(FoundBmc) })
    })
  },
  wanted: {
    /**
     * id = the machine. Every rack has every BMC, to look whether it reaches it; `poll`: this rack asks it for its state. No secret is in it: racks keep wanted state on disk.
     * `version` is of driver and parameters; `turn` is another one after each action: a state that was asked for before the action ended is not believed after it.
     */
    bmc: Type.Object({ driver: Type.String(), endpoint: Type.Union([BmcEndpoint, Type.Null()]), poll: Type.Boolean(), version: Type.String(), turn: Type.String() })
  },
  facts: {
    /** Power states as they were seen: at once when one is news, else many together, every so often. `version` and `turn`: of the entry it was asked with. */
    states: Type.Object({ seen: Type.Array(Type.Object({ machine: Type.String(), state: PowerState, error: Maybe, version: Type.String(), turn: Type.String() }), { maxItems: 1000 }) }),
    /** Which BMCs the rack reaches, and in how many ms one answers; told when it changes, and each anew after a start. */
    routes: Type.Object({ routes: Type.Array(Type.Object({ endpoint: Type.String(), reachable: Type.Boolean(), rtt: Type.Union([Type.Number(), Type.Null()]) }), { maxItems: 1000 }) })
  }
})

export type PowerStateName = Static<typeof PowerState>
export type PowerActionName = Static<typeof PowerAction>
/** How a machine can be told: what its firmware says (SMBIOS), and where it says its BMC is. */
export interface Sign { readonly uuid: string | null, readonly address: string | null }
export interface ChassisMember { readonly name: string, /** What its firmware says it is, in every spelling it may use. */ readonly uuids: readonly string[], readonly macs: readonly string[], /** With the secrets of the chassis: for `configure`, and for nobody's eyes. */ readonly parameters: Readonly<Record<string, unknown>> }
/** `reason`: why it failed; or, when it went well, what an operator must do by hand. `superseded`: a newer wish is waiting already. `cancelled`: somebody called it off; then it is neither done nor failed. */
export interface PowerOutcome { readonly machine: string, readonly action: PowerActionName, readonly ok: boolean, readonly reason: string | null, readonly rack: string | null, readonly superseded: boolean, readonly cancelled?: boolean }

/** Given to region halves. `machine` is the machine's id. Change-log topics: `power.machine`, `power.action` (id = the machine). */
export interface PowerService {
  /** Stores the wish in the caller's transaction; the leader carries it out, also after a crash of either side. A new wish for the same machine replaces one still waiting. `boot` sets a one-time boot device first. */
  enqueue(tx: Tx, machine: string, wish: { readonly action: PowerActionName, readonly boot?: 'network' | 'disk', readonly firmware?: 'bios' | 'uefi' }): Promise<void>
  /** Calls off what waits or runs for the machine: what waits is dropped, what runs is stopped where it is. The id of the action, or undefined when there was none (with that `id`). */
  cancel(tx: Tx, machine: string, id?: string): Promise<string | undefined>
  /** Validates against the driver's schema (POWER_PARAMETERS_INVALID) and seals the credentials. `address` may be a URL (`redfish+https://user:password@host/redfish/v1/Systems/1`), which then also names the driver. A secret left out keeps its value when driver and address stay. */
  configure(tx: Tx, machine: string, driver: string | undefined, parameters: Readonly<Record<string, unknown>>): Promise<void>
  /** Driver and parameters with secrets masked, or undefined when nothing is configured. */
  configuration(q: Query, machine: string): Promise<{ readonly driver: string, readonly parameters: Readonly<Record<string, unknown>> } | undefined>
  /** The drivers' names, one query for many machines. */
  drivers(q: Query, machines: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** The last known states, one query for many machines. */
  states(q: Query, machines: readonly string[]): Promise<ReadonlyMap<string, { readonly state: PowerStateName, readonly checkedAt: Date | null, readonly error: string | null }>>
  /** Asks the BMC now, through a rack that reaches it, and stores the answer, unless an action is before the machine or its configuration changed meanwhile. */
  query(machine: string): Promise<PowerStateName>
  remove(tx: Tx, machine: string): Promise<void>
  /** Powers a machine nobody has configured by the BMC a scan found for it, if there is just one that is no other machine's; says which. A configuration there is, stays. */
  link(tx: Tx, machine: string, sign: Sign): Promise<{ readonly driver: string, readonly host: string } | undefined>
  /** Asks a chassis or hypervisor for its machines, through a rack that reaches it. POWER_PARAMETERS_INVALID, POWER_UNSUPPORTED, and what the driver says. */
  members(driver: string | undefined, parameters: Readonly<Record<string, unknown>>): Promise<{ readonly driver: string, readonly members: readonly ChassisMember[] }>
  readonly hooks: {
    /** series, in the transaction that stores the outcome of an action. */
    readonly outcome: AsyncSeriesHook<[Tx, PowerOutcome]>
    /** series, when a scan has ended: BMCs that were found and are no machine's yet. `uuids` in every spelling a machine's firmware may use. */
    readonly found: AsyncSeriesHook<[Tx, { readonly uuids: readonly string[], readonly addresses: readonly string[] }]>
    /** series, in the transaction that stores a changed state. */
    readonly state: AsyncSeriesHook<[Tx, { readonly machine: string, readonly from: PowerStateName, readonly to: PowerStateName }]>
    /** bail: the MAC addresses of a machine, from whoever knows machines. A machine that carries a rack controller is told by them. */
    readonly macs: AsyncSeriesBailHook<[Query, string], readonly string[]>
  }
}
export const Power = token<PowerService>('power.service')
